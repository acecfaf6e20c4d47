"""The drawing of panels that differ: marks from several tables, titles with numbers, twin axes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.curves import Curve, curves_of, for_log_axes
from plugins.maths.figures.grids import layout
from plugins.maths.figures.lineplots import place_axis_ticks
from plugins.maths.figures.smoothing import Axes as Scales
from plugins.maths.figures.smoothing import fitted, smoothed
from plugins.maths.figures.ticks import number_label
from plugins.maths.figures.views import check_columns
from runner.errors import listed
from runner.language.expression import ExpressionError, evaluate, parse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from plugins.renderers.panels import Mark, Panel, Panels, Rule

Frames = Mapping[str, pd.DataFrame]
COLOURS = {
    "black": theme.INK, "grey": "#9a9a9a", "blue": "#0072B2", "red": "#D55E00",
    "green": "#009E73", "purple": "#CC79A7", "orange": "#E69F00", "sky": "#56B4E9",
}  # fmt: skip
_NUMBER = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
_TITLE = 7.5  # points
FAINT = 0.35  # opacity of a line as measured, behind the smoothed one


def draw_panels(wish: Panels, frames: Frames) -> Figure:
    """Return the figure of all panels.

    Raises: ValueError as `Panels` says.
    """
    count = len(wish.panels)
    rows, columns = layout(count, wish.wrap)
    page = wish.width == "page" or (wish.width == "auto" and columns > 1)
    width = theme.PAGE if page else theme.COLUMN
    side = width / columns
    figure = Figure(
        figsize=(width, rows * (min(side * 0.78, 2.6) + 0.3) + 0.2), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    if columns > 1 and any(mark.right for panel in wish.panels for mark in panel.marks):
        figure.set_layout_engine(
            "constrained", wspace=0.12
        )  # labels of neighbours stand back to back
    entries: dict[str, dict[str, Any]] = {}
    lost = 0
    for at, panel in enumerate(axes.flat):
        if at >= count:
            panel.set_axis_off()
            continue
        letters = int((side - 0.2) * 72 / (_TITLE * 0.56))
        lines = filled(wish.panels[at].title, frames).splitlines()
        text = "\n".join(textwrap.fill(line, letters) for line in lines)
        panel.set_title(text, fontsize=_TITLE)
        lost += _Drawing(wish, wish.panels[at], panel, frames).draw(entries)
    theme.head_and_foot(figure, wish.title, "")
    words = (
        f"{lost} point{'s' * (lost > 1)} at or below zero not shown on log axes." if lost else ""
    )
    footnote = " ".join(filter(None, [wish.footnote, words]))
    theme.legend_and_foot(figure, list(entries.items()) if len(entries) > 1 else [], footnote)
    return figure


def filled(text: str, frames: Frames) -> str:
    """Return a title with its numbers filled in, each over the first table with its columns.

    Raises: ValueError for an expression that cannot be read or has no such table.
    """

    def fill(match: re.Match[str]) -> str:
        try:
            expression = parse(match[1])
            for frame in frames.values():
                if {name for name, _ in expression.names} <= set(frame.columns):
                    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
                    value = np.unique(np.asarray(evaluate(expression, columns)))
                    if len(value) != 1:
                        raise ValueError(f"{match[0]} has {len(value)} values; take their mean")
                    return format(value[0], match[2] or "")
        except ExpressionError as error:
            raise ValueError(f"title: {match[0]}: {error}") from error
        there = listed(dict.fromkeys(str(n) for f in frames.values() for n in f.columns), 20)
        raise ValueError(f"title: no table has the columns of {match[0]} (columns: {there})")

    return _NUMBER.sub(fill, text)


class _Drawing:
    """One panel being drawn."""

    def __init__(self, wish: Panels, panel: Panel, axes: Axes, frames: Frames) -> None:
        self.wish, self.panel, self.frames = wish, panel, frames
        self.axes = axes
        self.twin = axes.twinx() if any(mark.right for mark in panel.marks) else None
        automatic = [mark for mark in panel.marks if mark.colour is None]
        self.palette = iter(theme.colours(max(1, len(automatic))))

    def draw(self, entries: dict[str, dict[str, Any]]) -> int:
        """Draw all marks; add to the legend's entries; return how many points are not shown."""
        lost = sum(self._mark(mark, entries) for mark in self.panel.marks)
        for rule in self.panel.rules:
            self._rule(rule, entries)
        if self.panel.diagonal:
            self.axes.axline((0, 0), slope=1, color=theme.FADED, linewidth=0.7, zorder=1)
        self._label()
        for axes, scale in ((self.axes, self.panel.y_scale), (self.twin, self.panel.right_scale)):
            if axes is not None:
                axes.set(xscale=self.panel.x_scale, yscale=scale)
                axes.autoscale_view()
                if axes is self.axes and self.panel.y_limits:
                    axes.set_ylim(*self.panel.y_limits)
                place_axis_ticks(axes.yaxis, scale)
        place_axis_ticks(self.axes.xaxis, self.panel.x_scale)
        return lost

    def _mark(self, mark: Mark, entries: dict[str, dict[str, Any]]) -> int:
        frame = self._rows(mark)
        axes = self.twin if mark.right and self.twin is not None else self.axes
        own = COLOURS[mark.colour] if mark.colour else None
        look: dict[str, Any]
        if not mark.line:
            look = {
                "color": own or next(self.palette), "linestyle": "", "marker": "o",
                "markersize": mark.dots,
            }  # fmt: skip
            points = frame[[mark.x, mark.y]].drop_duplicates()
            axes.plot(points[mark.x], points[mark.y], **look)
            entries.setdefault(self._name(mark, mark.y), look)
            return 0
        curves = curves_of(
            frame, mark.x, [mark.y], hue=mark.hue, replicate=mark.replicate, band=mark.band
        )
        by_colour = mark.hue is not None and mark.hue_by == "colour"
        many = theme.colours(len(curves.hues)) if by_colour else []
        single = "" if by_colour else own or next(self.palette)
        lost = 0
        for at, hue in enumerate(curves.hues):
            look = {
                "color": many[at] if by_colour else single,
                "linestyle": mark.dash if mark.hue_by == "colour" or mark.hue is None
                else theme.DASHES[at % len(theme.DASHES)],
            }  # fmt: skip
            if mark.dots:
                look |= {"marker": "o", "markersize": mark.dots}
            for curve in (one for one in curves.curves if one.hue == hue):
                lost += self._curve(axes, mark, curve, look)
            entries.setdefault(self._name(mark, mark.y, hue), look)
        if mark.fit != "none":
            entries.setdefault(f"fitted {mark.fit}", {"color": theme.FADED, "linestyle": ":"})
        return lost

    def _rows(self, mark: Mark) -> pd.DataFrame:
        frame = self._kept(mark)
        check_columns(frame, x=mark.x, y=mark.y, hue=mark.hue, replicate=mark.replicate)
        if frame.empty:
            raise ValueError(f"no rows of {mark.y!r} to draw where {dict(mark.where)}")
        return frame

    def _kept(self, drawn: Mark | Rule) -> pd.DataFrame:
        if drawn.table not in self.frames:
            raise ValueError(f'a mark is drawn from "{drawn.table}", which is not given')
        frame = self.frames[drawn.table]
        for name, value in drawn.where.items():
            check_columns(frame, where=name)
            frame = frame[frame[name] == value]
        return frame

    def _rule(self, rule: Rule, entries: dict[str, dict[str, Any]]) -> None:
        frame = self._kept(rule)
        try:
            columns = {str(name): frame[name].to_numpy() for name in frame.columns}
            value = np.unique(np.asarray(evaluate(parse(rule.at), columns)))
        except ExpressionError as error:
            raise ValueError(f"rule {rule.at!r}: {error}") from error
        if len(value) != 1:
            raise ValueError(f"rule {rule.at!r} has {len(value)} values; take their mean")
        look = {"color": COLOURS[rule.colour], "linestyle": rule.dash}
        line = self.axes.axhline if rule.axis == "y" else self.axes.axvline
        line(float(value[0]), linewidth=0.9, zorder=1, **look)
        if rule.label:
            entries.setdefault(rule.label, look)

    def _curve(self, axes: Axes, mark: Mark, curve: Curve, look: dict[str, Any]) -> int:
        scale = self.panel.right_scale if mark.right else self.panel.y_scale
        kept, lost = for_log_axes(curve, x=self.panel.x_scale == "log", y=scale == "log")
        if not np.isfinite(kept.mean).any():
            raise ValueError(f"{mark.y!r}: no point is finite, or positive on the log axes")
        scales = Scales(self.panel.x_scale == "log", scale == "log")
        shape = fitted(kept, mark.fit, scales) if mark.fit != "none" else None
        if mark.smooth:
            axes.plot(kept.x, kept.mean, **look | {"alpha": FAINT, "linewidth": 0.7})
            kept, look = smoothed(kept, mark.smooth, scales), look | {"marker": ""}
        axes.plot(kept.x, kept.mean, **look)
        if kept.has_band:
            axes.fill_between(
                kept.x, kept.low, kept.high, color=look["color"], alpha=mark.opacity, linewidth=0
            )
        if shape is not None:
            axes.plot(shape.x, shape.mean, color=look["color"], linestyle=":", linewidth=1.6)
        return lost

    def _name(self, mark: Mark, column: str, hue: Any = None) -> str:
        own = mark.label or self.wish.names.get(column, column)
        if hue is None:
            return own
        title = self.wish.names.get(str(mark.hue), str(mark.hue))
        value = hue if isinstance(hue, str) else f"{title} = {number_label(float(hue))}"
        return f"{mark.label}, {value}" if mark.label else str(value)

    def _label(self) -> None:
        names = self.wish.names
        first = self.panel.marks[0]
        left = next((m for m in self.panel.marks if not m.right), first)
        self.axes.set_xlabel(self.panel.x_label or names.get(first.x, first.x))
        self.axes.set_ylabel(self.panel.y_label or names.get(left.y, left.y))
        if self.twin is not None:
            right = next(m for m in self.panel.marks if m.right)
            self.twin.set_ylabel(self.panel.right_label or names.get(right.y, right.y))
            for axes, mark in ((self.axes, left), (self.twin, right)):
                if mark.colour and mark.hue_by == "dash":  # colour tells the axes apart
                    axes.yaxis.label.set_color(COLOURS[mark.colour])
