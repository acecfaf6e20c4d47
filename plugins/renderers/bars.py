"""Bars side by side: a quantity for each of a few cases."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture
from runner.parameters import Column, Real, Text
from runner.types import Files, Table


class Bars(Picture):
    """Draw a group of bars at each value of `x`, one bar per hue, replicates as mean and whisker.

    Bars start at 0, on a log axis at its lower end, where whiskers end that would reach below.
    Values that are not finite, or not positive on a log axis, are left out and counted in the
    footnote.

    Reads:  table: x, y, and the columns named by hue, panels and replicate.
    Raises: ValueError for a missing column, two rows at one bar, no rows, a column of y that holds
        no numbers, or a log axis without any positive value.
    Source: none; colours after Okabe and Ito, Color Universal Design, 2008.
    """

    x: Column = Field(description="column whose values become groups, numbers in rising order")
    y: Column = Field(description="column that is the height of a bar")
    hue: Column | None = Field(None, description="column whose values become colours")
    panels: Column | None = Field(None, description="column whose values become panels, in order")
    replicate: Column | None = Field(None, description="column (seed) whose rows are averaged")
    band: Literal["std", "range", "none"] = Field(
        "std", description="whiskers: one sample standard deviation, or least to largest"
    )
    y_scale: Literal["linear", "log"] = Field("linear", description="of the vertical axis")
    line: Real | None = Field(None, description="a horizontal line at this height")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    names: dict[str, str] = Field({}, description="column -> its name in labels and legend")
    x_label: Text = Field("", description="empty: the column's name")
    y_label: Text = Field("", description="empty: the column's name")
    width: Literal["auto", "column", "page"] = Field(
        "auto", description="3.4 in or 7 in; auto: column for one panel, else page"
    )

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.barplots import bars_of, draw_bars

        groups, curves = bars_of(self, table.frame)
        return self.drawn(lambda: draw_bars(self, groups, curves))
