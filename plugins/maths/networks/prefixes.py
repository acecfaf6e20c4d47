"""The distinct prefixes of a batch of token sequences, and the rows a causal decoder must compute.

Attention is causal, so the residual stream at position t is a function of the tokens up to t. Over
a batch the distinct prefixes of the first positions are few (one token out of p, then a constant
operator), and one row per prefix is computed. Before the first layer's attention the stream is a
function of token and position alone: one row per such pair. Shapes: B inputs, T positions, R rows
in all, ordered by position, N pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from plugins.maths.networks.attention_links import Links, Past

WORTHWHILE = 0.75  # share of distinct prefixes above which all rows are kept


@dataclass(frozen=True)
class Prefixes:
    """The rows to compute for a batch, and where each row finds its own past."""

    tokens: Tensor  # (R,) token of each row
    positions: Tensor  # (R,) position of each row
    sizes: list[int]  # rows of each position
    past: list[Tensor]  # for position t: (U_t * (t + 1),) rows of positions 0..t of its prefixes
    last: Tensor  # (B * T,) rows of every input's positions
    final: Tensor  # (B,) rows of the last position
    pairs: Tensor  # (R,) pair of each row
    pair_tokens: Tensor  # (N,)
    pair_positions: Tensor  # (N,)
    known: dict[tuple[bool, bool, int, int, int], Links] = field(default_factory=dict)

    def seen(self, first: bool, last: bool) -> Past:
        """Return what the queries of the first layer, the last one, or one between look at.

        The sources of the first layer are the pairs; the queries of the last are the inputs' last
        positions alone.
        """
        if last:
            own: Tensor | None = self.final
            groups = [(len(self.final), len(self.sizes), self.last)]
        else:
            own = None
            groups = [(n, t + 1, self.past[t]) for t, n in enumerate(self.sizes)]
        if first:
            own = self.pairs if own is None else self.pairs[own]
            groups = [(n, length, self.pairs[rows]) for n, length, rows in groups]
        return Past(own, groups)

    def links(self, first: bool, last: bool, networks: int, heads: int) -> tuple[Past, Links]:
        """Return what `seen` does, with its links for some networks, made once for each number.

        The tables hold queries, keys and values side by side, or keys and values alone where the
        queries are fewer than the sources: see `apart`.
        """
        past = self.seen(first, last)
        sources = len(self.pair_tokens) if first else len(self.tokens)
        parts = 2 if apart(past, sources) else 3
        which = (first, last, networks, heads, parts)
        if which not in self.known:
            self.known[which] = Links.of(
                past, networks=networks, sources=sources, heads=heads, parts=parts
            )
        return past, self.known[which]

    def to(self, device: torch.device) -> Prefixes:
        """Return the tables on a device; nothing waits for it."""
        if self.tokens.device == device:
            return self

        def moved(table: Tensor) -> Tensor:
            return table.to(device, non_blocking=True)

        return Prefixes(
            moved(self.tokens), moved(self.positions), self.sizes, [moved(p) for p in self.past],
            moved(self.last), moved(self.final), moved(self.pairs), moved(self.pair_tokens),
            moved(self.pair_positions),
        )  # fmt: skip


def apart(past: Past, sources: int) -> bool:
    """Return whether queries are projected from their own rows, fewer than the sources."""
    return past.own is not None and len(past.own) < sources


def prefixes(x: Tensor) -> Prefixes:
    """Return the distinct prefixes of tokens x (B, T).

    Sizes are read off the tables: tokens on a GPU make the caller wait for it, on the CPU not.
    """
    batch, length = x.shape
    every = torch.arange(batch, device=x.device)
    base = int(x.max()) + 1
    code, rows, tokens, sizes, where = torch.zeros_like(every), [], [], [], []
    start = 0
    for t in range(length):
        # The code of a prefix stays below (number of prefixes) * base: renumbered at each step.
        _, code = torch.unique(code * base + x[:, t], return_inverse=True)
        count = int(code.max()) + 1
        if count <= WORTHWHILE * batch:
            inverse = code
            chosen = torch.empty(count, dtype=torch.long, device=x.device)
            chosen[code.flip(0)] = every.flip(0)
        else:
            inverse, chosen, count = every, every, batch
        rows.append(chosen)
        tokens.append(x[chosen, t])
        where.append(start + inverse)
        sizes.append(count)
        start += count
    table = torch.stack(where, dim=1)  # (B, T): row of every input at every position
    past = [table[chosen, : t + 1].reshape(-1) for t, chosen in enumerate(rows)]
    positions = torch.repeat_interleave(
        torch.arange(length, device=x.device), torch.tensor(sizes, device=x.device)
    )
    token = torch.cat(tokens)
    found, pairs = torch.unique(positions * base + token, return_inverse=True)
    return Prefixes(
        token, positions, sizes, past, table.reshape(-1), table[:, -1],
        pairs, found % base, found // base,
    )  # fmt: skip
