"""Colour bars: one look; ends are pointed where values lie beyond them, log scales in tens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from plugins.maths.figures import theme
from plugins.maths.figures.ticks import log_ticks

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

THICK = 0.12  # inches
_ENDS = {(True, True): "both", (True, False): "min", (False, True): "max"}


def extend(groups: Iterable[NDArray[Any]], low: float, high: float) -> str:
    """Return which ends of a bar from `low` to `high` are pointed, as matplotlib names them."""
    groups = list(groups)
    below = any(bool((group < low).any()) for group in groups)
    above = any(bool((group > high).any()) for group in groups)
    return _ENDS.get((below, above), "neither")


def colour_bar(
    figure: Figure, norm: Normalize, cmap: Colormap, *, ends: str, label: str, **place: Any
) -> Any:
    """Draw a colour bar, continuous as its norm is, and return it.

    Args:
        figure: gets it.
        norm: what the panels were drawn with; two panels share a bar if they share a norm.
        cmap: their map of colours.
        ends: from `extend`.
        label: along the bar; may be empty.
        place: `cax` for axes of its own; or `ax`, the panels it stands beside, and `length` in
            inches.
    """
    if "cax" not in place:
        place = {"ax": place["ax"], "pad": 0.02, "aspect": place["length"] / THICK}
    bar = figure.colorbar(ScalarMappable(norm, cmap), extend=ends, **place)
    bar.outline.set_linewidth(0.4)
    bar.set_label(label)
    if isinstance(norm, LogNorm):
        theme.place_ticks(bar.ax.yaxis, *log_ticks(norm.vmin, norm.vmax))
    else:
        bar.locator = MaxNLocator(6, steps=theme.STEPS)
        bar.update_ticks()
    return bar
