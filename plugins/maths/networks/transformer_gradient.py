"""The decoder's loss gradient for K networks at once, forward and backward written out by hand.

No autograd graph is built: every piece of the forward pass returns its result and the function
that carries a gradient back through it and writes the gradients of its weights where they belong.
What the reverse pass needs is kept once, in the form that its products read. LayerNorm's gain and
shift are folded into the linear map that follows (W LN(x) = (W g) x^ + W s, x^ without both), whose
weights are smaller than the stream. Rows are shared between inputs as in `prefixes`; in the first
layer, where the stream depends on token and position alone, one row per such pair is projected.

Equal to autograd through `stacked_transformer.forward` to rounding. Shapes: K networks, B inputs,
D width, H heads, R rows, N source rows (of pairs in the first layer, else R), O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from plugins.maths.networks.attention_links import Links, Past
from plugins.maths.networks.prefixes import Prefixes, apart

aten = torch.ops.aten
Back = Callable[[Tensor], Tensor]  # gradient of a result -> gradient of the argument
REFERENCE = 1e-5  # LN_eps(x) = LN_e0(x * sqrt(e0 / eps)): a float e0 for the kernel, eps by cell


@dataclass(frozen=True)
class Named:
    """Weights (K, ...) by name and the views their gradients go to, which start at zero."""

    weights: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    prefix: str = ""

    def block(self, layer: int) -> Named:
        """Return those of one layer, by their names within it."""
        return Named(self.weights, self.gradients, f"blocks.{layer}.")

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[self.prefix + name]

    def gradient(self, name: str) -> Tensor:
        """Return where the gradient of a weight goes."""
        return self.gradients[self.prefix + name]


@dataclass(frozen=True)
class Decoders:
    """An architecture of decoders.

    Attributes:
        layers, heads: their numbers.
        activation: relu or gelu.
        operands: the type in which matrices are multiplied, all but the last one; None is the
            weights' own. Sums over rows, norms, softmax, loss and the stream keep the latter.
    """

    layers: int
    heads: int
    activation: str
    operands: torch.dtype | None = None

    def gradient(self, named: Named, rows: Prefixes, y: Tensor) -> tuple[Tensor, Tensor]:
        """Write the gradients of the mean cross-entropy; return its value and the accuracy, (K,).

        Shapes: labels y (B,); every gradient as its weight.
        """
        logits, back = self.run(named, rows)
        value, right, slope = cross_entropy(logits, y)
        back(slope)
        return value, right

    def run(self, named: Named, rows: Prefixes) -> tuple[Tensor, Back]:
        """Return logits (K, B, O), and the function that writes all gradients from theirs."""
        stream, embed_back = _embedding(named, rows)
        backs = []
        for layer in range(self.layers):
            last, first = layer == self.layers - 1, layer == 0
            past, links = rows.links(first, last, len(stream), self.heads)
            stream, back = self._attention(named.block(layer), stream, past, links)
            backs.append(back)
            stream, back = self._feed_forward(named.block(layer), stream)
            backs.append(back)
        unit, unit_back = _normal(stream, named["norm.eps"])
        logits, head_back = _projection(named, "norm", "head", unit)

        def whole(slope: Tensor) -> Tensor:
            slope = unit_back(head_back(slope), torch.zeros_like(unit))
            for back in reversed(backs):
                slope = back(slope)
            return embed_back(slope)

        return logits, whole

    def _operand(self, x: Tensor) -> Tensor:
        return x if self.operands is None else x.to(self.operands)

    def _attention(
        self, named: Named, stream: Tensor, past: Past, links: Links
    ) -> tuple[Tensor, Back]:
        """Add attention: source rows (K, N, D) -> the queries' rows (K, R, D)."""
        unit, unit_back = _normal(stream, named["norm1.eps"])
        source, width, own = self._operand(unit), stream.shape[-1], past.own
        few = own if apart(past, stream.shape[1]) else None
        if few is not None:
            query, query_back = _projection(
                named, "norm1", "qkv", source.index_select(1, few), part=slice(0, width)
            )
            table, back_table = _projection(named, "norm1", "qkv", source, part=slice(width, None))
        else:
            table, back_table = _projection(named, "norm1", "qkv", source)
            query = table[..., :width]
            query = query if own is None else query.index_select(1, own)
        mixed, mixed_back = _mixed(query, table, links)
        mixed = self._operand(mixed)
        weight = self._operand(named["out.weight"])
        kept = stream if own is None else stream.index_select(1, own)
        result = _add_product(kept + named["out.bias"][:, None], mixed, weight.mT)

        def back(slope: Tensor) -> Tensor:
            factor = self._operand(slope)
            _product(factor.mT, mixed, named.gradient("out.weight"))
            torch.sum(slope, 1, out=named.gradient("out.bias"))
            table_slope = torch.empty_like(table)
            query_slope = mixed_back(torch.bmm(factor, weight).to(slope.dtype), table_slope)
            if few is not None:
                unit_slope = back_table(table_slope)
                unit_slope.index_add_(1, few, query_back(query_slope))
            else:
                _put_rows(table_slope[..., :width], own, query_slope)
                unit_slope = back_table(table_slope)
            if own is None:
                return unit_back(unit_slope, slope)
            return unit_back(unit_slope, torch.zeros_like(stream).index_add_(1, own, slope))

        return result, back

    def _feed_forward(self, named: Named, stream: Tensor) -> tuple[Tensor, Back]:
        """Add the feed-forward layer: (K, R, D) -> (K, R, D)."""
        unit, unit_back = _normal(stream, named["norm2.eps"])
        before, before_back = _projection(named, "norm2", "up", self._operand(unit), wide=False)
        relu = self.activation == "relu"
        hidden = before.relu_() if relu else F.gelu(before)
        weight = self._operand(named["down.weight"])
        result = _add_product(stream + named["down.bias"][:, None], hidden, weight.mT)

        def back(slope: Tensor) -> Tensor:
            factor = self._operand(slope)
            _product(factor.mT, hidden, named.gradient("down.weight"))
            torch.sum(slope, 1, out=named.gradient("down.bias"))
            inner = torch.bmm(factor, weight)
            if relu:
                aten.threshold_backward.grad_input(inner, hidden, 0, grad_input=inner)
            else:
                aten.gelu_backward.grad_input(inner, before, grad_input=inner)
            return unit_back(before_back(inner), slope)

        return result, back


