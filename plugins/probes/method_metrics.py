"""Metrics of several methods as one table, each row with its method's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from plugins.maths.training.optimisers import Options
from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Table

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["table", "second", "third", "fourth", "fifth"]
METRICS = ("split", "target", "r2", "rmse", "mae", "mse", "rows")


class Method(Options):
    """Some rows of one of the tables and what they are called."""

    table: Source = Field("table", description="port whose rows are taken")
    where: dict[str, str | bool | int | Real] = Field(
        {}, description="column -> value: only these rows"
    )
    name: str = Field(description="of the method; {column} stands for the row's value")


class MethodMetrics(Probe):
    """Put the metrics of methods below each other, in the order in which they are named.

    Reads:  table and further ports: metrics as `ridge` and `regression_metrics` give them, with
            the axes of their steps as columns. Deterministic: takes no seed.
    Raises: RunnerError for a port that is not given, a missing column, or a method without rows.
    Source: none.
    """

    columns: ClassVar[dict[str, str]] = {
        "method": "its name",
        "split": "name of the split",
        "target": "name of the label",
        "r2": "1 - SS_res / SS_tot over the split",
        "rmse": "root of the mean squared error, the label's unit",
        "mae": "mean absolute error, the label's unit",
        "mse": "mean squared error, the label's unit squared",
        "rows": "rows of the split",
    }

    methods: tuple[Method, ...] = Field(min_length=1, description="what is told, in order")

    def run(
        self,
        table: Table,
        second: Table | None = None,
        third: Table | None = None,
        fourth: Table | None = None,
        fifth: Table | None = None,
    ) -> Table:
        import pandas as pd

        given = {
            "table": table, "second": second, "third": third, "fourth": fourth, "fifth": fifth,
        }  # fmt: skip
        frames = {name: value.frame for name, value in given.items() if value is not None}
        return Table.of(pd.concat([_named(method, frames) for method in self.methods]))


def _named(method: Method, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    if method.table not in frames:
        raise RunnerError(f"{method.name!r} reads the port {method.table!r}, which is not given")
    frame = frames[method.table]
    holes = re.findall(r"\{(\w+)\}", method.name)
    wanted = (*method.where, *holes, *METRICS)
    if missing := [name for name in wanted if name not in frame]:
        raise RunnerError(f"{method.table} has no column {missing[0]!r}, only {listed(frame, 20)}")
    for name, value in method.where.items():
        frame = frame[frame[name] == value]
    if frame.empty:
        raise RunnerError(f"{method.table} has no rows where {method.where}")
    names = [
        re.sub(r"\{(\w+)\}", lambda hole, row=row: str(row[hole[1]]), method.name)
        for row in frame.to_dict("records")
    ]
    return frame[list(METRICS)].assign(method=names)[["method", *METRICS]]
