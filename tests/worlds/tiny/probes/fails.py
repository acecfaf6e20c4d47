"""Fails where it is told to."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.plugin import Probe
from runner.types import Table

from ..maths.tally import note


class Fails(Probe):
    """Return k, or fail where k is `at`.

    Reads: nothing. Raises: ValueError where k is `at`. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"value": "k"}

    k: int = Field(0, description="a whole number")
    at: int = Field(-1, description="where it fails")

    def run(self) -> Table:
        note(f"fails {self.k}")
        print(f"k is {self.k}")
        if self.k == self.at:
            raise ValueError(f"k is {self.k}; choose another")
        return Table({"value": [self.k]})
