"""A surface cut along its two directions through the network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture
from runner.parameters import Column, Text
from runner.types import Files, Table


class Slices1d(Picture):
    """Draw `value` along each direction where the other coordinate is 0, both in one panel.

    Reads:  table, a surface or its two lines: x, y, value, and the column named by `panels`.
    Raises: ValueError for a missing column, two rows at one point, or a table without points on
        one of the two lines.
    Source: none; colours after Okabe and Ito, Color Universal Design, 2008.
    """

    x: Column = Field("alpha", description="coordinate along direction 1")
    y: Column = Field("beta", description="coordinate along direction 2")
    value: Column = Field("loss", description="column on the vertical axis")
    panels: Column | None = Field(None, description="column whose values become panels, in order")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    scale: Literal["linear", "log"] = Field("linear", description="of the vertical axis")
    label: Text = Field("", description="of the vertical axis; empty: the column's name")

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.slices import draw_slices

        return self.drawn(lambda: draw_slices(self, table.frame))
