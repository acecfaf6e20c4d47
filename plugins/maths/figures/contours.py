"""Contours of surfaces over a plane: levels, panels, the way of training, mosaics of samples."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from plugins.maths.figures import grids, theme
from plugins.maths.figures.heatmaps import fit_height
from plugins.maths.figures.ticks import log_ticks
from plugins.maths.figures.views import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from plugins.renderers.contour import Contour
    from plugins.renderers.contour_mosaic import ContourMosaic

STAR = "#e41a1c"  # the red of the published pictures


@dataclass(frozen=True)
class Scale:
    """How colour follows value: levels of the filled contours, shared by all that has this scale.

    `low` and `high` are its ends; what lies beyond is drawn in the colour of the end.
    """

    levels: grids.Floats
    norm: Normalize
    extend: str

    @classmethod
    def over(
        cls,
        groups: Sequence[grids.Floats],
        count: int,
        scale: str = "linear",
        clip: tuple[float, float] = (0.0, 1.0),
    ) -> Scale:
        """Return a scale of `count` filled levels over all groups of values.

        Raises: ValueError when there is no finite value, or none that a log scale can hold.
        """
        finite = [group[np.isfinite(group)] for group in groups]
        ends = grids.limits(finite, scale, clip)
        if ends is None:
            raise ValueError("no value is finite: there is nothing to draw")
        low, high = ends
        between = np.geomspace if scale == "log" else np.linspace
        levels = np.asarray(between(low, high, count + 1))
        levels[0], levels[-1] = low, high
        norm = LogNorm(low, high) if scale == "log" else Normalize(low, high)
        below = any(bool((group < low).any()) for group in finite)
        above = any(bool((group > high).any()) for group in finite)
        extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
        return cls(levels, norm, extend.get((below, above), "neither"))


def colours(name: str) -> Colormap:
    """Return a map of colours: viridis, as landscapes are published in, or the theme's own."""
    return theme.sequential() if name == "theme" else mpl.colormaps["viridis"]


