"""The sum of all entries of an array."""

from __future__ import annotations

from typing import ClassVar

from runner.plugin import Probe
from runner.types import Arrays, Table

from ..maths.tally import note


class Total(Probe):
    """Return the sum over `matrix` and its number of dimensions.

    Reads: arrays. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "total": "sum of all entries",
        "dimensions": "how many dimensions",
    }

    def run(self, arrays: Arrays) -> Table:
        note("total")
        matrix = arrays["matrix"]
        return Table({"total": [float(matrix.sum())], "dimensions": [matrix.ndim]})
