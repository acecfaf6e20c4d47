"""Mosaics: contours of single samples side by side, each with its title and its picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from plugins.maths.figures import grids, theme
from plugins.maths.figures.contours import Scale, colours, draw_star, draw_surface, few_ticks
from plugins.maths.figures.heatmaps import fit_height

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from plugins.renderers.contour_mosaic import ContourMosaic

TITLE = 5.6  # points


def draw_mosaic(
    wish: ContourMosaic, grid: grids.Grid, titles: Sequence[str], thumbnails: Sequence[Any]
) -> Figure:
    """Return the mosaic: panels with shared axes, a title of two lines and a thumbnail each.

    Args:
        wish: the renderer's parameters.
        grid: a panel for each sample.
        titles: one for each panel.
        thumbnails: pictures (h, w), upright as stored; empty for none.
    """
    rows, columns = wish.layout
    cmap = colours(wish.colours)
    clip = wish.quantiles if wish.colour_scale == "quantile" else (0.0, 1.0)
    values = [panel.values for panel in grid.panels]
    shared = Scale.over(values, wish.levels, clip=clip)
    own_bar = 0.0 if wish.share_colour_bar else 0.5
    side = (theme.PAGE - 1.1) / columns - own_bar
    figure = Figure(figsize=(theme.PAGE, rows * (side + 0.42) + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    letters = int((side + own_bar) * 72 / (TITLE * 0.56))
    for at, panel in enumerate(grid.panels):
        here = axes.flat[at]
        scale = (
            shared if wish.share_colour_bar else Scale.over([values[at]], wish.levels, clip=clip)
        )
        draw_surface(here, grid.x, grid.y, panel.values, scale, lines=wish.lines, cmap=cmap)
        draw_star(here, 5.0)
        here.set_title(two_lines(titles[at], letters), fontsize=TITLE, pad=3, linespacing=1.15)
        few_ticks(here, 2)
        if len(thumbnails):
            _thumbnail(here, thumbnails[at])
        if not wish.share_colour_bar:
            scale.bar(figure, cmap, label="", ax=here, length=side)
    for spare in axes.flat[len(grid.panels) :]:
        spare.set_axis_off()
    for at in range(min(columns, len(grid.panels))):
        lowest = max(k for k in range(at, len(grid.panels), columns))
        axes.flat[lowest].tick_params(labelbottom=True)
    for at, here in enumerate(axes.flat[: len(grid.panels)]):
        here.set_xlabel("alpha" if at + columns >= len(grid.panels) else "")
        here.set_ylabel("beta" if at % columns == 0 else "")
    if wish.share_colour_bar:
        length = rows * (side + 0.3)
        shared.bar(figure, cmap, label=wish.label, ax=list(axes.flat), length=length)
    theme.head_and_foot(figure, wish.title, wish.footnote)
    fit_height(figure, axes)
    return figure


def two_lines(title: str, letters: int) -> str:
    """Break a title that is too long at the middle one of its bars, else between words."""
    if len(title) <= letters:
        return title
    parts = title.split(" | ")
    half = (len(parts) + 1) // 2
    lines = [" | ".join(parts[:half]) + " |", " | ".join(parts[half:])]
    if len(parts) > 1 and max(map(len, lines)) <= letters + 4:
        return "\n".join(lines)
    return textwrap.fill(title, letters)


def _thumbnail(axes: Axes, picture: Any) -> None:
    """Put a picture into the top right corner, its first row on top."""
    inset = axes.inset_axes((0.70, 0.70, 0.28, 0.28))
    inset.imshow(picture, cmap="gray", origin="upper", interpolation="nearest")
    inset.set(xticks=[], yticks=[])
    for spine in inset.spines.values():
        spine.set(color="white", linewidth=0.6)
