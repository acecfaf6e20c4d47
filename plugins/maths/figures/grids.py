"""Tables as grids of cells: coordinates, edges, panels, and the numbers a heat map states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plugins.maths.figures.views import check_columns, check_unique

Spacing = Literal["linear", "log", "even"]
Floats = NDArray[np.float64]
_UNEVEN = 0.15  # largest relative deviation of a step that still counts as regular (1, 3, 10 does)


@dataclass(frozen=True)
class Grid:
    """The coordinates shared by all panels, and what each panel holds there."""

    x: list[Any]
    y: list[Any]
    panels: list[Panel]


@dataclass(frozen=True)
class Panel:
    """One panel: values by row y and column x; NaN where there is no row or no finite value."""

    name: str
    values: Floats  # (y, x); masked cells keep their value
    masked: NDArray[np.bool_]  # (y, x) the row is there and its mask column is False
    rows: int  # cells the table has for this panel
    states: tuple[str, ...] = ()  # `column = value` for columns that are constant in it

    @property
    def shown(self) -> Floats:
        """Return the finite values of the cells that are not masked, flat."""
        return self.values[~self.masked & np.isfinite(self.values)]

    def notes(self, masked_as: str, *, spread: bool) -> list[str]:
        """Return what must be said about the panel: masked and empty cells, and the spread."""
        notes = []
        masked, empty = int(self.masked.sum()), self.rows - len(self.shown) - int(self.masked.sum())
        if masked and masked == self.rows:
            notes.append(f"all {self.rows} cells {masked_as}")
        elif masked:
            notes.append(f"{masked} of {self.rows} cells {masked_as}")
        if empty:
            notes.append(f"{empty} of {self.rows} cells without a finite value")
        if self.values.size > self.rows:
            notes.append(f"{self.values.size - self.rows} cells missing")
        if spread and len(self.shown):
            notes.append(f"std/mean {relative_spread(self.shown):.2g}")
        return [*self.states, *notes]


def grid_of(
    frame: pd.DataFrame,
    x: str,
    y: str,
    value: str,
    *,
    panels: str | None = None,
    mask: str | None = None,
    state: Sequence[str] = (),
) -> Grid:
    """Lay a tidy table out as one grid per value of `panels`, all on the same coordinates.

    Coordinates are sorted if they are numbers, else kept in order of appearance, as panels are.
    Each column of `state` is noted at a panel with its value there, or its range.

    Raises: ValueError naming missing columns, duplicate coordinates, or values of a wrong kind.
    """
    check_columns(frame, x=x, y=y, value=value, panels=panels, mask=mask)
    check_columns(frame, **{f"state[{i}]": name for i, name in enumerate(state)})
    if frame.empty:
        raise ValueError("the table has no rows: there is nothing to draw")
    keys = [name for name in (panels, y, x) if name is not None]
    for name in keys:
        if frame[name].isna().any():
            raise ValueError(f"column {name!r} has {int(frame[name].isna().sum())} empty values")
    cure = "Name one of them as `panels`, or draw one picture for each with `per`."
    check_unique(frame, keys, cure)
    numbers, healthy = _numbers(frame, value), _booleans(frame, mask)
    xs, ys = coordinates(frame[x]), coordinates(frame[y])
    column = frame[x].map({v: i for i, v in enumerate(xs)}).to_numpy()
    row = frame[y].map({v: i for i, v in enumerate(ys)}).to_numpy()
    names = list(frame[panels].unique()) if panels else [None]
    found = []
    for name in names:
        here = (frame[panels] == name).to_numpy() if panels else np.ones(len(frame), bool)
        values = np.full((len(ys), len(xs)), np.nan)
        masked = np.zeros_like(values, dtype=bool)
        values[row[here], column[here]] = numbers[here]
        masked[row[here], column[here]] = ~healthy[here]
        values[np.isinf(values)] = np.nan
        title = "" if name is None else str(name)
        states = tuple(f"{s} {_stated(frame[s][here])}" for s in state)
        found.append(Panel(title, values, masked, int(here.sum()), states))
    return Grid(xs, ys, found)


def blocks_of(
    frame: pd.DataFrame, axis: str, name: str | None, values: Sequence[Any]
) -> list[tuple[Any, int, int]]:
    """Return runs of coordinates in one block: its name, the first and the last place.

    None are returned where no column names blocks.

    Raises: ValueError for a missing column, or a coordinate that is in two blocks.
    """
    if name is None:
        return []
    check_columns(frame, blocks=name)
    known = frame[[axis, name]].drop_duplicates()
    if twice := known[axis][known[axis].duplicated()].tolist():
        raise ValueError(f"{axis} = {twice[0]} is in several blocks of {name!r}")
    block = dict(zip(known[axis].tolist(), known[name].tolist(), strict=True))
    found: list[tuple[Any, int, int]] = []
    for place, value in enumerate(values):
        if found and found[-1][0] == block[value]:
            found[-1] = (*found[-1][:2], place)
        else:
            found.append((block[value], place, place))
    return found


def _stated(column: pd.Series[Any]) -> str:
    """Return the one value of a column, or its range, in three digits."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return ", ".join(str(value) for value in column.unique())
    low, high = f"{column.min():.3g}", f"{column.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    try:
        return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} must hold numbers: {error}") from error


