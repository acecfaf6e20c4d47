"""Langevin samplers with a frozen metric, for many networks (cells) at once.

One step with metric D, gradient g of the mean loss, localiser Lambda and centre w*:

    w <- w - (e/2) D [n*beta g + Lambda (w - w*)] + sqrt(e D) xi,   xi ~ N(0, I).

D does not change while draws are kept, so no divergence term is needed. It is settled half a
burn-in before them: a V that ends with the chain's last places keeps the chain near them, for D is
small far out. Noise and minibatches depend on (seed, chain, step) alone: cells share them, and a
cell's result does not depend on which other cells are computed with it, nor on how many at a time.
Shapes: K cells, P parameters.

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

from plugins.maths.networks.stacked import Layout
from plugins.maths.sampling.memory import keep_freed_memory
from runner.types import Seed


class Target(Protocol):
    """The mean loss of K cells over `points` data points, and its minibatch gradient."""

    points: int

    def gradient(
        self, flat: Tensor, cells: Tensor, rows: Tensor | None, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the gradient at flat (k, P) to out; return loss and accuracy (k,).

        `cells` (k,) says which cell each network is of; a cell may come several times, once for
        each of its chains. `rows` (on the CPU) picks the minibatch; None is all the data. The
        networks of one minibatch are asked for one after the other, with the same `rows` object.
        """
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
        decay: of psgld, weight of the past in V, which adapts in the first half of burn-in.
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

    def adapts(self, step: int) -> bool:
        """Tell whether psgld's V still follows the gradients at this step."""
        return step < self.burn_in // 2


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
    """The factors of a step, broadcastable to (K, chains, P).

    With s = sqrt(e D) the step is w <- w + pull (w* - w) + s (xi - heat s g): one factor as large
    as the weights is read instead of two.
    """

    pull: Tensor  # towards the centre: (e / 2) D Lambda
    noise: Tensor  # s
    heat: float  # n*beta / 2
    stiffness: Tensor  # Lambda, for the reach

    @classmethod
    def of(cls, rule: Rule, metric: Tensor, schedule: Schedule) -> Coefficients:
        """Return the factors for metric D, (K, 1 or chains, 1 or P)."""
        step, gamma = schedule.step_size[:, None, None], schedule.localisation[:, None, None]
        if rule.metric_localiser:
            pull, stiffness = step / 2 * gamma, torch.where(metric > 0, gamma / metric, 0.0)
        else:
            pull, stiffness = step / 2 * gamma * metric, gamma
        return cls(pull, (step * metric).sqrt(), schedule.n_beta / 2, stiffness)

    def advance(
        self, flat: Tensor, center: Tensor, gradient: Tensor, xi: Tensor, at: slice
    ) -> None:
        """Move the cells `at`, flat (k, chains, P), one step in place.

        center is (k, 1, P), gradient like flat, which is used up, noise xi (1 or k, chains, P).
        """
        noise = self.noise[at]
        torch.addcmul(xi, noise, gradient, value=-self.heat, out=gradient)
        flat.lerp_(center, self.pull[at]).addcmul_(noise, gradient)


