"""Causal attention over shared rows as weighted sums of table rows, nothing gathered on the way.

Queries look at source rows by index. Scores are inner products of a query with the table's rows,
results are weighted sums of them, and so are the gradients, with the links turned round: all are
what an embedding bag computes in one pass, where gathering keys and values and multiplying would
write and read each of them many times.

Shapes: K networks, R queries, N source rows, H heads of d entries, S links (query, head, seen row)
of a network, ordered by query, then head, then position.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

aten = torch.ops.aten


@dataclass(frozen=True)
class Past:
    """Which source rows the queries of one layer look at.

    Attributes:
        own: (R,) the source row that is a query's own; None when they are the same rows.
        groups: (queries, positions seen, their source rows (queries * positions,)) of each run of
            queries that see equally many positions.
    """

    own: Tensor | None
    groups: list[tuple[int, int, Tensor]]


@dataclass(frozen=True)
class Links:
    """The links of K networks, of tables whose rows hold `parts` runs of H heads.

    Attributes:
        seen: (K * S,) the first run's table row that a link looks at.
        starts: (K * R * H,) where the links of a query's head start.
        query: (K * S,) the query's head of each link.
        order: (K * S,) the links ordered by what they look at.
        turned: (K * S,) `query` in that order.
        turned_starts: (K * N * H,) where the links to a source row's head start in it.
        groups: (queries, positions seen) of each run.
    """

    seen: Tensor
    starts: Tensor
    query: Tensor
    order: Tensor
    turned: Tensor
    turned_starts: Tensor
    groups: list[tuple[int, int]]
    heads: int

    @staticmethod
    def of(past: Past, *, networks: int, sources: int, heads: int, parts: int) -> Links:
        """Return the links of queries to tables (K * N * parts * H, d)."""
        device = past.groups[0][2].device
        head = torch.arange(heads, device=device)[None, :, None]
        rows, lengths = [], []
        for size, length, source in past.groups:
            rows.append((source.view(size, 1, length) * heads + head).reshape(-1))  # source's head
            lengths.append(torch.full((size * heads,), length, device=device))
        target, counts = torch.cat(rows), torch.cat(lengths)
        links, queries = len(target), len(counts)
        # Lengths are known: stating the output's size spares a wait for the device.
        query = torch.arange(queries, device=device).repeat_interleave(counts, output_size=links)
        order = target.argsort(stable=True)
        found = torch.zeros(sources * heads, dtype=torch.long, device=device)
        found.index_add_(0, target, torch.ones_like(target))
        seen = (target // heads) * (parts * heads) + target % heads

        def repeated(values: Tensor, step: int) -> Tensor:
            shift = torch.arange(networks, device=device)[:, None] * step
            return (values + shift).reshape(-1)

        return Links(
            seen=repeated(seen, sources * parts * heads),
            starts=repeated(counts.cumsum(0) - counts, links),
            query=repeated(query, queries),
            order=repeated(order, links),
            turned=repeated(query[order], queries),
            turned_starts=repeated(found.cumsum(0) - found, links),
            groups=[(size, length) for size, length, _ in past.groups],
            heads=heads,
        )

    def products(self, queries: Tensor, table: Tensor, run: int) -> Tensor:
        """Return the inner product of each link's query (K * R * H, d) and table row, (K * S,)."""
        rows = self.seen + run * self.heads
        found: Tensor = aten._embedding_bag_per_sample_weights_backward(  # noqa: SLF001
            queries, table, rows, self.starts, self.query, 0
        )
        return found

    def sums(self, table: Tensor, run: int, weight: Tensor) -> Tensor:
        """Return each query's weighted sum of the table rows it looks at, (K * R * H, d)."""
        rows = self.seen + run * self.heads
        return F.embedding_bag(rows, table, self.starts, mode="sum", per_sample_weights=weight)

    def turned_sums(self, queries: Tensor, weight: Tensor) -> Tensor:
        """Return for each source row's head the weighted sum of its queries, (K * N * H, d)."""
        return F.embedding_bag(
            self.turned, queries, self.turned_starts, mode="sum",
            per_sample_weights=weight[self.order],
        )  # fmt: skip

    def softmax(self, score: Tensor) -> Tensor:
        """Return the softmax over the links of each query's head, (K * S,)."""
        result = torch.empty_like(score)
        for into, part in zip(self._runs(result), self._runs(score), strict=True):
            into.copy_(part.softmax(-1))
        return result

    def softmax_back(self, slope: Tensor, weight: Tensor) -> Tensor:
        """Return the gradient of the scores, (K * S,), from that of the weights."""
        result = torch.empty_like(slope)
        runs = zip(*(self._runs(each) for each in (result, slope, weight)), strict=True)
        for into, part, own in runs:
            into.copy_(aten._softmax_backward_data(part, own, -1, part.dtype))  # noqa: SLF001
        return result

    def _runs(self, values: Tensor) -> list[Tensor]:
        """Return views (K, queries * H, positions) of values (K * S,)."""
        sizes = [size * self.heads * length for size, length in self.groups]
        parts = values.view(-1, sum(sizes)).split(sizes, 1)
        return [
            part.unflatten(1, (-1, length))
            for part, (_, length) in zip(parts, self.groups, strict=True)
        ]