def _booleans(frame: pd.DataFrame, name: str | None) -> NDArray[np.bool_]:
    if name is None:
        return np.ones(len(frame), bool)
    wrong = [v for v in frame[name] if not isinstance(v, bool | np.bool_)]
    if wrong:
        raise ValueError(f"mask = {name!r} must hold true or false, not {wrong[0]!r}")
    return frame[name].to_numpy(dtype=bool)


def coordinates(column: pd.Series[Any]) -> list[Any]:
    """Return the distinct values, sorted if they are numbers, else in order of appearance."""
    distinct = list(column.unique())
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return sorted(float(v) for v in distinct)
    return distinct


def spacing(values: Sequence[Any]) -> Spacing:
    """Say how coordinates are spaced; "even" for text and for numbers that follow neither rule.

    Two positive values count as geometric from a ratio of 3 on.
    """
    if len(values) < 2 or not all(isinstance(v, float) for v in values):
        return "even"
    positive = min(values) > 0
    if len(values) == 2:
        return "log" if positive and max(values) / min(values) >= 3 else "linear"
    deviation = {"linear": _deviation(np.asarray(values))}
    if positive:
        deviation["log"] = _deviation(np.log(values))
    best = min(deviation, key=lambda kind: deviation[kind])
    return best if deviation[best] < _UNEVEN else "even"  # type: ignore[return-value]


def _deviation(values: Floats) -> float:
    steps = np.diff(values)
    return float(np.abs(steps - steps.mean()).max() / steps.mean())


def edges(values: Sequence[Any], kind: Spacing) -> Floats:
    """Return the n + 1 edges of n cells: midpoints, geometric ones on a log axis.

    Raises: ValueError if the values cannot stand on such an axis, saying which does.
    """
    if kind == "even":
        return np.arange(len(values) + 1) - 0.5
    if len(values) < 2 or not all(isinstance(v, float) for v in values):
        raise ValueError(f"a {kind} axis needs two or more numbers, not {values!r}; use 'even'")
    if kind == "log" and min(values) <= 0:
        raise ValueError(f"a log axis needs positive values, not {min(values)!r}; use 'even'")
    at = np.log(values) if kind == "log" else np.asarray(values, float)
    middle = (at[1:] + at[:-1]) / 2
    found = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    return np.exp(found) if kind == "log" else found


def limits(
    groups: Iterable[Floats], scale: str, clip: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float] | None:
    """Return the least and largest value of a colour scale over all groups; None if all are empty.

    Args:
        groups: finite values that are shown.
        scale: "linear" or "log".
        clip: quantiles of the pooled values at which the scale ends.

    Raises: ValueError naming the least value if a log scale meets one that is not positive.
    """
    pooled = np.concatenate([np.zeros(0), *groups])
    if not len(pooled):
        return None
    if scale == "log" and pooled.min() <= 0:
        raise ValueError(
            f"a log scale needs positive values; the least of {len(pooled)} is {pooled.min()!r}. "
            'Use scale = "linear", or mask such cells.'
        )
    low, high = (float(v) for v in np.quantile(pooled, clip))
    if low < high:
        return low, high
    if scale == "log":
        return low / 1.1, high * 1.1
    margin = 0.05 * abs(low) or 0.5
    return low - margin, high + margin


def relative_spread(values: Floats) -> float:
    """Return the standard deviation (divisor n) over |mean|; inf if the mean alone is zero."""
    mean, std = abs(float(values.mean())), float(values.std())
    if std == 0:
        return 0.0
    return std / mean if mean else float("inf")


def layout(count: int, wrap: int | None = None) -> tuple[int, int]:
    """Return rows and columns for a number of panels: up to three side by side, four as 2 x 2."""
    columns = wrap or {1: 1, 2: 2, 4: 2}.get(count, 3 if count <= 9 else 4)
    columns = min(columns, count)
    return -(-count // columns), columns
