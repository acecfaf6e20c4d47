"""Wang-Landau sampling of the density of states g(E) of a chain of states with known energies.

A walker on the states' index moves with probability min(1, g(E_old) / g(E_new)); each visit
multiplies g at its energy by f. Once all energies have been visited about equally often, g is
right to within ln f, and f becomes smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
BLOCK = 2000  # steps between looks at the histogram


@dataclass(frozen=True)
class Bins:
    """Equal bins over a range of energies: `of` is each state's bin, `centres` are in its unit."""

    of: Integers
    centres: Floats

    @classmethod
    def over(cls, energies: Floats, count: int) -> Bins:
        """Return `count` bins from the least to the largest energy; one that is all, if equal.

        Raises: ValueError for an energy that is not finite.
        """
        if not np.isfinite(energies).all():
            at = int((~np.isfinite(energies)).nonzero()[0][0])
            raise ValueError(f"energy {energies[at]} of state {at} is not finite")
        low, high = float(energies.min()), float(energies.max())
        width = (high - low) / count
        places = np.zeros(len(energies)) if width == 0 else (energies - low) / width
        centres = low + width * (np.arange(count) + 0.5)
        return cls(np.minimum(places.astype(np.int64), count - 1), centres)

    def counts(self) -> Integers:
        """Return how many states each bin holds."""
        return np.bincount(self.of, minlength=len(self.centres))


@dataclass(frozen=True)
class Rule:
    """How a walk goes and when it ends."""

    reach: int  # a move is to any state up to this far along the index
    flatness: float  # fewest visits of a bin over their mean, at which f is made smaller
    final: float  # ln f at which the walk ends
    most: int  # steps after which it ends anyway


@dataclass(frozen=True)
class Stage:
    """A part of the walk at one ln f, or of the end, where ln f falls as 1 / time."""

    ln_f: float
    steps: int
    flatness: float


@dataclass(frozen=True)
class Density:
    """ln g of each bin, so that g sums to the number of states; nan where no state is."""

    log_g: Floats
    visits: Integers  # over the whole walk
    stages: list[Stage]
    steps: int
    converged: bool  # ln f reached its end


def density_of_states(bins: Bins, rule: Rule, draws: np.random.Generator) -> Density:
    """Walk until ln f is small, and return the density of states.

    ln f starts at 1 and halves whenever the histogram of the stage is flat; from when it would
    fall below (bins with states) / steps it follows that, as Belardinelli and Pereyra do, since
    halving on without end stops short of the right g.
    """
    walk = _Walk(bins, rule.reach)
    occupied = np.flatnonzero(bins.counts())
    ln_f, taken, since, stages, late = 1.0, 0, 0, [], False
    while ln_f > rule.final and taken < rule.most:
        walk.go(ln_f, draws)
        taken, since = taken + BLOCK, since + BLOCK
        if late:
            ln_f = len(occupied) / taken
            continue
        flat = _flatness(np.array(walk.visits)[occupied])
        if flat >= rule.flatness:
            stages.append(Stage(ln_f, since, flat))
            walk.forget()
            ln_f, since = ln_f / 2, 0
            late = ln_f < len(occupied) / taken
            ln_f = len(occupied) / taken if late else ln_f
    if since:
        stages.append(Stage(ln_f, since, _flatness(np.array(walk.visits)[occupied])))
    log_g = np.full(len(bins.centres), np.nan)
    found = np.array(walk.log_g)[occupied]
    shift = found.max()
    log_g[occupied] = found - shift - np.log(np.exp(found - shift).sum()) + np.log(len(bins.of))
    visits = np.array(walk.visits) + np.array(walk.before)
    return Density(log_g, visits, stages, taken, ln_f <= rule.final)


def _flatness(visits: Integers) -> float:
    return float(visits.min() / visits.mean()) if visits.any() else 0.0


class _Walk:
    """The walker. Plain lists and numbers: array calls would cost more than the steps."""

    def __init__(self, bins: Bins, reach: int) -> None:
        self.of, self.reach, self.at = bins.of.tolist(), reach, 0
        self.log_g = [0.0] * len(bins.centres)
        self.visits, self.before = [0] * len(self.log_g), [0] * len(self.log_g)

    def go(self, ln_f: float, draws: np.random.Generator) -> None:
        """Take BLOCK steps. A move past an end stays, so that moves are symmetric."""
        of, log_g, visits, at = self.of, self.log_g, self.visits, self.at
        moves = draws.integers(-self.reach, self.reach, BLOCK, endpoint=True).tolist()
        chances = np.log1p(-draws.random(BLOCK)).tolist()  # ln of a number in (0, 1]
        here, count = of[at], len(of)
        for move, chance in zip(moves, chances, strict=True):
            new = at + move
            if 0 <= new < count and chance < log_g[here] - log_g[of[new]]:
                at, here = new, of[new]
            log_g[here] += ln_f
            visits[here] += 1
        self.at = at

    def forget(self) -> None:
        """Begin a new histogram."""
        self.before = [a + b for a, b in zip(self.before, self.visits, strict=True)]
        self.visits = [0] * len(self.visits)


@dataclass(frozen=True)
class Thermal:
    """Averages over states with weights exp(-b E), at inverse temperatures b."""

    inverse_temperature: Floats
    log_partition: Floats
    mean_energy: Floats
    energy_variance: Floats


def thermal(energies: Floats, log_g: Floats, inverse: Sequence[float]) -> Thermal:
    """Return canonical averages of a density of states; bins with nan do not count."""
    known = np.isfinite(log_g)
    energy, weight = energies[known], log_g[known]
    b = np.asarray(inverse, np.float64)
    exponent = weight - b[:, None] * energy  # (b, bins)
    top = exponent.max(1, keepdims=True)
    shares = np.exp(exponent - top)
    total = shares.sum(1)
    mean = shares @ energy / total
    square = (shares * (energy - mean[:, None]) ** 2).sum(1) / total
    return Thermal(b, top[:, 0] + np.log(total), mean, square)
