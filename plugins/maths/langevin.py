"""Langevin samplers with a frozen metric, for many networks (cells) at once.

One step with metric D, gradient g of the mean loss, localiser Lambda and centre w*:

    w <- w - (e/2) D [n*beta g + Lambda (w - w*)] + sqrt(e D) xi,   xi ~ N(0, I).

D does not change while draws are kept, so no divergence term is needed. Noise and minibatches
depend on (seed, chain, step) alone: cells share them, and a cell's result does not depend on which
other cells are computed with it, nor on how many at a time. Shapes: K cells, P parameters.

Sources: Welling and Teh 2011 (sgld); Li et al. 2016 (psgld); Patterson and Teh 2013 (rsgld); Ma,
Chen and Fox 2015 for the general form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from plugins.maths.stacked import Layout
from runner.types import Seed


class Target(Protocol):
    """The mean loss of K cells over `points` data points, and its minibatch gradient."""

    points: int

    def gradient(
        self, flat: Tensor, cells: slice, rows: Tensor | None, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the gradient at flat (k, P) to out; return loss and accuracy (k,)."""
        ...


@dataclass(frozen=True)
class Rule:
    """How a sampler turns what it knows at w* into the diagonal metric D.

    Attributes:
        sampler: sgld D = 1; psgld D = 1 / (floor + sqrt V), V a running mean of squared minibatch
            gradients; rsgld D = 1 / (floor + F), F the diagonal Fisher information at w*; sisgld
            D = |w*_t|^2 + floor, one number for each tensor t.
        floor: see `relative`.
        relative: whether the floor counts in units of the tensor's mean of sqrt V, F or |w*|^2.
        norm: of sisgld, mean or sum of the squared entries of a tensor.
        direction: of sisgld, multiply by the squared norm or divide by it.
        metric_localiser: Lambda = gamma / D (covariant) if true, else gamma.
        decay: of psgld, weight of the past in V during burn-in.
    """

    sampler: Literal["sgld", "psgld", "rsgld", "sisgld"]
    floor: float
    relative: bool
    norm: Literal["mean_square", "sum_square"] = "mean_square"
    direction: Literal["multiply", "divide"] = "multiply"
    metric_localiser: bool = False
    decay: float = 0.99

    def metric(self, layout: Layout, center: Tensor, curvature: Tensor | None) -> Tensor:
        """Return D: (K, 1) for sgld, else (K, P). `curvature` is V or F where one is needed."""
        if self.sampler == "sgld":
            return torch.ones_like(center[:, :1])
        if self.sampler == "sisgld":
            return self._squared_norms(layout, center)
        value = curvature.sqrt() if self.sampler == "psgld" else curvature
        return 1 / (value + self._floor(layout, value))

    def _floor(self, layout: Layout, value: Tensor) -> Tensor | float:
        if not self.relative:
            return self.floor
        sizes = torch.tensor(layout.sizes, device=value.device)
        return self.floor * layout.spread(layout.gathered(value) / sizes)

    def _squared_norms(self, layout: Layout, center: Tensor) -> Tensor:
        squared = layout.gathered(center.square())
        if self.norm == "mean_square":
            squared = squared / torch.tensor(layout.sizes, device=center.device)
        squared = squared * (1 + self.floor) if self.relative else squared + self.floor
        if self.direction == "divide":
            squared = torch.where(squared > 0, 1 / squared, 0.0)
        return layout.spread(squared)


@dataclass(frozen=True)
class Schedule:
    """Chain lengths and strengths; step_size and localisation may differ by cell, (K,)."""

    step_size: Tensor
    localisation: Tensor
    n_beta: float
    steps: int
    burn_in: int
    chains: int
    batch_size: int


@dataclass(frozen=True)
class Traces:
    """What the chains leave. Losses (nats) and accuracies are of the minibatch, before each step.

    Attributes:
        loss, accuracy: (K, chains, steps), burn-in not included.
        reach: (K,) mean over entries of Lambda (w - w*)^2 at the end; 1 where the localiser alone
            holds a direction and the chain has reached equilibrium in it.
        drift: (K,) |w - w*| / |w*| at the end, mean of chains.
        frozen: (K,) number of parameter tensors that the metric keeps in place.
    """

    loss: Tensor
    accuracy: Tensor
    reach: Tensor
    drift: Tensor
    frozen: Tensor


