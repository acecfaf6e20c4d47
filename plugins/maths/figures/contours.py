"""Contours of surfaces over a plane: levels, panels, the way of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from plugins.maths.figures import grids, theme
from plugins.maths.figures.colourbars import colour_bar, extend
from plugins.maths.figures.heatmaps import fit_height
from plugins.maths.figures.views import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from plugins.renderers.contour import Contour

STAR = "#e41a1c"  # the red of the published pictures


@dataclass(frozen=True)
class Scale:
    """How colour follows value: levels of the filled contours, shared by all that has this scale.

    `low` and `high` are its ends; what lies beyond is drawn in the colour of the end.
    """

    levels: grids.Floats
    norm: Normalize
    ends: str  # which of them are pointed

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
        return cls(levels, norm, extend(finite, low, high))

    def bar(self, figure: Figure, cmap: Colormap, *, label: str, **place: Any) -> None:
        """Draw the colour bar of this scale; `place` as in `colourbars.colour_bar`."""
        colour_bar(figure, self.norm, cmap, ends=self.ends, label=label, **place)


def colours(name: str) -> Colormap:
    """Return a map of colours: viridis, as landscapes are published in, or the theme's own."""
    return theme.sequential() if name == "theme" else mpl.colormaps["viridis"]


def draw_surface(
    axes: Axes, x: Any, y: Any, values: grids.Floats, scale: Scale, *, lines: int, cmap: Colormap
) -> Any:
    """Draw filled contours, white lines over them and a star at (0, 0); return the filled ones."""
    filled = axes.contourf(
        x, y, np.ma.masked_invalid(values), levels=scale.levels, norm=scale.norm, cmap=cmap,
        extend=scale.ends,
    )  # fmt: skip
    filled.set_edgecolor("face")  # closes the seams that viewers of PDF show
    filled.set_linewidth(0.15)
    if lines:
        every = -(-(len(scale.levels) - 2) // lines)
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


def few_ticks(axes: Axes, most: int = 4) -> None:
    """Set few round ticks on both axes."""
    for axis in (axes.xaxis, axes.yaxis):
        theme.linear_ticks(axis, most)


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
    label = wish.label or wish.value
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
            scale.bar(figure, cmap, label=label, ax=here, length=side)
    for spare in axes.flat[len(panels) :]:
        spare.set_axis_off()
    if wish.share_scale:
        shared.bar(figure, cmap, label=label, ax=list(axes.flat), length=rows * side)
    theme.head_and_foot(figure, wish.title, wish.footnote)
    fit_height(figure, axes)
    return figure
