"""The pre-LayerNorm decoder as a torch module. Shapes: B inputs, T positions, D width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plugins.maths.networks import stacked_transformer
from plugins.maths.networks.prefixes import Prefixes, prefixes
from plugins.maths.networks.transformer_gradient import Decoders, Named

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


SHORT = 8  # positions up to which attention by broadcasting beats the fused kernel on a CPU


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return causal softmax attention; the queries are those of the last positions.

    Shapes: query (B, Q, heads, d), key and value (B, T, heads, d), Q <= T; result as query.
    The broadcast form also batches under vmap and differentiates twice.
    """
    queries, positions = query.shape[1], key.shape[1]
    hidden = torch.ones(queries, positions, dtype=torch.bool, device=key.device)
    hidden = hidden.triu(positions - queries + 1)
    if positions > SHORT:
        heads = (part.transpose(1, 2) for part in (query, key, value))
        return F.scaled_dot_product_attention(*heads, attn_mask=~hidden).transpose(1, 2)
    score = (query[:, :, None] * key[:, None]).sum(-1) * query.shape[-1] ** -0.5  # (B, Q, T, heads)
    weight = score.masked_fill(hidden[..., None], -torch.inf).softmax(2)
    return (weight[..., None] * value[:, None]).sum(2)


class LayerNorm(nn.Module):
    """LayerNorm whose eps is a buffer: part of the network's state, and free to differ by cell.

    While the buffer is the one the module loaded, its value is known as a float and the native
    kernel runs alone. A replaced buffer (functional calls, vmap) goes through the identity
    LN_eps(x) = LN_e0(x * sqrt(e0 / eps)), which asks for no float and so can be batched.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.width, self.reference = width, eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("eps", torch.tensor(eps))
        self.register_load_state_dict_post_hook(lambda module, _: module.read_eps())
        self.read_eps()

    def read_eps(self) -> None:
        """Remember the buffer, its version and its value."""
        known = self.eps
        self._known = None if known.is_meta else (known, known._version, float(known))  # noqa: SLF001

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LayerNorm:
        super()._apply(fn, recurse)
        self.read_eps()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., D) normalised over its last axis, same shape."""
        known = self._known
        if known and known[0] is self.eps and known[1] == self.eps._version:  # noqa: SLF001
            return F.layer_norm(x, (self.width,), self.weight, self.bias, known[2])
        scaled = x * (self.reference / self.eps).sqrt()
        return F.layer_norm(scaled, (self.width,), self.weight, self.bias, self.reference)


class Block(nn.Module):
    """Attention and feed-forward layer, each added to the residual stream."""

    def __init__(self, heads: int, width: int, hidden: int, activation: str, eps: float) -> None:
        super().__init__()
        self.heads, self.activation = heads, ACTIVATIONS[activation]
        self.norm1 = LayerNorm(width, eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = LayerNorm(width, eps)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor, last: bool = False) -> Tensor:
        """Return the stream after the block: x (B, T, D) -> (B, T, D), or (B, 1, D) if `last`.

        With `last` only the last position is computed: exact when nothing reads the others,
        because attention needs their keys and values but neither their queries nor outputs.
        """
        width = x.shape[-1]
        normal = self.norm1(x)
        if last:
            weight, bias = self.qkv.weight, self.qkv.bias
            query = F.linear(normal[:, -1:], weight[:width], bias[:width])
            key, value = F.linear(normal, weight[width:], bias[width:]).chunk(2, -1)
            x = x[:, -1:]
        else:
            query, key, value = self.qkv(normal).chunk(3, -1)
        parts = (part.unflatten(-1, (self.heads, -1)) for part in (query, key, value))
        x = x + self.out(attention(*parts).flatten(2))
        return x + self.down(self.activation(self.up(self.norm2(x))))


class Decoder(nn.Module):
    """Tokens (B, T) int64 -> logits (B, outputs) at the last position, T <= length."""

    def __init__(
        self,
        *,
        layers: int,
        heads: int,
        width: int,
        hidden: int,
        activation: str,
        vocabulary: int,
        length: int,
        outputs: int,
        eps: float,
    ) -> None:
        super().__init__()
        self.heads, self.activation = heads, ACTIVATIONS[activation]
        self.stacked = Decoders(layers, heads, activation)
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            Block(heads, width, hidden, activation, eps) for _ in range(layers)
        )
        self.norm = LayerNorm(width, eps)
        self.head = nn.Linear(width, outputs, bias=False)
        for table in (self.token, self.position):
            nn.init.normal_(table.weight, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, outputs) for tokens x (B, T)."""
        stream = self.token(x) + self.position.weight[: x.shape[1]]
        for block in self.blocks[:-1]:
            stream = block(stream)
        stream = self.blocks[-1](stream, last=True)
        return self.head(self.norm(stream[:, 0]))

    def forward_stacked(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return logits (K, B, outputs) of K networks, weights (K, ...), on shared tokens x."""
        return stacked_transformer.forward(
            weights, x, layers=len(self.blocks), heads=self.heads, activation=self.activation
        )

    def prepared(self, x: Tensor, device: torch.device) -> Prefixes:
        """Return the distinct prefixes of tokens x (B, T), as tables on `device`."""
        return prefixes(x).to(device)

    def gradient_stacked(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        shared: Prefixes,
        y: Tensor,
        operands: torch.dtype | None,
    ) -> tuple[Tensor, Tensor]:
        """Fill the gradients of K networks, which start at zero; return loss and accuracy (K,)."""
        decoders = replace(self.stacked, operands=operands)
        return decoders.gradient(Named(weights, gradients), shared, y)
