"""The mean of a column of a table."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Column
from runner.plugin import Probe
from runner.types import Table

from ..maths.tally import note


class Average(Probe):
    """Return the mean of `column` and how many rows it has.

    Reads: table. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "average": "mean of the column",
        "rows": "rows of the table",
    }

    column: Column = Field("value", description="which column")

    def run(self, table: Table) -> Table:
        import numpy as np

        note(f"average of {len(table)}")
        values = np.asarray(table.columns[self.column], dtype=float)
        return Table({"average": [float(values.mean())], "rows": [len(values)]})
