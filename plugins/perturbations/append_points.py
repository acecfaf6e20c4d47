"""Further points in a split of data: outliers, contradicting labels."""

from __future__ import annotations

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Perturbation
from runner.types import Dataset


class AppendPoints(Perturbation):
    """Append given points to a split, after its own rows or instead of them.

    The split gets an array `appended`, 1 for the new rows and 0 for its own, so that a probe can
    tell them apart. Everything else stays as it is.

    Reads:  data: arrays x (n, ...) and y (n,) of the split, and no others but `appended`.
    Raises: RunnerError when there is no such split, it has other arrays, or a point has another
            number of values than a row of it.
    Source: none.
    """

    points: tuple[tuple[Real, ...], ...] = Field(
        min_length=1, description="points [x..., y], units of the data; numbers such as pi/2"
    )
    split: str = Field("train", description="name of the split that gets them")
    keep: bool = Field(True, description="whether the split keeps its own rows too")

    def run(self, data: Dataset) -> Dataset:
        import numpy as np

        if self.split not in data.splits:
            raise RunnerError(f"the data has no split {self.split!r}, only {listed(data.splits)}")
        own = data.splits[self.split]
        if not {"x", "y"} <= set(own) <= {"x", "y", "appended"}:
            raise RunnerError(
                f"split {self.split!r} has arrays {listed(own)}; points can be appended to x and y"
            )
        x, y = np.asarray(own["x"]), np.asarray(own["y"])
        size = int(np.prod(x.shape[1:], dtype=int)) + 1
        if y.ndim != 1 or any(len(point) != size for point in self.points):
            raise RunnerError(
                f"a row of {self.split!r} has {size - 1} values of x {x.shape[1:]} and one of "
                f"y {y.shape[1:]}; points = {[list(p) for p in self.points]} do not fit"
            )
        points = np.asarray(self.points, float)
        new = {
            "x": points[:, :-1].reshape(-1, *x.shape[1:]).astype(x.dtype),
            "y": points[:, -1].astype(y.dtype),
            "appended": np.ones(len(points), np.int8),
        }
        before = {"x": x, "y": y, "appended": own.get("appended", np.zeros(len(y), np.int8))}
        joined = {k: np.concatenate([before[k], new[k]]) if self.keep else new[k] for k in new}
        return Dataset({**data.splits, self.split: joined}, data.about)
