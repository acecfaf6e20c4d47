"""A surface in perspective."""

from __future__ import annotations

from pydantic import Field

from plugins.maths.figures.picture import SurfacePicture
from runner.parameters import Real
from runner.types import Files, Table


class Surface3d(SurfacePicture):
    """Draw `value` as height and colour over `x` and `y`; heights are cut at quantiles `clip`.

    Reads:  table, one row per point of one surface: x, y, value.
    Raises: ValueError for a missing column, two rows at one point, or nothing finite.
    Source: none; colours are matplotlib's viridis.
    """

    elevation: Real = Field(32.0, ge=-90, le=90, description="of the viewer, degrees")
    azimuth: Real = Field(-60.0, description="of the viewer, degrees")

    def run(self, table: Table) -> Files:
        from plugins.maths.figures.grids import grid_of
        from plugins.maths.figures.slices import draw_perspective

        grid = grid_of(table.frame, self.x, self.y, self.value)
        return self.drawn(lambda: draw_perspective(self, grid))
