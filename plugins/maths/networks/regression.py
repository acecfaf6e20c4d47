"""Squared loss of K stacked networks on one split: the Gaussian counterpart of `Classification`.

Shapes: K networks, P parameters each, B inputs, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from plugins.maths.networks.analytic import LinearInInputs
from plugins.maths.networks.stacked import Cells, Stack, forward
from runner.types import Split


class Regression:
    """Mean of |y - f(x)|^2 / 2, the negative log-likelihood (nats, less a constant) of unit noise.

    There is no accuracy: it is nan throughout. For a network that is linear in its inputs, a loss
    over all the data is that over the rows of a triangular factor of [x y], which has the same
    second moments: equal to rounding, at the cost of I + C rows in the place of all. Such a network
    states its gradient; for any other it is taken by autograd.
    """

    classes = None

    def __init__(self, stack: Stack, data: Split, device: str = "cpu") -> None:
        self.stack = stack
        self.x, self.y = (
            torch.as_tensor(data[name], device=device).to(stack.flat.dtype) for name in "xy"
        )
        self.points = len(self.y)
        self.y = self.y.reshape(self.points, -1)
        self.whole = self.x, self.y
        self.linear = stack.module if isinstance(stack.module, LinearInInputs) else None
        if self.linear is not None:
            self.whole = _condensed(self.x, self.y)

    def gradient(
        self, flat: Tensor, cells: Cells, rows: Tensor | None, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the gradient (k, P) at `flat` to `out`; return loss and nan, (k,) each.

        `rows` picks the minibatch, shared by the networks; None takes every data point.
        """
        x, y = self.whole if rows is None else (self.x[rows], self.y[rows])
        weights = self.stack.layout.views(flat)
        loss, parts = (
            self._automatic(weights, cells, x, y)
            if self.linear is None
            else _stated(self.linear, weights, x, y)
        )
        for view, part in zip(self.stack.layout.views(out).values(), parts, strict=True):
            view.copy_(part)
        return loss, torch.full_like(loss, torch.nan)

    def _automatic(
        self, weights: Mapping[str, Tensor], cells: Cells, x: Tensor, y: Tensor
    ) -> tuple[Tensor, Sequence[Tensor]]:
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        with torch.enable_grad():
            outputs = forward(self.stack.module, leaves | self.stack.buffers_of(cells), x)
            loss = squared(outputs, y).mean(1)
            parts = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return loss.detach(), parts

    @torch.no_grad()
    def exact(self, flat: Tensor, cells: Cells, rows: int = 2048) -> tuple[Tensor, Tensor]:
        """Return loss over every data point, summed in double precision, and nan, (k,)."""
        loss = torch.zeros(len(flat), dtype=torch.float64, device=flat.device)
        for x, y in zip(self.x.split(rows), self.y.split(rows), strict=True):
            loss += squared(self.stack.logits(flat, x, cells), y).sum(1, dtype=torch.float64)
        return loss / self.points, torch.full_like(loss, torch.nan)

    def randomness(self, draws: int, generator: torch.Generator) -> Tensor:
        """Return what lies behind `draws` targets drawn from a model: normal noise (draws, C)."""
        noise = torch.randn(draws, self.y.shape[1], generator=generator, dtype=torch.float64)
        return noise.to(self.y.device)

    @staticmethod
    def labels(outputs: Tensor, noise: Tensor) -> Tensor:
        """Return targets (B, C) drawn from N(outputs, I)."""
        return outputs + noise.to(outputs.dtype)

    @staticmethod
    def loss_of_one(outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of a single input, outputs (C,) and target (C,)."""
        return (outputs - y).square().sum() / 2


def squared(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each input, (K, B), for outputs (K, B, C) and targets (B, C)."""
    return (outputs.flatten(2) - y).square().sum(2) / 2


def _stated(
    module: LinearInInputs, weights: Mapping[str, Tensor], x: Tensor, y: Tensor
) -> tuple[Tensor, Sequence[Tensor]]:
    matrix, back = module.matrix(weights)
    residual = x @ matrix - y
    loss = residual.square().sum((1, 2)) / (2 * len(x))
    return loss, back(x.mT @ residual / len(x))


def _condensed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return few rows with the second moments of [x y] about zero, means over rows alike."""
    inputs = x.shape[1]
    both = torch.cat([x, y], dim=1)
    if len(both) <= both.shape[1]:
        return x, y
    factor = torch.linalg.qr(both.double(), mode="r").R
    rows = factor * (len(factor) / len(both)) ** 0.5
    return rows[:, :inputs].to(x), rows[:, inputs:].to(y)
