import torch

from plugins.maths.networks.prefixes import prefixes

PRIME = 11


def pairs() -> torch.Tensor:
    a, b = torch.cartesian_prod(torch.arange(PRIME), torch.arange(PRIME)).T
    return torch.stack([a, torch.full_like(a, PRIME), b, torch.full_like(a, PRIME + 1)], 1)


def test_prefixes_share_what_can_be_shared():
    x = pairs()
    rows = prefixes(x)
    assert rows.sizes == [PRIME, PRIME, PRIME**2, PRIME**2]
    table = rows.last.reshape(x.shape)
    assert torch.equal(rows.tokens[table], x)
    assert torch.equal(rows.positions[table], torch.arange(4).expand(x.shape))


def test_prefixes_of_the_first_layer_are_pairs_of_token_and_position():
    rows = prefixes(pairs())
    assert len(rows.pair_tokens) == 2 * PRIME + 2  # a, the operator, b, the equals sign
    assert torch.equal(rows.pair_tokens[rows.pairs], rows.tokens)
    assert torch.equal(rows.pair_positions[rows.pairs], rows.positions)


def test_links_are_made_once_for_each_number_of_networks():
    rows = prefixes(pairs())
    _, one = rows.links(True, False, 1, 2)
    assert rows.links(True, False, 1, 2)[1] is one
    assert len(rows.links(True, False, 3, 2)[1].seen) == 3 * len(one.seen)
