"""What a text file holds."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import InputFile
from runner.plugin import Probe
from runner.types import Table

from ..maths.tally import note


class Words(Probe):
    """Count the words of a file.

    Reads: file. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"words": "number of words"}

    file: InputFile = Field(description="a text file")

    def run(self) -> Table:
        note("words")
        return Table({"words": [len(self.file.path.read_text("utf-8").split())]})
