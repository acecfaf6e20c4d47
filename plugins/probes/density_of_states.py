"""Density of states over checkpoints, after Wang and Landau: how many networks at which loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import Column, Real
from runner.plugin import Probe
from runner.types import Seed, Table


@dataclass(frozen=True)
class States:
    """The density and how it was found."""

    density: Table  # a row for each bin of energy that holds a checkpoint
    stages: Table  # a row for each ln f
    checkpoints: Table  # a row for each checkpoint
    thermal: Table  # a row for each inverse temperature
    summary: Table  # one row


class DensityOfStates(Probe):
    """Estimate ln g(E) of checkpoints by a random walk on their index, E = ln of a column.

    Wang-Landau sampling: a move to a checkpoint up to `reach` along the index is accepted with
    probability min(1, g(E_old) / g(E_new)), each step multiplies g at its energy by f, and f
    becomes its root once the histogram is flat: every bin that holds a checkpoint was visited at
    least `flatness` times the mean. Late, ln f falls as 1 / time. The states are few and known, so
    g can be counted: `log_count` stands beside `log_g`, and `error` is how far they are apart. g
    sums to the number of checkpoints.

    Reads:  table, a row for each checkpoint, its columns `value` and `order`. Draws the walk from
            the seed, nothing else.
    Raises: RunnerError when a value is not positive and finite, or rows share a place in `order`.
    Source: Wang and Landau 2001; the 1 / time: Belardinelli and Pereyra 2007.
    """

    columns: ClassVar[dict[str, str]] = {
        "energy": "density: middle of the bin; checkpoints: its own; ln of the value's unit",
        "log_g": "density: ln of the density of states by the walk; g sums to the checkpoints",
        "log_count": "density: ln of the number of checkpoints in the bin, the exact answer",
        "visits": "density: steps of the walk that ended in the bin",
        "stage": "stages: its number, from 0",
        "ln_f": "stages: what each visit added to ln g",
        "stage_steps": "stages: steps taken",
        "stage_flatness": "stages: fewest visits of a bin over their mean",
        "at": "checkpoints: its place in the order, such as the step",
        "bin": "checkpoints: number of its bin, from 0; density: the bin's own",
        "log_weight": "checkpoints: -ln g, the weight that makes the histogram flat",
        "inverse_temperature": "thermal: b of the weights g(E) exp(-b E)",
        "log_partition": "thermal: ln of the sum of these weights",
        "mean_energy": "thermal: mean of E under these weights",
        "energy_variance": "thermal: its variance",
        "error": "summary: largest |log_g - log_count|",
        "occupied": "summary: bins that hold a checkpoint",
        "steps": "summary: of the walk",
        "converged": "summary: whether ln f reached its end before the most steps",
    }

    value: Column = Field("train_loss", description="column whose logarithm is the energy")
    order: Column = Field("step", description="column that orders the checkpoints")
    bins: int = Field(200, ge=2, description="equal bins from the least to the largest energy")
    reach: int = Field(10, ge=1, description="farthest move along the index of checkpoints")
    flatness: Real = Field(
        0.8, gt=0, lt=1, description="fewest visits of a bin over their mean in a flat histogram"
    )
    final: Real = Field(1e-4, gt=0, lt=1, description="ln f at which the walk ends")
    most_steps: int = Field(20_000_000, ge=1, description="steps after which it ends anyway")
    inverse_temperatures: tuple[Real, Real, int] = Field(
        (0.0, 5.0, 51), description="first, last and number of the thermal averages' b"
    )

    def check_parameters(self) -> str | None:
        low, high, count = self.inverse_temperatures
        if low >= high or count < 2:
            return f"inverse_temperatures = {[low, high, count]} must rise, in 2 steps or more"
        return None

    def run(self, table: Table, seed: Seed) -> States:
        import numpy as np

        from plugins.maths.features import wang_landau as walk
        from plugins.maths.figures.views import check_columns

        frame = table.frame
        check_columns(frame, value=self.value, order=self.order)
        if frame.empty or frame[self.order].duplicated().any():
            raise RunnerError(
                f"density_of_states needs one row for each {self.order}; gather the checkpoints "
                f'of one training run with over = ["{self.order}"]'
            )
        frame = frame.sort_values(self.order, kind="stable")
        values = frame[self.value].to_numpy(np.float64)
        if not (values > 0).all() or not np.isfinite(values).all():
            raise RunnerError(f"{self.value} must be positive and finite to have a logarithm")
        energies = np.log(values)
        bins = walk.Bins.over(energies, self.bins)
        rule = walk.Rule(self.reach, self.flatness, self.final, self.most_steps)
        found = walk.density_of_states(bins, rule, seed.numpy("walk"))
        low, high, count = self.inverse_temperatures
        heat = walk.thermal(bins.centres, found.log_g, np.linspace(low, high, count).tolist())
        known = np.flatnonzero(bins.counts())
        exact = np.log(bins.counts()[known])
        return States(
            density=Table({
                "bin": known, "energy": bins.centres[known], "log_g": found.log_g[known],
                "log_count": exact, "visits": found.visits[known],
            }),
            stages=Table({
                "stage": list(range(len(found.stages))),
                "ln_f": [stage.ln_f for stage in found.stages],
                "stage_steps": [stage.steps for stage in found.stages],
                "stage_flatness": [stage.flatness for stage in found.stages],
            }),
            checkpoints=Table({
                "at": frame[self.order].to_numpy(), "energy": energies, "bin": bins.of,
                "log_weight": -found.log_g[bins.of],
            }),
            thermal=Table(vars(heat)),
            summary=Table({
                "error": [float(np.abs(found.log_g[known] - exact).max())],
                "occupied": [len(known)], "steps": [found.steps], "converged": [found.converged],
            }),
        )  # fmt: skip
