"""Filled contours of a surface over a plane, one panel beside the other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import SurfacePicture
from runner.parameters import Column
from runner.types import Files, Table


class Contour(SurfacePicture):
    """Draw `value` over `x` and `y` as filled contours with white lines, a red star at (0, 0).

    With a `trajectory` the way of training is drawn over every panel. Values beyond the quantiles
    `clip` have the colour of the end, whose side of the colour bar is then pointed.

    Reads:  table, one row per point: x, y, value and the column named by `panels`;
            trajectory: step, alpha, beta, as the probe `directions` gives it.
    Raises: ValueError for a missing column, two rows at one point, nothing finite, values that a
        log scale cannot hold, or a trajectory that leaves the surface.
    Source: none; colours are matplotlib's viridis.
    """

    panels: Column | None = Field(None, description="column whose values become panels, in order")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    levels: int = Field(30, ge=2, description="filled levels")
    lines: int = Field(15, ge=0, description="white lines, at most; 0: none")
    scale: Literal["linear", "log"] = Field("linear", description="how levels follow value")
    share_scale: bool = Field(True, description="one colour bar for all panels, else one for each")
    star: bool = Field(True, description="a star at (0, 0), where the network lies")

    def run(self, table: Table, trajectory: Table | None = None) -> Files:
        from plugins.maths.figures.contours import draw_contours
        from plugins.maths.figures.grids import grid_of

        grid = grid_of(table.frame, self.x, self.y, self.value, panels=self.panels)
        path = trajectory.frame if trajectory is not None else None
        return self.drawn(lambda: draw_contours(self, grid, path))