class Draws:
    """Minibatches and noise of some chains, in order of steps, drawn on the CPU on every device.

    Each chain has its own streams, so what it draws depends on no other chain. Noise is drawn
    for several steps at a time, in rows padded to a multiple of 16 numbers: the generator works in
    blocks of 16, and so the numbers do not depend on how many steps are drawn ahead.
    """

    AHEAD = 1 << 21  # numbers drawn at a time, at most (unless one step needs more)

    def __init__(
        self, seed: Seed, chains: range, sizes: tuple[int, int], streams: Sequence[str] | None
    ) -> None:
        self._minibatch = seed.torch("minibatch", chains.start)
        own = [()] if streams is None else [(stream,) for stream in streams]
        self._noise = [[seed.torch("noise", *one, chain) for chain in chains] for one in own]
        self._points, self._batch_size = sizes
        self._ready: list[Tensor] = []

    def rows(self) -> Tensor | None:
        """Return the next minibatch of the first chain, no row twice; None is all the data.

        It stays on the CPU, where tables are made of it without waiting for a device.
        """
        if self._batch_size >= self._points:
            return None
        order = torch.randperm(self._points, generator=self._minibatch)
        return order[: self._batch_size]

    def noise(self, like: Tensor) -> Tensor:
        """Return the next standard normal vectors, (1, chains, P), or of each cell (K, chains, P).

        `like` is (..., P); it says the number type, the device and P.
        """
        if not self._ready:
            self._ready = list(self._drawn(like).unbind(2))[::-1]
        return self._ready.pop()

    def _drawn(self, like: Tensor) -> Tensor:
        """Return noise for some steps to come, (1 or K, chains, steps, P)."""
        size = like.shape[-1]
        padded = -(-size // 16) * 16
        rows, chains = len(self._noise), len(self._noise[0])
        ahead = max(1, self.AHEAD // (rows * chains * padded))
        xi = torch.empty(rows, chains, ahead, padded, dtype=like.dtype)
        for row, sources in zip(xi, self._noise, strict=True):
            for part, source in zip(row, sources, strict=True):
                part.normal_(generator=source)
        return xi[..., :size].to(like.device)


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
    names one for each. `chunk` networks are evaluated at a time, for memory; it does not change a
    number. Chains that share their data, because the minibatch is all of it, are networks of one
    computation; else one chain runs after the other.
    """
    keep_freed_memory()
    cells, total = len(center), schedule.burn_in + schedule.steps
    loss = center.new_empty(total, cells, schedule.chains)
    accuracy = torch.empty_like(loss)
    reach, drift = torch.zeros_like(center[:, 0]), torch.zeros_like(center[:, 0])
    together = schedule.chains if schedule.batch_size >= target.points else 1
    slices = _slices(cells, max(1, chunk // together))
    for start in range(0, schedule.chains, together):
        chains = range(start, start + together)
        chain = _Chains(
            target, layout, center[:, None], rule, schedule, curvature, together, slices
        )
        draws = Draws(seed, chains, (target.points, schedule.batch_size), streams)
        for step in range(total):
            rows, xi = draws.rows(), draws.noise(center)
            here = (step, slice(None), slice(chains.start, chains.stop))
            chain.step(rows, xi, schedule.adapts(step), loss[here], accuracy[here])
            if progress:
                progress(start * total + (step + 1) * together, schedule.chains * total)
        reach += chain.reach().sum(1) / schedule.chains
        drift += chain.drift().sum(1) / schedule.chains
    kept = slice(schedule.burn_in, None)
    return Traces(
        loss[kept].permute(1, 2, 0).contiguous(), accuracy[kept].permute(1, 2, 0).contiguous(),
        reach, drift,
        _frozen(layout, chain.metric[:, 0], center),
    )  # fmt: skip


def _slices(count: int, width: int) -> list[slice]:
    return [slice(at, min(at + width, count)) for at in range(0, count, width)]


@dataclass
class _Chains:
    """Some chains of every cell, which see the same data: weights (K, chains, P)."""

    target: Target
    layout: Layout
    center: Tensor  # (K, 1, P)
    rule: Rule
    schedule: Schedule
    curvature: Tensor | None
    count: int
    slices: list[slice]  # the cells evaluated at a time

    def __post_init__(self) -> None:
        self.flat = self.center.repeat(1, self.count, 1)
        self.gradient = torch.empty_like(self.flat[self.slices[0]])
        every = torch.arange(len(self.center), device=self.center.device)
        self.cells = [every[at].repeat_interleave(self.count) for at in self.slices]
        self.running = self.curvature
        if self.curvature is not None and self.rule.sampler == "psgld":
            self.running = self.curvature.repeat_interleave(self.count, 0)  # each chain has its own
        self.measure()

    def measure(self) -> None:
        """Take the metric, and the factors of a step, from what is known now."""
        metric = self.rule.metric(self.layout, self.center[:, 0], self.running)
        self.metric = metric.unflatten(0, (len(self.center), -1))
        self.factors = Coefficients.of(self.rule, self.metric, self.schedule)

    def step(
        self, rows: Tensor | None, xi: Tensor, adapting: bool, loss: Tensor, accuracy: Tensor
    ) -> None:
        """Move every chain one step; write its loss and accuracy before it, (K, chains)."""
        adapting = adapting and self.rule.sampler == "psgld"
        for at, cells in zip(self.slices, self.cells, strict=True):
            flat = self.flat[at]
            out = self.gradient[: len(flat)]
            shape = flat.shape[:2]
            values = self.target.gradient(flat.flatten(0, 1), cells, rows, out.flatten(0, 1))
            loss[at], accuracy[at] = (value.view(shape) for value in values)
            if adapting:
                seen = self.running.view_as(self.flat)[at]
                seen.mul_(self.rule.decay).addcmul_(out, out, value=1 - self.rule.decay)
            noise = xi if len(xi) == 1 else xi[at]
            self.factors.advance(flat, self.center[at], out, noise, at)
        if adapting:
            self.measure()

    def reach(self) -> Tensor:
        """Return the mean over free entries of Lambda (w - w*)^2, (K, chains)."""
        moved = self.flat - self.center
        free = (self.metric > 0).expand_as(moved)
        energy = (self.factors.stiffness * moved.square()).masked_fill(~free, 0.0)
        return energy.sum(2) / free.sum(2).clamp(min=1)

    def drift(self) -> Tensor:
        """Return |w - w*| / |w*|, (K, chains); 0 where nothing moved, though w* be 0."""
        moved = (self.flat - self.center).norm(dim=2)
        return torch.where(moved == 0, moved, moved / self.center.norm(dim=2))


def _frozen(layout: Layout, metric: Tensor, center: Tensor) -> Tensor:
    still = (metric <= 0).expand_as(center).to(center.dtype)
    sizes = torch.tensor(layout.sizes, device=center.device)
    return (layout.gathered(still) == sizes).sum(1)
