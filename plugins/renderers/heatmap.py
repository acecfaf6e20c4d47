"""Heat maps over two axes of a study, one panel beside the other under one colour bar."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture, Quantiles
from runner.parameters import Column, Text
from runner.types import Files, Table

Scale = Literal["auto", "linear", "log", "even"]


class Heatmap(Picture):
    """Draw `value` as colour over `x` and `y`, larger brighter, dark purple to orange-yellow.

    Cells whose `mask` is False are grey and hatched, take no part in the colour scale, and are
    counted under the panel's name; cells without a row or without a finite value stay white.

    Reads:  table, one row per cell: x, y, value, and the columns named by `panels`, `mask` and
            `state`.
    Raises: ValueError for a missing column, two rows at one cell, no rows, values that are not
        numbers, or values a log scale or axis cannot hold.
    Source: none; the colours are matplotlib's inferno without its two ends.
    """

    x: Column = Field(description="column along the horizontal axis")
    y: Column = Field(description="column along the vertical axis")
    value: Column = Field(description="column shown as colour")
    panels: Column | None = Field(None, description="column whose values become panels, in order")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    mask: Column | None = Field(None, description="boolean column; False greys a cell out")
    masked_as: Text = Field("unhealthy", description="the word for greyed cells")
    scale: Literal["linear", "log"] = Field("linear", description="how colour follows value")
    share_scale: bool = Field(True, description="one colour bar for all panels, else one for each")
    clip: Quantiles = Field((0.0, 1.0), description="quantiles where the colours end")
    x_scale: Scale = Field("auto", description="auto: log if geometrically spaced; even: as a list")
    y_scale: Scale = Field("auto", description="as x_scale")
    annotate: bool = Field(False, description="say std/mean over each panel's coloured cells")
    state: tuple[Column, ...] = Field(
        (), description="columns whose value, or range, is written at each panel: settings used"
    )
    label: Text = Field("", description="of the colour bar; empty: the column's name")
    x_label: Text = Field("", description="empty: the column's name")
    y_label: Text = Field("", description="empty: the column's name")
    width: Literal["auto", "column", "page"] = Field(
        "auto", description="3.4 in or 7 in; auto: column for one panel, else page"
    )

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.grids import grid_of
        from plugins.maths.figures.heatmaps import draw_heatmaps

        grid = grid_of(
            table.frame, self.x, self.y, self.value,
            panels=self.panels, mask=self.mask, state=self.state,
        )  # fmt: skip
        return self.drawn(lambda: draw_heatmaps(self, grid))
