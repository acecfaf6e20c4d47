"""How flat a value is over a grid of cells, and over how many of them it may be believed."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Column
from runner.plugin import Probe
from runner.types import Table


class Flatness(Probe):
    """Sum a grid up: spread over the healthy cells, their share, and what one cell's error allows.

    A spread is standard deviation (divided by n) over |mean|, as `spread(...)` in a check. It is
    nan where no cell is healthy. A sampler with few healthy cells may look flat over those: read
    the share first.

    Reads:  table, one row for each cell: value, error and healthy. Deterministic: takes no seed.
    Raises: ValueError for a missing column or no rows.
    Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "cells": "cells of the grid, count",
        "healthy_cells": "cells whose chains keep every rule of health, count",
        "healthy_share": "the same as a share",
        "spread": "standard deviation over |mean| across healthy cells; nan without any",
        "median": "median across healthy cells, the value's unit; nan without any",
        "least": "least value of a healthy cell",
        "most": "largest value of a healthy cell",
        "relative_error": "median over healthy cells of standard error over |value|",
    }

    value: Column = Field("llc", description="column whose flatness is asked")
    error: Column = Field("llc_se", description="column of its standard error")
    healthy: Column = Field("healthy", description="boolean column; False leaves a cell out")

    def run(self, table: Table) -> Table:
        import numpy as np

        from plugins.maths.figures.views import check_columns

        frame = table.frame
        check_columns(frame, value=self.value, error=self.error, healthy=self.healthy)
        if frame.empty:
            raise ValueError("the table has no rows: there is no grid to sum up")
        good = frame[frame[self.healthy].astype(bool)]
        value, error = (good[name].to_numpy(np.float64) for name in (self.value, self.error))
        found = dict.fromkeys(self.columns, float("nan"))
        if len(good):
            found |= {
                "spread": float(value.std() / abs(value.mean())),
                "median": float(np.median(value)),
                "least": float(value.min()),
                "most": float(value.max()),
                "relative_error": float(np.median(error / np.abs(value))),
            }
        found |= {"cells": len(frame), "healthy_cells": len(good)}
        found["healthy_share"] = len(good) / len(frame)
        return Table({name: [found[name]] for name in self.columns})
