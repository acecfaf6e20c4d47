"""The mean of a column over repeats (seeds, folds) with its confidence interval."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Column, Real
from runner.plugin import Probe
from runner.types import Table


class MeanInterval(Probe):
    """Sum up the rows of a table, one value each, by mean and a Student-t interval.

    Which rows belong together `per` and `where` say: one result for each of their cells. Over
    folds the interval is too narrow, since folds share training rows: it is told all the same, as
    is the custom, and is none of the population.

    Reads:  table: the column `value`. Deterministic: takes no seed.
    Raises: ValueError for a missing column, no rows, or a value that is not finite.
    Source: Student 1908.
    """

    columns: ClassVar[dict[str, str]] = {
        "mean": "mean, the column's unit",
        "std": "sample standard deviation (divisor n - 1); nan for one row",
        "low": "lower end of the interval of the mean; nan for one row",
        "high": "upper end of the interval of the mean; nan for one row",
        "least": "least value",
        "most": "largest value",
        "repeats": "rows, count",
    }

    value: Column = Field("r2", description="column that is summed up")
    level: Real = Field(0.95, gt=0, lt=1, description="share of intervals that hold the truth")

    def run(self, table: Table) -> Table:
        import numpy as np
        from scipy.stats import t

        from plugins.maths.figures.views import check_columns

        frame = table.frame
        check_columns(frame, value=self.value)
        values = frame[self.value].to_numpy(np.float64)
        if not len(values) or not np.isfinite(values).all():
            raise ValueError(f"{self.value!r} has no rows, or some that are not finite: {values}")
        count, mean, std = len(values), float(values.mean()), float("nan")
        reach = float("nan")
        if count > 1:
            std = float(values.std(ddof=1))
            reach = float(t.ppf(0.5 + self.level / 2, count - 1)) * std / count**0.5
        found = {
            "mean": mean, "std": std, "low": mean - reach, "high": mean + reach,
            "least": float(values.min()), "most": float(values.max()), "repeats": count,
        }  # fmt: skip
        return Table({name: [found[name]] for name in self.columns})
