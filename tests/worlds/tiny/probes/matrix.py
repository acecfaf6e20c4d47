"""A diagonal matrix."""

from __future__ import annotations

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Arrays

from ..maths.tally import note


class Matrix(Probe):
    """Return `scale` times the identity of size 2.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    scale: Real = Field(1.0, description="factor")

    def run(self) -> Arrays:
        import numpy as np

        note(f"matrix {self.scale:g}")
        return Arrays({"matrix": self.scale * np.eye(2)}, {"matrix": ("row", "column")})
