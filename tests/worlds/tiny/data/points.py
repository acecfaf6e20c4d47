"""Noisy points on a line."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Data
from runner.types import Dataset, Seed

from ..maths.tally import note


class Points(Data):
    """Draw points of y = slope x + noise.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    rows: int = Field(8, ge=2, description="points in each split")
    slope: Real = Field(1.0, description="slope of the line")
    noise: Real = Field(0.1, ge=0, description="standard deviation of the noise")
    kind: Literal["linear", "cubic"] = Field("linear", description="shape of the curve")

    def run(self, seed: Seed) -> Dataset:
        note(f"points {self.slope:g} {int(seed)}")
        splits = {}
        for name in self.splits:
            draw = seed.numpy("points", name)
            x = draw.normal(size=(self.rows, 1))
            y = self.slope * (x if self.kind == "linear" else x**3)
            splits[name] = {"x": x, "y": y + self.noise * draw.normal(size=x.shape)}
        return Dataset(splits, {"inputs": 1})