def _embedding(named: Named, rows: Prefixes) -> tuple[Tensor, Back]:
    """Return the stream (K, N, D) of the pairs."""
    tables = (("token.weight", rows.pair_tokens), ("position.weight", rows.pair_positions))
    parts = [named[table].index_select(1, index) for table, index in tables]

    def back(slope: Tensor) -> Tensor:
        for table, index in tables:
            named.gradient(table).index_add_(1, index, slope)
        return slope

    return parts[0].add_(parts[1]), back


def _normal(x: Tensor, eps: Tensor) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Return LN_eps(x) without gain and shift, (K, rows, D).

    The way back takes the gradient of the result and what the argument's is to be added to.
    """
    scale = (REFERENCE / eps).sqrt()[:, None, None]
    unit, _, rate = torch.native_layer_norm(x * scale, x.shape[-1:], None, None, REFERENCE)

    def back(slope: Tensor, into: Tensor) -> Tensor:
        # The kernel's formula at mean 0 and rate 1 wants the result in the argument's place.
        none, one = torch.zeros_like(rate), torch.ones_like(rate)
        inner, _, _ = aten.native_layer_norm_backward(
            slope.to(unit.dtype), unit, unit.shape[-1:], none, one, None, None, [True, False, False]
        )
        return into.addcmul_(inner, rate * scale)

    return unit, back


def _projection(
    named: Named, norm: str, linear: str, x: Tensor, *, part: slice = slice(None), wide: bool = True
) -> tuple[Tensor, Back]:
    """Return gain, shift and linear map of normalised rows x, (K, rows, outputs).

    Multiplied in the type of x; the result has the weights' type if `wide`, else that of x.
    """
    weight = named[f"{linear}.weight"][:, part]
    gain, shift = named[f"{norm}.weight"], named[f"{norm}.bias"]
    folded = (weight * gain[:, None]).to(x.dtype)
    bias = torch.bmm(shift[:, None], weight.mT)
    biased = linear != "head"
    if biased:
        bias += named[f"{linear}.bias"][:, None, part]
    if x.dtype == bias.dtype:
        result = torch.baddbmm(bias, x, folded.mT)
    else:
        result = torch.bmm(x, folded.mT)
        result = result + bias if wide else result.add_(bias.to(x.dtype))

    def back(slope: Tensor) -> Tensor:
        factor = slope.to(x.dtype)
        raw = torch.bmm(factor.mT, x).to(weight.dtype)
        total = _over_rows(factor, weight.dtype)  # (K, 1, outputs)
        if biased:
            named.gradient(f"{linear}.bias")[:, part] = total[:, 0]
        named.gradient(f"{norm}.weight").add_((raw * weight).sum(1))
        named.gradient(f"{norm}.bias").add_(torch.bmm(total, weight)[:, 0])
        into = named.gradient(f"{linear}.weight")[:, part]
        torch.mul(raw, gain[:, None], out=into)
        into.addcmul_(total.mT, shift[:, None])
        return torch.bmm(factor, folded)

    return result, back


def _mixed(
    query: Tensor, table: Tensor, links: Links
) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Return attention (K, R, D) of queries (K, R, D) to the keys and values that end the table.

    The way back writes the gradients of keys and values to its second argument, which is like the
    table, and returns the queries'.
    """
    shape, width = query.shape, query.shape[-1]
    depth = width // links.heads
    runs = table.shape[-1] // width
    key, value = runs - 2, runs - 1
    flat, rows = query.reshape(-1, depth), table.view(-1, depth)
    scale = depth**-0.5
    weight = links.softmax(links.products(flat, rows, key).mul_(scale))
    result = links.sums(rows, value, weight)

    def back(slope: Tensor, into: Tensor) -> Tensor:
        slope = slope.view(-1, depth)
        score = links.softmax_back(links.products(slope, rows, value), weight).mul_(scale)
        for run, queries, factor in ((key, flat, score), (value, slope, weight)):
            part = into[..., run * width : (run + 1) * width]
            part.copy_(links.turned_sums(queries, factor).view(part.shape))
        return links.sums(rows, key, score).view(shape)

    return result.view(shape), back


