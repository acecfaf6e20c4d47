"""Random numbers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Seed, Table

from ..maths.tally import note


class Draw(Probe):
    """Draw `count` normal numbers.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"rank": "which draw", "drawn": "what was drawn"}

    count: int = Field(2, ge=1, description="how many")
    scale: Real = Field(1.0, gt=0, description="standard deviation")

    def run(self, seed: Seed) -> Table:
        note(f"draw {int(seed)}")
        drawn = self.scale * seed.numpy("draw").normal(size=self.count)
        return Table({"rank": list(range(self.count)), "drawn": drawn})
