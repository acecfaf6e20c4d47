"""Inputs plus a constant: cheap, never stored."""

from __future__ import annotations

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Perturbation
from runner.types import Dataset

from ..maths.tally import note


class Shifted(Perturbation):
    """Add `by` to every input of every split.

    Reads: data. Raises: nothing. Source: the definition.
    """

    persist = False

    by: Real = Field(0.0, description="what is added")

    def run(self, data: Dataset) -> Dataset:
        note(f"shifted {self.by:g}")
        splits = {n: {**s, "x": s["x"] + self.by} for n, s in data.splits.items()}
        return Dataset(splits, data.about)
