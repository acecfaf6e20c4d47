"""The drawing of bars: groups side by side, whiskers, what a log axis cannot hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.curves import Curve, Curves, curves_of, for_log_axes
from plugins.maths.figures.grids import coordinates, layout
from plugins.maths.figures.lineplots import place_axis_ticks
from plugins.maths.figures.ticks import number_label
from plugins.maths.figures.views import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from plugins.renderers.bars import Bars

FILLED = 0.8  # of the room that a group has


def bars_of(wish: Bars, frame: pd.DataFrame) -> tuple[list[Any], Curves]:
    """Return the groups, and for each panel and hue the heights over the groups' places.

    Raises: ValueError as `Bars` says.
    """
    check_columns(frame, x=wish.x)
    groups = coordinates(frame[wish.x])
    place = f"place of {wish.x}"
    placed = frame.assign(**{place: frame[wish.x].map({v: i for i, v in enumerate(groups)})})
    curves = curves_of(
        placed, place, [wish.y],
        hue=wish.hue, panels=wish.panels, replicate=wish.replicate, band=wish.band,
    )  # fmt: skip
    return groups, curves


def draw_bars(wish: Bars, groups: list[Any], curves: Curves) -> Figure:
    """Return the figure of all panels.

    Raises: ValueError when no bar can be drawn.
    """
    shown = [for_log_axes(one, x=False, y=wish.y_scale == "log")[0] for one in curves.curves]
    lost = sum(int((~np.isfinite(one.mean)).sum()) for one in shown)
    if lost == sum(len(one.mean) for one in shown):
        raise ValueError(f"no value of {wish.y!r} is finite, or positive on the log axis")
    rows, columns = layout(len(curves.panels), wish.wrap)
    page = wish.width == "page" or (wish.width == "auto" and columns > 1)
    width = theme.PAGE if page else theme.COLUMN
    side = (width - 0.3) / columns
    size = (width, rows * (min(side * 0.62, 2.6) + 0.25) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    palette = theme.colours(len(curves.hues))
    for one in shown:
        here = axes.flat[curves.panels.index(one.panel)]
        at = curves.hues.index(one.hue)
        _draw(here, one, at, len(curves.hues), palette[at])
    for at, here in enumerate(axes.flat):
        if at >= len(curves.panels):
            here.set_axis_off()
            continue
        last = at + columns >= len(curves.panels)
        _label(wish, here, groups, side)
        here.set_title("" if wish.panels is None else _value(wish, wish.panels, curves.panels[at]))
        here.set_xlabel((wish.x_label or wish.names.get(wish.x, wish.x)) if last else "")
        here.tick_params(labelbottom=last)
        first = at % columns == 0
        here.set_ylabel((wish.y_label or wish.names.get(wish.y, wish.y)) if first else "")
    theme.head_and_foot(figure, wish.title, "")
    words = f"{lost} bar{'s' * (lost > 1)} without a value that can be shown." if lost else ""
    look = {"marker": "s", "markersize": 5.0, "linestyle": ""}
    entries = [
        (_value(wish, wish.hue, hue), look | {"color": colour})
        for hue, colour in zip(curves.hues, palette, strict=True)
        if wish.hue is not None
    ]
    theme.legend_and_foot(figure, entries, " ".join(filter(None, [wish.footnote, words])))
    return figure


def _draw(axes: Axes, one: Curve, at: int, hues: int, colour: str) -> None:
    """Draw the bars of one hue, number `at` of so many."""
    wide = FILLED / hues
    fine = np.isfinite(one.mean)
    x = one.x[fine] + (at - (hues - 1) / 2) * wide
    mean, low, high = one.mean[fine], one.low[fine], one.high[fine]
    axes.bar(x, mean, width=wide, color=colour, linewidth=0)
    if one.has_band:
        whiskers = {"ecolor": theme.INK, "elinewidth": 0.7, "capsize": 1.8, "capthick": 0.7}
        axes.errorbar(x, mean, [mean - low, high - mean], fmt="none", **whiskers)


def _label(wish: Bars, axes: Axes, groups: list[Any], side: float) -> None:
    """Scale the axes and name the groups."""
    axes.set(xlim=(-0.5, len(groups) - 0.5), yscale=wish.y_scale)
    if wish.line is not None:
        axes.axhline(wish.line, color=theme.FADED, linewidth=0.7, linestyle="--", zorder=0)
    if wish.y_scale == "linear":
        axes.axhline(0, color=theme.INK, linewidth=0.6)
    place_axis_ticks(axes.yaxis, wish.y_scale)
    labels = [one if isinstance(one, str) else _spelled(one) for one in groups]
    theme.place_ticks(axes.xaxis, range(len(groups)), labels)
    axes.tick_params(axis="x", length=0)
    room = side * 72 * 0.85 / len(groups)  # points for each
    if max(map(len, labels)) * theme.SMALL * 0.57 > room:
        axes.tick_params(axis="x", rotation=30)


def _spelled(value: Any) -> str:
    return str(value) if isinstance(value, bool | np.bool_) else number_label(float(value))


def _value(wish: Bars, column: str, value: Any) -> str:
    """Return a hue's or panel's value for reading: text as it is, a number with its column."""
    if isinstance(value, str):
        return value
    return f"{wish.names.get(column, column)} = {_spelled(value)}"
