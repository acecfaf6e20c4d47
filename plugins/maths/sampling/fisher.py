"""Squared gradients of K stacked networks, what psgld and rsgld know of the centre w*."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from plugins.maths.networks.stacked import Cells, Stack
from runner.types import Seed


class Likelihood(Protocol):
    """The mean loss of stacked networks as a negative log-likelihood that can be drawn from."""

    stack: Stack
    x: Tensor
    points: int

    def gradient(
        self, flat: Tensor, cells: Cells, rows: Tensor | None, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the gradient (k, P) at `flat` to `out`; return loss and accuracy, (k,) each."""
        ...

    def randomness(self, draws: int, generator: torch.Generator) -> Tensor:
        """Return what lies behind `draws` labels drawn from a model."""
        ...

    def labels(self, outputs: Tensor, randomness: Tensor) -> Tensor:
        """Return a label for each row of outputs (B, C), drawn from the model."""
        ...

    def loss_of_one(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of a single input, outputs (C,)."""
        ...


@torch.no_grad()
def squared_gradient(
    target: Likelihood,
    center: Tensor,
    seed: Seed,
    *,
    batch_size: int,
    draws: int,
    chunk: int,
) -> Tensor:
    """Return V (K, P): squared minibatch gradient of the mean loss at w*, mean over draws."""
    generator = seed.torch("preconditioner")
    mean, out = torch.zeros_like(center), torch.empty_like(center[:chunk])
    for _ in range(draws):
        rows = torch.randperm(target.points, generator=generator)[:batch_size].to(center.device)
        for start in range(0, len(center), chunk):
            at = slice(start, min(start + chunk, len(center)))
            part = out[: at.stop - start]
            target.gradient(center[at], at, rows, part)
            mean[at].addcmul_(part, part, value=1 / draws)
    return mean


@torch.no_grad()
def diagonal(target: Likelihood, center: Tensor, seed: Seed, draws: int, rows: int = 64) -> Tensor:
    """Return F (K, P): diagonal Fisher information of one input at w*, by `draws` samples.

    Labels are drawn from the model, inputs from the data, and each sample's gradient is squared
    before the mean. Cells share inputs and the random numbers behind the labels. `rows` samples
    are differentiated at a time, for memory.
    """
    generator = seed.torch("fisher")
    inputs = torch.randint(target.points, (draws,), generator=generator).to(center.device)
    randomness = target.randomness(draws, generator)
    module, stack = target.stack.module, target.stack

    def score(weights: dict[str, Tensor], x: Tensor, y: Tensor, fixed: dict[str, Tensor]) -> Tensor:
        return target.loss_of_one(functional_call(module, weights | fixed, (x[None],))[0], y)

    each = vmap(grad(score), in_dims=(None, 0, 0, None))
    mean = torch.zeros_like(center)
    for cell in range(len(center)):
        at = slice(cell, cell + 1)
        weights = {name: value[0] for name, value in stack.layout.views(center[at]).items()}
        fixed = {name: value[0] for name, value in stack.buffers_of(at).items()}
        labels = target.labels(stack.logits(center[at], target.x[inputs], at)[0], randomness)
        for some in range(0, draws, rows):
            part = slice(some, some + rows)
            scores = each(weights, target.x[inputs[part]], labels[part], fixed)
            flat = torch.cat([value.reshape(len(value), -1) for value in scores.values()], dim=1)
            mean[cell] += flat.square_().sum(0) / draws
    return mean