@dataclass
class Coefficients:
    """The three factors of a step, broadcastable to (K, P)."""

    gain: Tensor  # on the gradient
    pull: Tensor  # towards the centre
    noise: Tensor
    stiffness: Tensor  # Lambda, for the reach

    @classmethod
    def of(cls, rule: Rule, metric: Tensor, schedule: Schedule) -> Coefficients:
        """Return the factors for metric D, (K, 1) or (K, P)."""
        step, gamma = schedule.step_size[:, None], schedule.localisation[:, None]
        if rule.metric_localiser:
            pull = (step / 2 * gamma).expand(-1, 1)
            stiffness = torch.where(metric > 0, gamma / metric, 0.0)
        else:
            pull, stiffness = step / 2 * gamma * metric, gamma.expand(-1, 1)
        return cls(step / 2 * schedule.n_beta * metric, pull, (step * metric).sqrt(), stiffness)

    def advance(
        self, flat: Tensor, center: Tensor, gradient: Tensor, xi: Tensor, at: slice
    ) -> None:
        """Move the cells `at`, flat (k, P), one step in place with noise (1 or k, P)."""
        flat.lerp_(center, self.pull[at])
        flat.addcmul_(self.gain[at], gradient, value=-1.0)
        flat.addcmul_(self.noise[at], xi)


class Draws:
    """Minibatches and noise of one chain, in order of steps, drawn on the CPU on every device."""

    def __init__(
        self, seed: Seed, chain: int, sizes: tuple[int, int], streams: Sequence[str] | None
    ) -> None:
        self._minibatch = seed.torch("minibatch", chain)
        own = [()] if streams is None else [(stream,) for stream in streams]
        self._noise = [seed.torch("noise", *stream, chain) for stream in own]
        self._points, self._batch_size = sizes

    def rows(self, device: torch.device) -> Tensor | None:
        """Return the next minibatch, without replacement; None is all the data."""
        if self._batch_size >= self._points:
            return None
        order = torch.randperm(self._points, generator=self._minibatch)
        return order[: self._batch_size].to(device)

    def noise(self, like: Tensor) -> Tensor:
        """Return the next standard normal vector of all cells, (1, P), or of each, (K, P)."""
        size = like.shape[1]
        xi = [torch.randn(size, generator=source, dtype=like.dtype) for source in self._noise]
        return torch.stack(xi).to(like.device)


def names(center: Tensor) -> list[str]:
    """Return a name for the noise stream of each cell, which follows from its weights alone."""
    rows = center.cpu().numpy()
    return [hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in rows]


@torch.no_grad()
def sample(
    target: Target,
    layout: Layout,
    center: Tensor,
    *,
    rule: Rule,
    schedule: Schedule,
    seed: Seed,
    curvature: Tensor | None = None,
    streams: Sequence[str] | None = None,
    chunk: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Traces:
    """Run the chains from center (K, P) and return their traces.

    `curvature` (K, P) is what psgld and rsgld know at w*. Cells share their noise, unless `streams`
    names one for each. `chunk` cells are evaluated at a time,
    for memory; it does not change a number.
    """
    cells, total = len(center), schedule.burn_in + schedule.steps
    slices = [slice(at, min(at + chunk, cells)) for at in range(0, cells, chunk)]
    gradient = torch.empty_like(center[:chunk])
    loss = center.new_empty(total, schedule.chains, cells)
    accuracy = torch.empty_like(loss)
    reach, drift = torch.zeros_like(center[:, 0]), torch.zeros_like(center[:, 0])
    for chain in range(schedule.chains):
        draws = Draws(seed, chain, (target.points, schedule.batch_size), streams)
        running = curvature.clone() if rule.sampler == "psgld" else curvature
        metric = rule.metric(layout, center, running)
        factors = Coefficients.of(rule, metric, schedule)
        flat = center.clone()
        for step in range(total):
            rows, xi = draws.rows(center.device), draws.noise(center)
            adapting = rule.sampler == "psgld" and step < schedule.burn_in
            for at in slices:
                out = gradient[: at.stop - at.start]
                loss[step, chain, at], accuracy[step, chain, at] = target.gradient(
                    flat[at], at, rows, out
                )
                if adapting:
                    running[at].mul_(rule.decay).addcmul_(out, out, value=1 - rule.decay)
                factors.advance(flat[at], center[at], out, xi if streams is None else xi[at], at)
            if adapting:
                metric = rule.metric(layout, center, running)
                factors = Coefficients.of(rule, metric, schedule)
            if progress:
                progress(chain * total + step + 1, schedule.chains * total)
        reach += _reach(flat - center, factors.stiffness, metric) / schedule.chains
        drift += (flat - center).norm(dim=1) / center.norm(dim=1) / schedule.chains
    kept = slice(schedule.burn_in, None)
    return Traces(
        loss[kept].permute(2, 1, 0).contiguous(), accuracy[kept].permute(2, 1, 0).contiguous(),
        reach, drift,
        _frozen(layout, metric, center),
    )  # fmt: skip


def _reach(moved: Tensor, stiffness: Tensor, metric: Tensor) -> Tensor:
    free = (metric > 0).expand_as(moved)
    energy = (stiffness * moved.square()).masked_fill(~free, 0.0)
    return energy.sum(1) / free.sum(1).clamp(min=1)


def _frozen(layout: Layout, metric: Tensor, center: Tensor) -> Tensor:
    still = (metric <= 0).expand_as(center).to(center.dtype)
    sizes = torch.tensor(layout.sizes, device=center.device)
    return (layout.gathered(still) == sizes).sum(1)
