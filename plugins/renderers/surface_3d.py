"""A surface in perspective."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.views import PictureSuffix, suffix_problem
from runner.parameters import Column, Real, Text
from runner.plugin import Renderer
from runner.types import Files, Table


class Surface3d(Renderer):
    """Draw `value` as height and colour over `x` and `y`; heights are cut at quantiles `clip`.

    Reads:  table, one row per point of one surface: x, y, value.
    Raises: ValueError for a missing column, two rows at one point, or nothing finite.
    Source: none; colours are matplotlib's viridis.
    """

    formats: tuple[PictureSuffix, ...] = Field((), description='further formats, [".pdf"]')
    x: Column = Field("alpha", description="column along the first axis")
    y: Column = Field("beta", description="column along the second axis")
    value: Column = Field("loss", description="column shown as height")
    clip: tuple[Real, Real] = Field((0.0, 1.0), description="quantiles where heights are cut")
    elevation: Real = Field(32.0, ge=-90, le=90, description="of the viewer, degrees")
    azimuth: Real = Field(-60.0, description="of the viewer, degrees")
    colours: Literal["viridis", "theme"] = Field("viridis", description="map of colours")
    title: Text = Field("", description="above everything")
    label: Text = Field("", description="of the colour bar; empty: the column's name")
    x_label: Text = Field("", description="empty: the column's name")
    y_label: Text = Field("", description="empty: the column's name")
    footnote: Text = Field("", description="below everything, small")

    def check_parameters(self) -> str | None:
        low, high = self.clip
        if not 0 <= low < high <= 1:
            return f"clip = {[low, high]} must be two quantiles with 0 <= low < high <= 1"
        return suffix_problem(self)

    def run(self, table: Table) -> Files:
        from plugins.maths.figures import theme
        from plugins.maths.figures.grids import grid_of
        from plugins.maths.figures.slices import draw_perspective

        grid = grid_of(table.frame, self.x, self.y, self.value)
        with theme.style():
            return theme.figure_files(draw_perspective(self, grid), self.suffixes())
