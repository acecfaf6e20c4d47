"""The decoder's forward pass for K networks at once, each distinct prefix computed once.

Differentiable; `transformer_gradient` is the same with the backward pass of the loss written out.
Shapes: K networks, B inputs, T positions, D width, R rows in all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from plugins.maths.networks.prefixes import Prefixes, prefixes


def forward(
    weights: Mapping[str, Tensor],
    x: Tensor,
    *,
    layers: int,
    heads: int,
    activation: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return logits (K, B, outputs) at the last position, for shared tokens x (B, T)."""
    rows = prefixes(x)
    stream = weights["token.weight"].index_select(1, rows.tokens)
    stream = stream + weights["position.weight"].index_select(1, rows.positions)
    for layer in range(layers):
        block = {
            name.removeprefix(f"blocks.{layer}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{layer}.")
        }
        attend = _attend_last if layer == layers - 1 else _attend
        stream = attend(block, stream, rows, heads)
        hidden = activation(_project(block, "norm2", "up", stream))
        stream = stream + torch.baddbmm(
            block["down.bias"][:, None], hidden, block["down.weight"].mT
        )
    gain, shift = weights["norm.weight"], weights["norm.bias"]
    normal = torch.addcmul(shift[:, None], _normal(stream, weights["norm.eps"]), gain[:, None])
    return torch.bmm(normal, weights["head.weight"].mT)


def _normal(x: Tensor, eps: Tensor, reference: float = 1e-5) -> Tensor:
    """Return LN_eps(x) without gain and shift: LN_eps(x) = LN_e0(x * sqrt(e0 / eps))."""
    scaled = x * (reference / eps).sqrt()[:, None, None]
    return F.layer_norm(scaled, x.shape[-1:], eps=reference)


def _folded(
    block: Mapping[str, Tensor], norm: str, linear: str, part: slice = slice(None)
) -> tuple[Tensor, Tensor]:
    """Return weight (K, D, out) and bias (K, 1, out) of `linear` with the gain in it."""
    weight, bias = block[f"{linear}.weight"][:, part], block[f"{linear}.bias"][:, part]
    shift = torch.baddbmm(bias[..., None], weight, block[f"{norm}.bias"][..., None])
    return (weight * block[f"{norm}.weight"][:, None]).mT, shift.mT


def _project(block: Mapping[str, Tensor], norm: str, linear: str, x: Tensor) -> Tensor:
    weight, bias = _folded(block, norm, linear)
    return torch.baddbmm(bias, _normal(x, block[f"{norm}.eps"]), weight)


def _attend(block: Mapping[str, Tensor], stream: Tensor, rows: Prefixes, heads: int) -> Tensor:
    """Return the stream (K, R, D) after attention at every row."""
    query, pair = _project(block, "norm1", "qkv", stream).tensor_split([stream.shape[-1]], dim=-1)
    mixed = []
    for t, one in enumerate(query.split(rows.sizes, dim=1)):
        seen = pair.index_select(1, rows.past[t]).unflatten(1, (-1, t + 1))
        mixed.append(_mixed(one, seen, heads))
    out = torch.baddbmm(block["out.bias"][:, None], torch.cat(mixed, 1), block["out.weight"].mT)
    return stream + out


def _attend_last(block: Mapping[str, Tensor], stream: Tensor, rows: Prefixes, heads: int) -> Tensor:
    """Return the stream (K, B, D) of the last position only, after attention."""
    width = stream.shape[-1]
    normal = _normal(stream, block["norm1.eps"])
    weight, bias = _folded(block, "norm1", "qkv", slice(width, None))
    pair = torch.baddbmm(bias, normal, weight)
    weight, bias = _folded(block, "norm1", "qkv", slice(0, width))
    query = torch.baddbmm(bias, normal.index_select(1, rows.final), weight)
    seen = pair.index_select(1, rows.last).unflatten(1, (len(rows.final), -1))
    mixed = _mixed(query, seen, heads)
    out = torch.baddbmm(block["out.bias"][:, None], mixed, block["out.weight"].mT)
    return stream.index_select(1, rows.final) + out


def _mixed(query: Tensor, seen: Tensor, heads: int) -> Tensor:
    """Return softmax attention of queries (K, U, D) over keys and values (K, U, t + 1, 2 D)."""
    key, value = (part.unflatten(-1, (heads, -1)) for part in seen.chunk(2, dim=-1))
    if seen.shape[2] == 1:
        return value.flatten(2)
    query = query.unflatten(-1, (1, heads, -1))
    score = (query * key).sum(-1) * query.shape[-1] ** -0.5
    return (score.softmax(2)[..., None] * value).sum(2).flatten(2)
