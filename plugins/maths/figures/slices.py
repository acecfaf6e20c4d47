"""Surfaces as lines and in perspective."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from plugins.maths.figures import contours, grids, theme
from plugins.maths.figures.lineplots import place_axis_ticks
from plugins.maths.figures.views import check_columns, check_unique

if TYPE_CHECKING:
    from plugins.renderers.slices_1d import Slices1d
    from plugins.renderers.surface_3d import Surface3d


def lines_of(frame: pd.DataFrame, along: str, across: str, value: str) -> pd.DataFrame:
    """Return the points where `across` is 0, in order, one for each place.

    Raises: ValueError when there are fewer than two.
    """
    found = frame[frame[across] == 0].sort_values(along).drop_duplicates([along, value])
    if len(found) < 2:
        raise ValueError(f"no line of points has {across} = 0: give the probe an odd `points`")
    check_unique(found, [along], "Name one of them as `panels`.")
    return found


def draw_slices(wish: Slices1d, frame: pd.DataFrame) -> Figure:
    """Return the figure of both lines in each panel."""
    check_columns(frame, x=wish.x, y=wish.y, value=wish.value, panels=wish.panels)
    names = list(frame[wish.panels].unique()) if wish.panels else [None]
    rows, columns = grids.layout(len(names), wish.wrap)
    width = theme.COLUMN if columns == 1 else theme.PAGE
    size = (width, rows * (width / columns * 0.72) + 0.2)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    looks = [
        {"color": colour, "linestyle": dash}
        for colour, dash in zip(theme.PALETTE, theme.DASHES, strict=False)
    ]
    for at, name in enumerate(names):
        here = axes.flat[at]
        part = frame if name is None else frame[frame[wish.panels] == name]
        for (along, across), look in zip(((wish.x, wish.y), (wish.y, wish.x)), looks, strict=False):
            line = lines_of(part, along, across, wish.value)
            here.plot(line[along], line[wish.value], **look)
        here.axvline(0, color=theme.FADED, linewidth=0.5, zorder=0)
        here.set_title("" if name is None else str(name))
        theme.linear_ticks(here.xaxis, 5)
        here.set_xlabel("coordinate" if at + columns >= len(names) else "")
        here.set_ylabel((wish.label or wish.value) if at % columns == 0 else "")
        here.tick_params(labelbottom=at + columns >= len(names))
    if wish.scale == "log" and float(frame[wish.value].min()) <= 0:
        raise ValueError(f"{wish.value!r} is {frame[wish.value].min()!r} somewhere: no log scale")
    for here in axes.flat[: len(names)]:
        here.set_yscale(wish.scale)
        here.autoscale_view()
    place_axis_ticks(axes.flat[0].yaxis, wish.scale)
    for spare in axes.flat[len(names) :]:
        spare.set_axis_off()
    theme.head_and_foot(figure, wish.title, "")
    entries = [
        (f"along {a}, {b} = 0", look)
        for (a, b), look in zip(((wish.x, wish.y), (wish.y, wish.x)), looks, strict=False)
    ]
    theme.legend_and_foot(figure, entries, wish.footnote)
    return figure


def draw_perspective(wish: Surface3d, grid: grids.Grid) -> Figure:
    """Return the figure of one surface in perspective."""
    import mpl_toolkits.mplot3d  # noqa: F401  # gives figures the projection "3d"

    (panel,) = grid.panels
    scale = contours.Scale.over([panel.values], 30, clip=wish.clip)
    low, high = scale.norm.vmin, scale.norm.vmax
    heights = np.clip(panel.values, low, high)
    figure = Figure(figsize=(theme.COLUMN * 1.25, theme.COLUMN))
    with mpl.rc_context({"grid.linewidth": 0.4, "grid.color": "#c8c8c8"}):
        axes = figure.add_axes((0.02, 0.05, 0.78, 0.88), projection="3d")
    x, y = np.meshgrid(grid.x, grid.y)
    cmap = contours.colours(wish.colours)
    axes.plot_surface(
        x, y, heights, cmap=cmap, norm=scale.norm, linewidth=0, antialiased=False,
        rcount=heights.shape[0], ccount=heights.shape[1],
    )  # fmt: skip
    axes.view_init(elev=wish.elevation, azim=wish.azimuth)
    axes.set_xlabel(wish.x_label or wish.x, labelpad=-4)
    axes.set_ylabel(wish.y_label or wish.y, labelpad=-4)
    axes.set_zlim(low, high)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        most = 6 if axis is axes.zaxis else 4
        theme.linear_ticks(axis, most)
        axis.set_tick_params(pad=-2)
        axis.pane.set_facecolor("white")
    beside = figure.add_axes((0.84, 0.2, 0.03, 0.6))
    scale.bar(figure, cmap, label=wish.label or wish.value, cax=beside)
    if wish.title:
        figure.suptitle(theme.wrapped(figure, wish.title, theme.TITLE), y=0.98)
    if wish.footnote:
        text = theme.wrapped(figure, wish.footnote, theme.SMALL)
        figure.text(0.01, 0.01, text, fontsize=theme.SMALL, color=theme.FADED, va="bottom")
    return figure
