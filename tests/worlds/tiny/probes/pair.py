"""A table and an array at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Arrays, Table

from ..maths.tally import note


@dataclass(frozen=True)
class Both:
    """What the probe gives."""

    numbers: Table
    matrix: Arrays


class Pair(Probe):
    """Return `scale` as a table and as an array.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"scale": "the factor"}

    scale: Real = Field(1.0, description="factor")

    def run(self) -> Both:
        import numpy as np

        note(f"pair {self.scale:g}")
        matrix = Arrays({"matrix": self.scale * np.eye(2)}, {"matrix": ("row", "column")})
        return Both(Table({"scale": [self.scale]}), matrix)
