"""What renderers of pictures have in common. Light: matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from runner.parameters import Column, Real, Text
from runner.plugin import Renderer
from runner.types import Files

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _rising(ends: Any) -> Any:
    if not 0 <= ends[0] < ends[1] <= 1:
        raise PydanticCustomError("quantiles", "must be two quantiles, 0 <= low < high <= 1")
    return ends


Quantiles = Annotated[tuple[Real, Real], AfterValidator(_rising)]
"""Two quantiles in [0, 1], the lower one first."""


class Picture(Renderer):
    """A renderer that draws: its formats, its sharpness, and what stands around it."""

    writes: ClassVar[tuple[str, ...]] = (".png", ".svg", ".pdf")

    formats: tuple[Literal[".png", ".svg", ".pdf"], ...] = Field(
        (), description='further formats, [".pdf"]'
    )
    dpi: int = Field(200, ge=50, le=1200, description="dots an inch of a PNG; 300 for print")
    title: Text = Field("", description="above everything")
    footnote: Text = Field("", description="below everything, small")

    def drawn(self, draw: Callable[[], Figure]) -> Files:
        """Return the figure that `draw` makes under the theme, in each format."""
        from plugins.maths.figures import theme

        with theme.style(), theme.uncollected():
            return theme.figure_files(draw(), self.suffixes(), self.dpi)


class SurfacePicture(Picture):
    """A picture of one quantity over two coordinates, a loss over a plane of parameters."""

    x: Column = Field("alpha", description="column along the first axis")
    y: Column = Field("beta", description="column along the second axis")
    value: Column = Field("loss", description="column shown as height")
    clip: Quantiles = Field((0.0, 1.0), description="quantiles where heights and colours end")
    colours: Literal["viridis", "theme"] = Field("viridis", description="map of colours")
    label: Text = Field("", description="of the colour bar; empty: the column's name")
    x_label: Text = Field("", description="empty: the column's name")
    y_label: Text = Field("", description="empty: the column's name")
