"""What a sampler ought to find: n*beta E[L(w) - L(w*)] under the localised posterior, computed.

The posterior is exp(-n*beta L(w) - sum_t Lambda_t |w_t - w*_t|^2 / 2). Three roads, none of which
shares a line with the Langevin samplers: a closed form for quadratic losses, quadrature for
monomials of one or two weights, and Hamiltonian Monte Carlo, corrected by Metropolis's rule and
so without bias from its step, for products of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plugins.maths.sampling.chains import split_rhat, standard_error
from runner.types import Seed

ACCEPTANCE = 0.9


class Finite(NamedTuple):
    """The value, its standard error (0 where it is computed to rounding), R-hat and acceptance."""

    value: float
    error: float = 0.0
    rhat: float = 1.0
    accepted: float = 1.0


def quadratic(
    hessian: NDArray[np.float64],
    stiffness: NDArray[np.float64],
    n_beta: float,
    step: float = 0.0,
    metric: NDArray[np.float64] | float = 1.0,
) -> Finite:
    """Return the value for L = (w - w*)' H (w - w*) / 2, H (P, P), Lambda diagonal (P,).

    With `step` e above 0 it is what a Langevin chain of that step and diagonal metric D (P,) with
    exact gradients has in equilibrium: in u = D^(-1/2) (w - w*), with curvature
    C = D^(1/2) (n*beta H + Lambda) D^(1/2), the covariance is (C (1 - e C / 4))^(-1).

    Raises: ValueError when e C / 4 reaches 1, where the chain diverges.
    """
    root = np.sqrt(np.broadcast_to(metric, stiffness.shape))
    curved = root[:, None] * (n_beta * hessian + np.diag(stiffness)) * root
    size, axes = np.linalg.eigh(curved)
    if step * size[-1] >= 4:
        raise ValueError(f"step {step:g} diverges: step * curvature is {step * size[-1]:.3g} of 4")
    spread = 1 / (size * (1 - step * size / 4))
    share = np.einsum("ia,ij,ja->a", root[:, None] * axes, hessian, root[:, None] * axes)
    return Finite(float(n_beta / 2 * (share * spread).sum()))


def monomials(
    powers: Sequence[Sequence[int]], stiffness: Sequence[float], n_beta: float, points: int = 1500
) -> Finite:
    """Return the value for K = sum_o prod_j w_j^(2 k_oj) about the origin, by quadrature.

    K is even in each weight, so a weight runs over w = exp(t) > 0, where the trapezium rule in t
    converges faster than any power of the spacing.

    Raises: ValueError for more than two weights.
    """
    if len(stiffness) > 2:
        raise ValueError(f"quadrature is for one or two weights, not {len(stiffness)}")
    t = np.linspace(np.log(1e-12), np.log(12 / min(stiffness) ** 0.5), points)
    axes = np.meshgrid(*[np.exp(t)] * len(stiffness), indexing="ij")
    loss = sum(np.prod([w ** (2 * k) for w, k in zip(axes, row, strict=True)], 0) for row in powers)
    pull = sum(one * w**2 / 2 for one, w in zip(stiffness, axes, strict=True))
    weight = np.exp(-n_beta * loss - pull) * np.prod(axes, 0)
    return Finite(float(n_beta * (loss * weight).sum() / weight.sum()))


def matrix_product(
    layers: Sequence[Tensor],
    moments: Tensor,
    stiffness: Sequence[float],
    n_beta: float,
    seed: Seed,
    *,
    chains: int,
    warm_up: int,
    draws: int,
) -> Finite:
    """Return the value for L = tr (M - M*)' S (M - M*) / 2, M = W_1 ... W_L, by Hamiltonian chains.

    Args:
        layers: the minimum W*_1 ... W*_L, one matrix each.
        moments: S (I, I), second moments of the inputs.
        stiffness: Lambda of each layer.
        n_beta: inverse temperature.
        seed: draws the stream `hamiltonian`.
        chains: all at once, from near the minimum.
        warm_up: draws in which the step is fitted to `ACCEPTANCE`, not kept.
        draws: kept draws of each chain.
    """
    field = _Field(layers, moments, stiffness, n_beta)
    generator = seed.torch("hamiltonian")
    state = field.start(chains, generator)
    length = 1.5 / min(stiffness) ** 0.5  # a quarter of the slowest period, hardly less
    step, kept, accepted = 0.05 * length, [], 0.0
    for draw in range(warm_up + draws):
        # Some proposals are of short steps: they free chains that sit where U is steep. Lengths
        # vary, since no length suits every frequency: at a full period a chain comes back.
        short, long = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        used = step * (1 - short**2 / 2)
        count = max(1, round((0.5 + long) * length / used))
        state, share = field.move(state, used, count, generator)
        if draw < warm_up:
            step = min(step * float(np.exp(0.2 * (share - ACCEPTANCE))), length)
        else:
            kept.append(n_beta * field.loss(state))
            accepted += share / draws
    traces = torch.stack(kept, dim=1)[None]
    return Finite(
        traces.mean().item(), standard_error(traces).item(), split_rhat(traces).item(), accepted
    )


class _Field:
    """The potential U = n*beta L + localiser of stacked layers, each (chains, in, out)."""

    def __init__(
        self, layers: Sequence[Tensor], moments: Tensor, stiffness: Sequence[float], n_beta: float
    ) -> None:
        self.center = [layer.double() for layer in layers]
        self.target = _product(self.center)
        self.moments, self.stiffness, self.n_beta = moments.double(), stiffness, n_beta

    def start(self, chains: int, generator: torch.Generator) -> list[Tensor]:
        return [
            center + 0.1 * _normal((chains, *center.shape), generator) for center in self.center
        ]

    def loss(self, state: list[Tensor]) -> Tensor:
        gap = _product(state) - self.target
        return (gap * (self.moments @ gap)).sum((1, 2)) / 2

    def energy(self, state: list[Tensor]) -> Tensor:
        parts = zip(state, self.center, self.stiffness, strict=True)
        return self.n_beta * self.loss(state) + sum(
            stiff / 2 * (layer - center).square().sum((1, 2)) for layer, center, stiff in parts
        )

    def slope(self, state: list[Tensor]) -> list[Tensor]:
        """Return the gradient of U: dL/dW_l = (W_1 ... W_l-1)' S (M - M*) (W_l+1 ... W_L)'."""
        before = [state[0]]
        for layer in state[1:]:
            before.append(before[-1] @ layer)
        back = self.n_beta * (self.moments @ (before[-1] - self.target))
        slopes = []
        for at in range(len(state) - 1, -1, -1):
            own = before[at - 1].mT @ back if at else back
            slopes.append(own + self.stiffness[at] * (state[at] - self.center[at]))
            back = back @ state[at].mT
        return slopes[::-1]

    def move(
        self, state: list[Tensor], step: float, count: int, generator: torch.Generator
    ) -> tuple[list[Tensor], float]:
        """Return the states after a proposal of `count` leapfrog steps, and the share accepted."""
        speed = [_normal(layer.shape, generator) for layer in state]
        before = self.energy(state) + _kinetic(speed)
        there = [layer.clone() for layer in state]
        _kick(speed, self.slope(there), step / 2)
        for at in range(count):
            for layer, own in zip(there, speed, strict=True):
                layer.add_(own, alpha=step)
            _kick(speed, self.slope(there), step if at < count - 1 else step / 2)
        chance = (before - self.energy(there) - _kinetic(speed)).exp().clamp(max=1).nan_to_num(0.0)
        taken = torch.rand(len(chance), generator=generator, dtype=torch.float64) < chance
        mixed = [
            torch.where(taken[:, None, None], new, old)
            for new, old in zip(there, state, strict=True)
        ]
        return mixed, chance.mean().item()


def _kick(speed: list[Tensor], slope: list[Tensor], step: float) -> None:
    for own, part in zip(speed, slope, strict=True):
        own.sub_(part, alpha=step)


def _kinetic(speed: list[Tensor]) -> Tensor:
    return torch.stack([own.square().sum((1, 2)) for own in speed]).sum(0) / 2


def _product(layers: Sequence[Tensor]) -> Tensor:
    product = layers[0]
    for layer in layers[1:]:
        product = product @ layer
    return product


def _normal(shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)
