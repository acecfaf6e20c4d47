"""Gradients of a network's outputs, or of its loss, at single rows.

Shapes: N rows, B of them at once, C outputs, d entries of what is differentiated by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Of = Literal["logits", "loss"]
FEW = 8  # rows of a trial pass that finds out how much memory one row takes


@dataclass(frozen=True)
class RowGradients:
    """Derivatives of each row's own outputs by a block of numbers that belongs to this row.

    The block is the row's input, or what the layer `block` gives for it, such as the embeddings of
    its tokens. A network in evaluation mode treats rows apart from one another, so the gradient of
    a sum over rows holds each row's own: nothing is averaged before it is differentiated.
    """

    module: nn.Module  # in evaluation mode, its parameters frozen
    block: str | None  # None: the input
    of: Of

    @classmethod
    def by(cls, module: nn.Module, block: str, of: Of, x: Tensor) -> RowGradients:
        """Differentiate by layer `block`; "" is the input, or the embedding where x are tokens.

        Raises: ValueError when there is no such layer, or tokens meet no embedding.
        """
        layers = dict(module.named_modules())
        if block and block not in layers:
            there = ", ".join(name for name in layers if name)
            raise ValueError(f"block = {block!r}: the network has no such layer, only {there}")
        if not block and not x.is_floating_point():
            found = [name for name, layer in layers.items() if isinstance(layer, nn.Embedding)]
            if not found:
                raise ValueError(
                    f"inputs of type {x.dtype} cannot be differentiated by and the network has "
                    "no embedding; name a layer as `block`"
                )
            block = found[0]
        return cls(module.eval().requires_grad_(False), block or None, of)

    def each(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """Yield, for each output, its derivatives at every row: C times (B, d); once for a loss.

        Raises: FloatingPointError naming the first row, of these, that is not finite.
        """
        block, outputs = self._forward(x)
        if self.of == "loss":
            picked, last = iter([loss_derivatives(outputs.detach(), y)]), 1
        else:
            picked, last = _columns(outputs), outputs.shape[1]
        for at, weights in enumerate(picked, 1):
            (found,) = torch.autograd.grad(outputs, block, weights, retain_graph=at < last)
            found = found.flatten(1)
            if not (fine := found.isfinite().all(1)).all():
                raise FloatingPointError(f"row {int((~fine).nonzero()[0])}: gradient not finite")
            yield found

    def sizes(self, x: Tensor) -> tuple[int, int]:
        """Return C, 1 for a loss, and d."""
        block, outputs = self._forward(x[:1])
        return (1 if self.of == "loss" else outputs.shape[1]), block[0].numel()

    def bytes_a_row(self, x: Tensor) -> float:
        """Return the memory that a forward pass keeps for the way back, per row."""
        own = {value.untyped_storage().data_ptr() for value in self.module.state_dict().values()}
        kept: dict[int, int] = {}

        def note(value: Tensor) -> Tensor:
            kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
            return value

        few = x[:FEW]
        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            out = self._forward(few)  # alive until counted: no address comes twice
        total = sum(size for place, size in kept.items() if place not in own)
        del out
        return max(1.0, total / len(few))

    @torch.enable_grad()
    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block, a leaf, and the outputs (B, C)."""
        if self.block is None:
            leaf = x.detach().clone().requires_grad_()
            return leaf, self.module(leaf).reshape(len(x), -1)
        found: list[Tensor] = []

        def put_leaf(layer: nn.Module, given: Any, output: Tensor) -> Tensor:
            del layer, given
            found.append(output.detach().requires_grad_())
            return found[-1]

        handle = self.module.get_submodule(self.block).register_forward_hook(put_leaf)
        try:
            outputs = self.module(x)
        finally:
            handle.remove()
        if len(found) != 1 or len(found[0]) != len(x):
            raise ValueError(
                f"block {self.block!r} must be called once, with one output for each row; it was "
                f"called {len(found)} times"
            )
        return found[0], outputs.reshape(len(x), -1)


def loss_derivatives(outputs: Tensor, y: Tensor) -> Tensor:
    """Return d loss / d outputs of each row alone, (B, C).

    For classes the cross-entropy: p - one-hot, with -(sum of the other p) in place of p - 1, which
    has no digits left where a row is predicted well. For real targets the mean square.
    """
    if y.is_floating_point():
        return 2 * (outputs - y.to(outputs.dtype).reshape(outputs.shape)) / outputs.shape[1]
    target = y.long()[:, None]
    others = outputs.softmax(1).scatter(1, target, 0.0)
    return others.scatter(1, target, -others.sum(1, keepdim=True))


def _columns(outputs: Tensor) -> Iterator[Tensor]:
    """Yield for each output the weights (B, C) that pick it."""
    for column in range(outputs.shape[1]):
        weights = torch.zeros_like(outputs)
        weights[:, column] = 1.0
        yield weights
