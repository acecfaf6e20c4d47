"""A table as lines of text."""

from __future__ import annotations

from pydantic import Field

from runner.parameters import Column, Text
from runner.plugin import Renderer
from runner.types import Files, Table

from ..maths.tally import note


class Page(Renderer):
    """Write the title and the rows of a table.

    Reads: table. Raises: nothing. Source: the definition.
    """

    title: Text = Field("", description="first line")
    show: tuple[Column, ...] = Field((), description="columns to write; none: all")

    def run(self, table: Table) -> Files:
        note(f"page {self.path}")
        names = self.show or tuple(table.columns)
        rows = zip(*(table.columns[n] for n in names), strict=True)
        lines = [self.title, " ".join(names), *(" ".join(map(_shown, row)) for row in rows)]
        return Files({suffix: "\n".join(lines).encode() for suffix in self.suffixes()})


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
