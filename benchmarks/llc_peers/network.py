"""The benchmark's decoder written the ordinary way, for the peers: torch alone, every position.

Equal to `plugins/maths/networks/transformer.py` with its parameters' names. `lean` computes only
the last position in the last block, as that module does; no peer does so by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Pre-LayerNorm attention and feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Return the stream (B, T - first, D) at the positions from `first` on."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        score = query[:, :, first:] @ key.mT * query.shape[-1] ** -0.5
        hidden = torch.ones(score.shape[-2:], dtype=torch.bool).triu(1 + first)
        mixed = score.masked_fill(hidden, -torch.inf).softmax(-1) @ value
        x = x[:, first:] + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.relu(self.up(self.norm2(x))))


class Decoder(nn.Module):
    """Tokens (B, T) -> logits (B, outputs) at the last position."""

    def __init__(self, sizes: dict[str, int], lean: bool) -> None:
        super().__init__()
        width, self.lean = sizes["width"], lean
        self.token = nn.Embedding(sizes["vocabulary"], width)
        self.position = nn.Embedding(sizes["length"], width)
        self.blocks = nn.ModuleList(Block(width, sizes["heads"]) for _ in range(sizes["layers"]))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, sizes["outputs"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits; all positions go through every block unless `lean`."""
        stream = self.token(x) + self.position.weight[: x.shape[1]]
        for block in self.blocks[:-1]:
            stream = block(stream)
        stream = self.blocks[-1](stream, x.shape[1] - 1 if self.lean else 0)
        return self.head(self.norm(stream))[:, -1]
