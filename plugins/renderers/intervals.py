"""Estimates with intervals beside what they ought to be, one row of the picture for each case."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture
from runner.parameters import Column, Real, Text
from runner.types import Files, Table


class Intervals(Picture):
    """Draw value +- times * error over the reference, row by row, one colour for each hue.

    Several rows of the table at one row and hue (seeds) stand below each other in the table's
    order. A value whose interval does not reach 1 is drawn hollow. A value that is not finite is
    left out and counted in the footnote; a point beyond `limits` sits at the edge as a triangle.

    Reads:  table: rows, value, error, reference, and the columns named by hue and mark.
    Raises: ValueError for a missing column, no rows, columns that are not numbers, or a reference
        of zero.
    Source: none; colours after Okabe and Ito, Color Universal Design, 2008.
    """

    rows: Column = Field(description="column whose values become rows, in order of appearance")
    value: Column = Field(description="the estimate")
    error: Column = Field(description="its standard error, in the same unit")
    reference: Column = Field(description="what it ought to be, drawn as 1")
    hue: Column | None = Field(None, description="column whose values become colours")
    mark: Column | None = Field(None, description="a second reference, drawn as a vertical dash")
    times: Real = Field(2.0, gt=0, description="standard errors on either side")
    bands: tuple[Real, ...] = Field((), description="shares of the reference to shade around 1")
    limits: tuple[Real, Real] | None = Field(None, description="ends of the axis; none: chosen")
    x_label: Text = Field("", description="empty: value / reference")
    mark_label: Text = Field("", description="the mark's name in the legend; empty: the column's")
    width: Literal["column", "page"] = Field("page", description="3.4 in or 7 in")

    def check_parameters(self) -> str | None:
        if self.limits and not self.limits[0] < self.limits[1]:
            return f"limits = {list(self.limits)} must be two numbers, the smaller first"
        return None

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.intervalplots import draw_intervals, intervals_of

        if problem := self.check_parameters():
            raise ValueError(problem)
        intervals = intervals_of(
            table.frame, self.rows, self.value, self.error, self.reference,
            hue=self.hue, mark=self.mark, times=self.times,
        )  # fmt: skip
        return self.drawn(lambda: draw_intervals(self, intervals))