def draw_surface(
    axes: Axes, x: Any, y: Any, values: grids.Floats, scale: Scale, *, lines: int, cmap: Colormap
) -> Any:
    """Draw filled contours, white lines over them and a star at (0, 0); return the filled ones."""
    filled = axes.contourf(
        x, y, np.ma.masked_invalid(values), levels=scale.levels, norm=scale.norm, cmap=cmap,
        extend=scale.extend,
    )  # fmt: skip
    filled.set_edgecolor("face")  # closes the seams that viewers of PDF show
    filled.set_linewidth(0.15)
    if lines:
        every = max(1, (len(scale.levels) - 1) // lines)
        white = {"colors": "white", "alpha": 0.4, "linewidths": 0.4}
        axes.contour(x, y, np.ma.masked_invalid(values), levels=scale.levels[1:-1:every], **white)
    axes.set_xlim(min(x), max(x))
    axes.set_ylim(min(y), max(y))
    return filled


def draw_star(axes: Axes, size: float = 7.0) -> None:
    """Mark the network at the centre of the plane, whole where it lies at the edge."""
    look = {"markeredgecolor": "white", "markeredgewidth": 0.4, "clip_on": False, "zorder": 5}
    axes.plot([0], [0], "*", color=STAR, markersize=size, **look)


def draw_trajectory(axes: Axes, path: pd.DataFrame) -> None:
    """Draw the way of training: checkpoints in order of their steps, first and last one named."""
    path = path.sort_values("step")
    halo = [withStroke(linewidth=2.2, foreground="white")]
    axes.plot(
        path["alpha"], path["beta"], "-o", color=theme.INK, linewidth=1.0, markersize=2.6, zorder=4,
        path_effects=halo,
    )  # fmt: skip
    middle = float(np.mean(axes.get_xlim()))
    for row in path.iloc[[0, -1]].itertuples():
        right = row.alpha > middle
        axes.annotate(
            f"step {row.step}", (row.alpha, row.beta), (-4 if right else 4, 5),
            textcoords="offset points", ha="right" if right else "left", fontsize=theme.SMALL,
            path_effects=halo, zorder=6,
        )  # fmt: skip


def check_inside(path: pd.DataFrame, x: Sequence[float], y: Sequence[float]) -> None:
    """Check that the plane holds the trajectory.

    Raises: ValueError with the range that would.
    """
    check_columns(path, step="step", alpha="alpha", beta="beta")
    for name, ends in (("alpha", x), ("beta", y)):
        low, high = float(path[name].min()), float(path[name].max())
        if low < min(ends) - 1e-6 or high > max(ends) + 1e-6:
            raise ValueError(
                f"the trajectory spans {name} {low:.3g} to {high:.3g}, the surface {min(ends):.3g} "
                f"to {max(ends):.3g}: widen the probe's {name}"
            )


def colour_bar(
    figure: Figure, axes: Any, scale: Scale, cmap: Colormap, *, label: str, length: float
) -> None:
    """Draw one colour bar of `length` inches at the right of `axes`, continuous as its norm is."""
    bar = figure.colorbar(
        ScalarMappable(scale.norm, cmap), ax=axes, extend=scale.extend, pad=0.02,
        aspect=length / 0.12,
    )  # fmt: skip
    bar.outline.set_linewidth(0.4)
    bar.set_label(label)
    if isinstance(scale.norm, LogNorm):
        theme.place_ticks(bar.ax.yaxis, *log_ticks(scale.norm.vmin, scale.norm.vmax))
    else:
        bar.locator = MaxNLocator(6, steps=theme.STEPS)
        bar.update_ticks()


def few_ticks(axes: Axes, most: int = 4) -> None:
    """Set few round ticks on both axes."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(most, steps=theme.STEPS))


def draw_contours(wish: Contour, grid: grids.Grid, path: pd.DataFrame | None) -> Figure:
    """Return the figure of one panel or several, with one colour scale or one for each."""
    if path is not None:
        check_inside(path, grid.x, grid.y)
    cmap, panels = colours(wish.colours), grid.panels
    rows, columns = grids.layout(len(panels), wish.wrap)
    width = theme.COLUMN if columns == 1 else theme.PAGE
    side = (width - 1.0) / columns - (0.65 if not wish.share_scale and columns > 1 else 0.0)
    figure = Figure(figsize=(width, rows * (side + 0.5) + 0.25), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    shown = [panel.values for panel in panels]
    shared = Scale.over(shown, wish.levels, wish.scale, wish.clip)
    for at, panel in enumerate(panels):
        here = axes.flat[at]
        scale = shared
        if not wish.share_scale:
            scale = Scale.over([panel.values], wish.levels, wish.scale, wish.clip)
        draw_surface(here, grid.x, grid.y, panel.values, scale, lines=wish.lines, cmap=cmap)
        if path is not None:
            draw_trajectory(here, path)
        if wish.star:
            draw_star(here)
        here.set_title(panel.name)
        few_ticks(here)
        here.set_xlabel((wish.x_label or wish.x) if at + columns >= len(panels) else "")
        here.set_ylabel((wish.y_label or wish.y) if at % columns == 0 else "")
        if not wish.share_scale:
            colour_bar(figure, here, scale, cmap, label=wish.label or wish.value, length=side)
    for spare in axes.flat[len(panels) :]:
        spare.set_axis_off()
    if wish.share_scale:
        label = wish.label or wish.value
        colour_bar(figure, list(axes.flat), shared, cmap, label=label, length=rows * side)
    theme.head_and_foot(figure, wish.title, wish.footnote)
    fit_height(figure, axes)
    return figure


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
    letters = int((side + own_bar) * 72 / (5.6 * 0.56))
    for at, panel in enumerate(grid.panels):
        here = axes.flat[at]
        scale = (
            shared if wish.share_colour_bar else Scale.over([values[at]], wish.levels, clip=clip)
        )
        draw_surface(here, grid.x, grid.y, panel.values, scale, lines=wish.lines, cmap=cmap)
        draw_star(here, 5.0)
        here.set_title(two_lines(titles[at], letters), fontsize=5.6, pad=3, linespacing=1.15)
        few_ticks(here, 2)
        if len(thumbnails):
            _thumbnail(here, thumbnails[at])
        if not wish.share_colour_bar:
            colour_bar(figure, here, scale, cmap, label="", length=side)
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
        colour_bar(figure, list(axes.flat), shared, cmap, label=wish.label, length=length)
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