def _over_rows(x: Tensor, kind: torch.dtype) -> Tensor:
    """Return the sum of (K, rows, columns) over rows, (K, 1, columns), in a type.

    Half precision is summed by a product, which does so in single precision and is faster.
    """
    if x.dtype == kind:
        return x.sum(1, keepdim=True)
    return torch.bmm(x.new_ones(len(x), 1, x.shape[1]), x).to(kind)


def _put_rows(into: Tensor, rows: Tensor | None, values: Tensor) -> None:
    """Write the sums of values (K, R, D) by row to `into`, (K, N, D); None is row by row."""
    if rows is None:
        into.copy_(values)
    else:
        into.zero_().index_add_(1, rows, values)


def _add_product(into: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return `into` after adding the product of a and b in place, (K, rows, columns)."""
    return into.baddbmm_(a, b) if a.dtype == into.dtype else into.add_(torch.bmm(a, b))


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Write the product to `out`, whose type may be wider."""
    if a.dtype == out.dtype:
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a, b))


def cross_entropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean loss and accuracy, (K,), and the gradient of the loss, as logits (K, B, O).

    The label's own entry is -(1 - p) by expm1, to full precision where p is close to 1.
    """
    labels = y.expand(len(logits), -1)[..., None]
    chosen = logits.gather(2, labels)[..., 0]
    right = (chosen >= logits.amax(2)).to(logits.dtype).mean(1)
    log = logits.log_softmax(2)
    own = log.gather(2, labels)
    slope = log.exp_().scatter_(2, labels, own.expm1()).div_(len(y))
    return -own.mean((1, 2)), right, slope
