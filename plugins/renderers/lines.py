"""Curves of columns over another column: training curves, scaling laws, traces."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture
from runner.parameters import Column, Text
from runner.types import Files, Table

Scale = Literal["linear", "log"]


class Lines(Picture):
    """Draw one or more columns over `x`, one colour per hue, replicates as mean and band.

    On log axes bands are cut above zero, and points that cannot be shown are counted in the
    footnote. Values that are not finite leave gaps.

    Reads:  table: x, the columns of y and right, and those named by hue, panels and replicate.
    Raises: ValueError for a missing column, two rows at one point, no rows, columns that are not
        numbers, or a log axis without any positive value.
    Source: none; colours after Okabe and Ito, Color Universal Design, 2008.
    """

    x: Column = Field(description="column along the horizontal axis")
    y: Column | tuple[Column, ...] = Field(description="column or columns on the left axis")
    right: Column | tuple[Column, ...] = Field((), description="columns on a second axis")
    hue: Column | None = Field(None, description="column whose values become colours")
    panels: Column | None = Field(None, description="column whose values become panels, in order")
    replicate: Column | None = Field(None, description="column (seed) whose rows are averaged")
    band: Literal["std", "range", "none"] = Field(
        "std", description="around the mean: one sample standard deviation, or least to largest"
    )
    x_scale: Scale = Field("linear", description="of the horizontal axis")
    y_scale: Scale = Field("linear", description="of the left axis")
    right_scale: Scale = Field("linear", description="of the right axis")
    share_y: bool = Field(True, description="panels have equal vertical axes")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    dots: bool = Field(False, description="a dot at every point")
    names: dict[str, str] = Field({}, description="column -> its name in labels and legend")
    x_label: Text = Field("", description="empty: the column's name")
    y_label: Text = Field("", description="empty: the columns' names")
    right_label: Text = Field("", description="empty: the columns' names")
    width: Literal["auto", "column", "page"] = Field(
        "auto", description="3.4 in or 7 in; auto: column for one panel, else page"
    )

    def check_parameters(self) -> str | None:
        if not self.left_columns:
            return "y = [] names no column"
        if twice := set(self.left_columns) & set(self.right_columns):
            return f"column {min(twice)!r} stands in both y and right"
        return None

    @property
    def left_columns(self) -> tuple[str, ...]:
        """Return the columns of the left axis."""
        return (self.y,) if isinstance(self.y, str) else self.y

    @property
    def right_columns(self) -> tuple[str, ...]:
        """Return the columns of the right axis."""
        return (self.right,) if isinstance(self.right, str) else self.right

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.curves import curves_of
        from plugins.maths.figures.lineplots import draw_lines

        if problem := self.check_parameters():
            raise ValueError(problem)
        curves = curves_of(
            table.frame,
            self.x,
            self.left_columns + self.right_columns,
            hue=self.hue,
            panels=self.panels,
            replicate=self.replicate,
            band=self.band,
        )
        return self.drawn(lambda: draw_lines(self, curves))
