"""The drawing of curves: panels, a second axis, the legend, and what could not be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.curves import Curve, Curves, for_log_axes
from plugins.maths.figures.grids import layout
from plugins.maths.figures.ticks import log_ticks, number_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from plugins.renderers.lines import Lines


def draw_lines(wish: Lines, curves: Curves) -> Figure:
    """Return the figure of all panels.

    Raises: ValueError for a log axis without any positive value.
    """
    shown, lost = _shown(wish, curves)
    rows, columns = layout(len(curves.panels), wish.wrap)
    page = wish.width == "page" or (wish.width == "auto" and columns > 1)
    width = theme.PAGE if page else theme.COLUMN
    side = (width - 0.3) / columns
    figure = Figure(
        figsize=(width, rows * (min(side * 0.62, 2.6) + 0.25) + 0.3), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=wish.share_y)
    twins = [panel.twinx() for panel in axes.flat] if wish.right_columns else []
    looks = _Looks(wish, curves)
    for curve in shown:
        at = curves.panels.index(curve.panel)
        side_axes = twins if curve.column in wish.right_columns else axes.flat
        _draw(side_axes[at], curve, looks.of(curve), marker="o" if wish.dots else "")
    for at, name in enumerate(curves.panels):
        axes.flat[at].set_title("" if name is None else _value(wish, wish.panels, name))
    _label(wish, axes, twins, len(curves.panels))
    _scale(wish, axes, twins)
    theme.head_and_foot(figure, wish.title, "")
    footnote = " ".join(filter(None, [wish.footnote, lost]))
    theme.legend_and_foot(figure, looks.entries(), footnote)
    return figure


def _shown(wish: Lines, curves: Curves) -> tuple[list[Curve], str]:
    """Return the curves as their axes can hold them, and a sentence on what was left out."""
    shown, lost = [], 0
    for curve in curves.curves:
        scale = wish.right_scale if curve.column in wish.right_columns else wish.y_scale
        kept, count = for_log_axes(curve, x=wish.x_scale == "log", y=scale == "log")
        shown.append(kept)
        lost += count
    if not any(np.isfinite(curve.mean).any() for curve in shown):
        raise ValueError("no point can be shown: none is finite, or positive on the log axes")
    words = f"{lost} point{'s' * (lost > 1)} at or below zero not shown on log axes."
    return shown, words if lost else ""


class _Looks:
    """Which colour and dash each curve has: colour tells hues apart, else columns."""

    def __init__(self, wish: Lines, curves: Curves) -> None:
        self.wish, self.hues = wish, curves.hues
        self.columns = wish.left_columns + wish.right_columns
        self.by_hue = wish.hue is not None
        self.palette = theme.colours(len(self.hues if self.by_hue else self.columns))

    def of(self, curve: Curve) -> dict[str, Any]:
        if self.by_hue:
            return self._look(self.hues.index(curve.hue), self.columns.index(curve.column))
        return self._look(self.columns.index(curve.column), curve.column in self.wish.right_columns)

    def _look(self, colour: int, dash: int) -> dict[str, Any]:
        return {"color": self.palette[colour], "linestyle": theme.DASHES[dash % len(theme.DASHES)]}

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the legend: hues, then columns where there are several; none for one curve."""
        columns, found = list(enumerate(self.columns)), []
        if self.by_hue:
            hues = enumerate(self.hues)
            found = [(_value(self.wish, self.wish.hue, v), self._look(at, 0)) for at, v in hues]
        if len(columns) > 1:
            for at, name in columns:
                right = name in self.wish.right_columns
                look = self._look(0, at) | {"color": theme.FADED}
                found.append((self._column(name), look if self.by_hue else self._look(at, right)))
        return found

    def _column(self, name: str) -> str:
        side = " (right)" if name in self.wish.right_columns else ""
        return self.wish.names.get(name, name) + side


def _value(wish: Lines, column: str | None, value: Any) -> str:
    """Return a hue's or panel's value for reading: text as it is, a number with its column."""
    if isinstance(value, str) or column is None:
        return str(value)
    name = wish.names.get(column, column)
    boolean = isinstance(value, bool | np.bool_)
    return f"{name} = {value if boolean else number_label(float(value))}"


def _draw(axes: Axes, curve: Curve, look: dict[str, Any], marker: str) -> None:
    axes.plot(curve.x, curve.mean, marker=marker, **look)
    if curve.has_band:
        axes.fill_between(
            curve.x, curve.low, curve.high, color=look["color"], alpha=0.18, linewidth=0
        )


def _label(wish: Lines, axes: NDArray[Any], twins: list[Axes], count: int) -> None:
    def words(columns: tuple[str, ...]) -> str:
        return ", ".join(wish.names.get(name, name) for name in columns)

    width = axes.shape[1]
    for at, panel in enumerate(axes.flat):
        if at >= count:
            panel.set_axis_off()
            continue
        last_row, first = at + width >= count, at % width == 0
        panel.set_xlabel((wish.x_label or wish.names.get(wish.x, wish.x)) if last_row else "")
        panel.tick_params(labelbottom=last_row, which="both")
        panel.set_ylabel((wish.y_label or words(wish.left_columns)) if first else "")
    for at, twin in enumerate(twins):
        outer = at % width == width - 1 or at == count - 1
        twin.tick_params(labelright=outer or not wish.share_y, which="both")
        if at >= count:
            twin.set_axis_off()
        elif outer:
            twin.set_ylabel(wish.right_label or words(wish.right_columns))


def _scale(wish: Lines, axes: NDArray[Any], twins: list[Axes]) -> None:
    """Scale axes and place ticks, once all curves stand."""
    if wish.share_y:
        for twin in twins[1:]:
            twin.sharey(twins[0])
    for group, scale in ((list(axes.flat), wish.y_scale), (twins, wish.right_scale)):
        for panel in group:
            panel.set(xscale=wish.x_scale, yscale=scale)
            panel.autoscale_view()
        for panel in group:
            place_axis_ticks(panel.yaxis, scale)
    for panel in axes.flat:
        place_axis_ticks(panel.xaxis, wish.x_scale)


def place_axis_ticks(axis: Any, scale: str) -> None:
    """Place ticks within what the axis shows: round numbers, powers of ten on a log axis."""
    low, high = sorted(axis.get_view_interval())
    if scale == "log":
        theme.place_ticks(axis, *log_ticks(low, high, most=5))
        axis.set_view_interval(low, high, ignore=True)
    else:
        theme.linear_ticks(axis, 5)
