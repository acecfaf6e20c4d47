"""Heat maps over two axes of a study, one panel beside the other under one colour bar."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture, Quantiles
from runner.parameters import Column, Real, Text
from runner.types import Files, Table

Scale = Literal["auto", "linear", "log", "even"]


class Heatmap(Picture):
    """Draw `value` as colour over `x` and `y`, larger brighter, dark purple to orange-yellow.

    Cells whose `mask` is False are grey and hatched, take no part in the colour scale, and are
    counted under the panel's name; cells without a row or without a finite value stay white.
    With `blocks`, cells of different blocks are parted by thin lines and ticks name the blocks.

    Reads:  table, one row per cell: x, y, value, and the columns named by `panels`, `mask`,
            `blocks` and `state`.
    Raises: ValueError for a missing column, two rows at one cell, no rows, values that are not
        numbers, values a log scale or axis cannot hold, or a coordinate in two blocks.
    Source: none; the theme's colours are matplotlib's inferno without its two ends.
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
    limits: tuple[Real, Real] | None = Field(
        None, description="values where the colours end, in the place of quantiles"
    )
    colours: Literal["theme", "viridis"] = Field("theme", description="map of colours")
    blocks: tuple[Column, Column] | None = Field(
        None, description="columns that name the block of each x and of each y"
    )
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

    def check_parameters(self) -> str | None:
        if self.limits and self.limits[0] >= self.limits[1]:
            return f"limits = {list(self.limits)}: the lower end comes first"
        if self.blocks and {self.x_scale, self.y_scale} - {"auto", "even"}:
            return "blocks part a list of cells; x_scale and y_scale are then auto or even"
        return None

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.grids import blocks_of, grid_of
        from plugins.maths.figures.heatmaps import draw_heatmaps

        frame = table.frame
        grid = grid_of(
            frame, self.x, self.y, self.value,
            panels=self.panels, mask=self.mask, state=self.state,
        )  # fmt: skip
        names = self.blocks or (None, None)
        blocks = tuple(
            blocks_of(frame, axis, name, at)
            for axis, name, at in zip((self.x, self.y), names, (grid.x, grid.y), strict=True)
        )
        return self.drawn(lambda: draw_heatmaps(self, grid, blocks))
