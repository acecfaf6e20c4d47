"""Tidy tables as dicts nested by columns, the shape that older plotting scripts expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plugins.maths.figures.views import check_columns, check_unique

if TYPE_CHECKING:
    from plugins.renderers.nested import Column

Frames = Mapping[str, pd.DataFrame]


def nested(
    frames: Frames, keys: Sequence[str], numbers: Mapping[str, str], arrays: Mapping[str, Column]
) -> dict[Any, Any]:
    """Return {value of keys[0]: {value of keys[1]: ... {name: number or array}}}.

    Args:
        frames: tables by name; every leaf is one row of the frame "table".
        keys: columns, outermost first.
        numbers: name in the leaf -> column of "table".
        arrays: name in the leaf -> a column of any table, those rows of the leaf's cell.

    Raises: ValueError for a missing column or table, or two rows of "table" in one cell.
    """
    frame = frames["table"]
    check_columns(frame, **{f"keys[{i}]": name for i, name in enumerate(keys)})
    for name, column in numbers.items():
        check_columns(frame, **{name: column})
    check_unique(frame, list(keys), "A leaf is one row; name the rest in `keys` too.")
    cells = {name: _by_cell(frames, one, keys) for name, one in arrays.items()}
    found: dict[Any, Any] = {}
    for row in frame.to_dict("records"):
        cell = tuple(row[key] for key in keys)
        inner = found
        for key in cell:
            inner = inner.setdefault(key, {})
        inner |= {name: row[column] for name, column in numbers.items()}
        for name, values in cells.items():
            if cell not in values:
                raise ValueError(f"{name!r} has no rows at {dict(zip(keys, cell, strict=True))}")
            inner[name] = values[cell]
    return found


def _by_cell(frames: Frames, wish: Column, keys: Sequence[str]) -> dict[tuple[Any, ...], Any]:
    frame = chosen(frames, wish)
    check_columns(frame, **{f"keys[{i}]": name for i, name in enumerate(keys)})
    groups = frame.groupby(list(keys), sort=False)[wish.column]
    return {_cell(cell): values.to_numpy() for cell, values in groups}


def _cell(cell: Any) -> tuple[Any, ...]:
    return tuple(one.item() if isinstance(one, np.generic) else one for one in cell)


def chosen(frames: Frames, wish: Column) -> pd.DataFrame:
    """Return the rows of a table that a wish asks for.

    Raises: ValueError when there is no such table, column or row.
    """
    if wish.table not in frames:
        raise ValueError(f'a column is taken from "{wish.table}", which is not given')
    frame = frames[wish.table]
    check_columns(frame, column=wish.column)
    for name, value in wish.where.items():
        check_columns(frame, where=name)
        frame = frame[frame[name] == value]
    if frame.empty:
        raise ValueError(f"no rows of {wish.column!r} where {dict(wish.where)}")
    return frame


def one_cell(frames: Frames, wish: Column, keys: Sequence[str]) -> Any:
    """Return a column's values in the first cell only: what all cells share."""
    frame = chosen(frames, wish)
    if wish.distinct:
        return frame[wish.column].drop_duplicates().to_numpy()
    for key in keys:
        frame = frame[frame[key] == frame[key].iloc[0]]
    return frame[wish.column].to_numpy()


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one, names joined by slashes."""
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, one in value.items():
        found |= flat(one, f"{prefix}/{key}" if prefix else str(key))
    return found
