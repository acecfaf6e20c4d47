"""Loss surfaces of single samples side by side, each with its sample."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture, Quantiles
from runner.parameters import Column, Text
from runner.types import Files, Split, Table

Title = "idx=#{index} | y={label}, ŷ={prediction} | p={probability:.2f} | L(0,0)={centre_loss:.2f}"


class ContourMosaic(Picture):
    """Draw a panel for each sample: contours, a star at (0, 0), its title and its picture.

    Axes, ticks and, with `share_colour_bar`, levels and colours are the same in all panels. The
    picture is the row `index` of `images`, the first row of its pixels on top.

    Reads:  table: alpha, beta, loss and the column of `panels`, as the probe `landscape` gives
            them; centre: a row for each panel; images: x (N, h, w), (N, 1, h, w) or (N, h w) with
            `shape` in about.
    Raises: ValueError for missing columns or points, a panel without a row in `centre`, a title
        that names no column of it, more panels than the layout holds, or images without a shape.
    Source: none; colours are matplotlib's viridis.
    """

    panels: Column = Field("rank", description="column that tells the samples apart")
    layout: tuple[int, int] = Field((2, 5), description="rows and columns of panels")
    levels: int = Field(30, ge=2, description="filled levels")
    lines: int = Field(15, ge=0, description="white lines, at most; 0: none")
    share_colour_bar: bool = Field(True, description="one for all panels, else one for each")
    colour_scale: Literal["global", "quantile"] = Field(
        "quantile", description="ends of the colours: least and largest value, or `quantiles`"
    )
    quantiles: Quantiles = Field((0.05, 0.95), description="where the colours end")
    colours: Literal["viridis", "theme"] = Field("viridis", description="map of colours")
    panel_title: str = Field(Title, description="above each panel; holes name columns of `centre`")
    label: Text = Field("loss (nats)", description="of the colour bar")

    def check_parameters(self) -> str | None:
        if min(self.layout) < 1:
            return f"layout = {list(self.layout)} must be rows and columns, 1 or more"
        return None

    def run(self, table: Table, centre: Table, images: Split | None = None) -> Files:
        from plugins.maths.figures.grids import grid_of
        from plugins.maths.figures.mosaics import draw_mosaic
        from plugins.maths.figures.samples import pictures, rows_by, titled

        grid = grid_of(table.frame, "alpha", "beta", "loss", panels=self.panels)
        if len(grid.panels) > self.layout[0] * self.layout[1]:
            raise ValueError(
                f"{len(grid.panels)} panels do not fit into layout = {list(self.layout)}"
            )
        rows = rows_by(centre.frame, self.panels, [panel.name for panel in grid.panels])
        titles = [titled(self.panel_title, row) for row in rows]
        thumbnails = pictures(images, [row["index"] for row in rows]) if images else []
        return self.drawn(lambda: draw_mosaic(self, grid, titles, thumbnails))
