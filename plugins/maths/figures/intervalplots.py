"""Intervals over their reference: read off a table, and drawn row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.views import check_columns
from runner.errors import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from plugins.renderers.intervals import Intervals

LINE = 0.045  # inches from one interval to the next
MOST = 0.1  # inches between them where there are few


@dataclass(frozen=True)
class Interval:
    """One estimate over its reference."""

    row: int
    hue: int
    repeat: int  # its number among those of equal row and hue
    middle: float
    reach: float  # on either side
    mark: float | None

    @property
    def holds_one(self) -> bool:
        """Whether the interval contains the reference."""
        return abs(self.middle - 1) <= self.reach


@dataclass(frozen=True)
class Collection:
    """Intervals, what their rows and hues are called, and how many rows of the table had none."""

    rows: list[str]
    hues: list[str]
    intervals: list[Interval]
    lost: int

    @property
    def repeats(self) -> int:
        """Most intervals of one row and hue."""
        return 1 + max(one.repeat for one in self.intervals)


def intervals_of(
    frame: pd.DataFrame,
    rows: str,
    value: str,
    error: str,
    reference: str,
    *,
    hue: str | None,
    mark: str | None,
    times: float,
) -> Collection:
    """Return the intervals of a tidy table.

    Raises: ValueError naming missing columns, text in the place of numbers, a reference of zero,
        or a table without a finite estimate.
    """
    check_columns(frame, rows=rows, value=value, error=error, reference=reference, hue=hue)
    check_columns(frame, mark=mark)
    for name in filter(None, (value, error, reference, mark)):
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(f"column {name!r} is not of numbers")
    if (frame[reference] == 0).any():
        raise ValueError(f"column {reference!r} is zero in some row: nothing to divide by")
    row_names = list(dict.fromkeys(map(str, frame[rows])))
    hue_names = list(dict.fromkeys(map(str, frame[hue]))) if hue else [""]
    seen: dict[tuple[int, int], int] = {}
    found, lost = [], 0
    for record in frame.to_dict("records"):
        row = row_names.index(str(record[rows]))
        colour = hue_names.index(str(record[hue])) if hue else 0
        repeat = seen.get((row, colour), 0)
        seen[row, colour] = repeat + 1
        scale = abs(record[reference])
        middle, reach = record[value] / record[reference], times * record[error] / scale
        if not np.isfinite([middle, reach]).all():
            lost += 1
            continue
        other = record[mark] / record[reference] if mark else None
        found.append(Interval(row, colour, repeat, middle, reach, other))
    if not found:
        raise ValueError(f"no row has a finite {value} with a finite {error} and {reference}")
    return Collection(row_names, hue_names, found, lost)


def draw_intervals(wish: Intervals, data: Collection) -> Figure:
    """Return the figure."""
    lanes = len(data.hues) * data.repeats + 2  # two lanes of air between rows
    width = theme.PAGE if wish.width == "page" else theme.COLUMN
    lane = min(MOST, max(LINE, 1.6 / (lanes * len(data.rows))))
    figure = Figure(
        figsize=(width, lane * lanes * len(data.rows) + 0.5 + 0.25 * bool(wish.title)),
        layout="constrained",
    )
    axes = figure.subplots()
    axes.set(xlim=wish.limits or _limits(data), ylim=(len(data.rows) * lanes, 0))
    for band in wish.bands:
        axes.axvspan(1 - band, 1 + band, color=theme.MASKED, alpha=0.35, linewidth=0)
    axes.axvline(1, color=theme.INK, linewidth=0.6)
    palette = theme.colours(len(data.hues))
    for one in data.intervals:
        at = one.row * lanes + 1.5 + one.hue * data.repeats + one.repeat
        _draw(axes, one, at, palette[one.hue])
    for row in range(1, len(data.rows)):
        axes.axhline(row * lanes, color=theme.MASKED, linewidth=0.4)
    axes.set_xlabel(wish.x_label or f"{wish.value} / {wish.reference}")
    theme.linear_ticks(axes.xaxis, 9)
    middles = [(row + 0.5) * lanes for row in range(len(data.rows))]
    theme.place_ticks(axes.yaxis, middles, data.rows)
    axes.tick_params(axis="y", length=0)
    theme.head_and_foot(figure, wish.title, "")
    theme.legend_and_foot(figure, _entries(wish, data, palette), _footnote(wish, data, axes))
    return figure


def _limits(data: Collection) -> tuple[float, float]:
    ends = [one.middle + side * one.reach for one in data.intervals for side in (-1, 1)]
    ends += [one.mark for one in data.intervals if one.mark is not None]
    margin = 0.03 * (max(*ends, 1.0) - min(*ends, 1.0))
    return min(*ends, 1.0) - margin, max(*ends, 1.0) + margin


def _draw(axes: Axes, one: Interval, at: float, colour: str) -> None:
    low, high = axes.get_xlim()
    if not low <= one.middle <= high:
        edge, marker = (low, "<") if one.middle < low else (high, ">")
        axes.plot(edge, at, marker=marker, color=colour, markersize=3.5, clip_on=False)
        return
    axes.plot(
        [one.middle - one.reach, one.middle + one.reach], [at, at], color=colour, linewidth=0.8
    )
    face = colour if one.holds_one else "white"
    axes.plot(
        one.middle, at, marker="o", color=colour, markersize=2.6, markerfacecolor=face,
        markeredgewidth=0.7, markeredgecolor=colour,
    )  # fmt: skip
    if one.mark is not None and low <= one.mark <= high:
        axes.plot([one.mark] * 2, [at - 0.5, at + 0.5], color=theme.FADED, linewidth=0.9)


def _entries(
    wish: Intervals, data: Collection, palette: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Return the legend: one line for each hue, then the mark."""
    entries: list[tuple[str, dict[str, Any]]] = []
    if wish.hue:
        look = {"marker": "o", "linewidth": 0.8}
        entries = [(n, look | {"color": c}) for n, c in zip(data.hues, palette, strict=True)]
    if wish.mark:
        look = {"color": theme.FADED, "marker": "|", "linestyle": "", "markersize": 5}
        entries.append((wish.mark_label or wish.mark, look | {"markeredgewidth": 0.9}))
    return entries


def _footnote(wish: Intervals, data: Collection, axes: Axes) -> str:
    missed = sum(not one.holds_one for one in data.intervals)
    parts = [wish.footnote, f"{missed} of {len(data.intervals)} intervals (hollow) miss 1."]
    low, high = axes.get_xlim()
    marks = [one for one in data.intervals if one.mark is not None]
    beyond = [data.rows[one.row] for one in marks if not low <= one.mark <= high]
    if beyond:
        parts.append(f"Marks beyond the axis: {listed(dict.fromkeys(beyond))}.")
    if data.lost:
        parts.append(f"{data.lost} row{'s' * (data.lost > 1)} without a finite value not shown.")
    return " ".join(filter(None, parts))
