"""Points of a table in a plane, coloured by a column."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture
from runner.parameters import Column, Real, Text
from runner.types import Files, Table


class Scatter(Picture):
    """Draw each row as a dot at (x, y), its colour from `colour`, one panel beside the other.

    Dots with the same value of `joined` are joined by a thin line, in the order of rows. Rows
    without a finite x, y or colour are counted in the footnote.

    Reads:  table: x, y, and the columns named by colour, joined and panels.
    Raises: ValueError for a missing column, no rows, no finite row, columns that are not numbers,
        or a log scale without positive values.
    Source: none; colours are matplotlib's viridis.
    """

    x: Column = Field(description="column along the horizontal axis")
    y: Column = Field(description="column along the vertical axis")
    colour: Column | None = Field(None, description="column of numbers shown as colour")
    colour_scale: Literal["linear", "log"] = Field("linear", description="how colour follows it")
    joined: Column | None = Field(None, description="column: dots with the same value are joined")
    panels: Column | None = Field(None, description="column whose values become panels, in order")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    size: Real = Field(10.0, gt=0, description="area of a dot, points^2")
    equal: bool = Field(False, description="one unit is as long on both axes")
    zero: bool = Field(False, description="thin lines through 0 on both axes")
    label: Text = Field("", description="of the colour bar; empty: the column's name")
    x_label: Text = Field("", description="empty: the column's name")
    y_label: Text = Field("", description="empty: the column's name")
    width: Literal["auto", "column", "page"] = Field(
        "auto", description="3.4 in or 7 in; auto: column for one panel, else page"
    )

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.scatters import draw_scatter

        return self.drawn(lambda: draw_scatter(self, table.frame))
