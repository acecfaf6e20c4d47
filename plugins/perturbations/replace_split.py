"""A split of other data in the place of one's own: to train on one thing and test on another."""

from __future__ import annotations

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.plugin import Perturbation
from runner.types import Dataset, Split

ALIKE = ("shape", "classes", "mean", "std")  # what a network takes for granted


class ReplaceSplit(Perturbation):
    """Put `source` into the data as the split `split`, in the place of what was there.

    Reads:  data; source, a split with the same arrays, rows of the same shape, and data whose about
            agrees in shape, classes, mean and std where both state them.
    Raises: RunnerError naming what does not agree.
    Source: none.
    """

    split: str = Field("train", description="name of the split that is replaced, or added")

    def run(self, data: Dataset, source: Split) -> Dataset:
        import numpy as np

        for name in ALIKE:
            own, other = data.about.get(name), source.about.get(name)
            if name in data.about and name in source.about and own != other:
                raise RunnerError(
                    f"{name} is {own} in data and {other} in source; networks would take one for "
                    "the other: give both steps the same"
                )
        known = data.splits.get(self.split) or next(iter(data.splits.values()))
        if set(known) != set(source.arrays):
            raise RunnerError(
                f"source has the arrays {listed(source.arrays)}, the data's splits have "
                f"{listed(known)}"
            )
        for name, array in known.items():
            rows, others = np.asarray(array).shape[1:], np.asarray(source[name]).shape[1:]
            if rows != others:
                raise RunnerError(f"a row of {name!r} is {others} in source and {rows} in data")
        return Dataset({**data.splits, self.split: dict(source.arrays)}, data.about)
