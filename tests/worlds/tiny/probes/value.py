"""A number from its parameters alone."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Table

from ..maths.tally import note


class Value(Probe):
    """Return value = a + k, and its double; negative where `sign` says so.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"value": "a + k", "double": "twice the value"}

    a: Real = Field(0.0, description="a number")
    k: int = Field(0, ge=-100, le=100, description="a whole number")
    sign: Literal["plus", "minus"] = Field("plus", description="sign of the value")
    on: bool = Field(True, description="a switch without effect")
    points: tuple[tuple[Real, Real], ...] = Field((), description="pairs without effect")

    def run(self) -> Table:
        note(f"value {self.a:g} {self.k}")
        value = (self.a + self.k) * (1 if self.sign == "plus" else -1)
        return Table({"value": [value], "double": [2 * value]})
