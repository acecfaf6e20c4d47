import pytest
import torch

from plugins.maths.networks.attention_links import Links, Past

SOURCES, HEADS, DEPTH, NETWORKS = 7, 2, 3, 2


def world():
    """Return queries that see 1, 2 or 3 of 7 source rows, with links for two networks."""
    generator = torch.Generator().manual_seed(0)
    groups = [
        (size, length, torch.randint(SOURCES, (size * length,), generator=generator))
        for size, length in ((4, 1), (5, 3), (2, 2))
    ]
    past = Past(None, groups)
    links = Links.of(past, networks=NETWORKS, sources=SOURCES, heads=HEADS, parts=3)
    table = torch.randn(
        NETWORKS, SOURCES, 3, HEADS, DEPTH, generator=generator, dtype=torch.float64
    )
    queries = torch.randn(NETWORKS, 11, HEADS, DEPTH, generator=generator, dtype=torch.float64)
    return past, links, table, queries


def attended(past, table, queries):
    """Return attention written out with loops over networks, queries and heads."""
    result = torch.zeros_like(queries)
    for k in range(NETWORKS):
        at = 0
        for size, length, source in past.groups:
            for seen in source.view(size, length):
                for h in range(HEADS):
                    weight = (table[k, seen, 1, h] @ queries[k, at, h]).softmax(0)
                    result[k, at, h] = weight @ table[k, seen, 2, h]
                at += 1
    return result


def test_sums_of_softmaxed_products_are_attention():
    past, links, table, queries = world()
    flat, rows = queries.reshape(-1, DEPTH), table.view(-1, DEPTH)
    result = links.sums(rows, 2, links.softmax(links.products(flat, rows, 1)))
    torch.testing.assert_close(result.view_as(queries), attended(past, table, queries))


def test_turned_sums_and_softmax_back_are_the_gradients():
    past, links, table, queries = world()
    table.requires_grad_()
    queries.requires_grad_()
    out = attended(past, table, queries)
    slope = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)
    by_table, by_queries = torch.autograd.grad((out * slope).sum(), (table, queries))
    with torch.no_grad():
        flat, rows, back = (x.reshape(-1, DEPTH) for x in (queries, table, slope))
        weight = links.softmax(links.products(flat, rows, 1))
        score = links.softmax_back(links.products(back, rows, 2), weight)
        shape = (NETWORKS, SOURCES, HEADS, DEPTH)
        close = torch.testing.assert_close
        close(links.turned_sums(flat, score).view(shape), by_table[:, :, 1])
        close(links.turned_sums(back, weight).view(shape), by_table[:, :, 2])
        close(links.sums(rows, 1, score).view_as(queries), by_queries)


@pytest.mark.parametrize("parts", [2, 3])
def test_a_network_finds_its_own_rows_whatever_its_company(parts):
    past = world()[0]
    one, two = (
        Links.of(past, networks=k, sources=SOURCES, heads=HEADS, parts=parts) for k in (1, 2)
    )
    links, rows = len(one.seen), SOURCES * parts * HEADS
    assert torch.equal(two.seen[:links], one.seen)
    assert torch.equal(two.seen[links:], one.seen + rows)
    assert torch.equal(two.turned[links:], one.turned + 11 * HEADS)
