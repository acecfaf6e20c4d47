"""Gathering and joining: parts of a table, one for each cell, become one tidy table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import listed
from runner.language.expression import evaluate, parse
from runner.types import Table


@dataclass(frozen=True)
class Piece:
    """The tables of one step at many cells, with the cells' coordinates along `axes`."""

    step: str
    axes: tuple[str, ...]
    tables: Sequence[tuple[tuple[Any, ...], Table]]


def together(pieces: Sequence[Piece], where: Mapping[str, Any], derive: Mapping[str, str]) -> Table:
    """Return the pieces gathered, joined by axis name, filtered by `where`, with derived columns.

    A step that lacks an axis is repeated along it. A column that two steps share, other than an
    axis, is named `step_column` for each.
    Raises: ValueError naming duplicate or missing coordinates, or a column that is not there.
    """
    table = _joined([(piece, _gathered(piece)) for piece in pieces])
    for name, value in where.items():
        table = _filtered(table, name, value)
    for name, text in derive.items():
        import numpy as np

        rows = len(next(iter(table.values()), ()))
        table[name] = np.broadcast_to(np.asarray(evaluate(parse(text), table)), (rows,)).copy()
    return Table(table)


def joined_columns(parts: Sequence[tuple[str, set[str]]], axes: set[str]) -> set[str]:
    """Return the columns that the join of (step, columns) pairs has."""
    twice = _shared(parts, axes)
    return {f"{step}_{n}" if n in twice else n for step, names in parts for n in names}


def _shared(parts: Sequence[tuple[str, set[str]]], axes: set[str]) -> set[str]:
    """Return the columns, axes excepted, that more than one (step, columns) pair has."""
    seen: set[str] = set()
    twice: set[str] = set()
    for _, names in parts:
        twice |= seen & names - axes
        seen |= names
    return twice


def _gathered(piece: Piece) -> dict[str, Any]:
    import numpy as np

    names = list(piece.tables[0][1].columns)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    labels: dict[str, list[Any]] = {axis: [] for axis in piece.axes}
    for coordinates, table in piece.tables:
        if list(table.columns) != names:
            raise ValueError(
                f"{piece.step} has columns {listed(table.columns)} in one cell and "
                f"{listed(names)} in another"
            )
        for name in names:
            columns[name].append(np.asarray(table.columns[name]))
        for axis, label in zip(piece.axes, coordinates, strict=True):
            labels[axis] += [label] * len(table)
    clash = [axis for axis in piece.axes if axis in columns]
    if clash:
        raise ValueError(f"{piece.step} has a column named like its axis {listed(clash)}")
    gathered: dict[str, Any] = {axis: _array(values) for axis, values in labels.items()}
    return gathered | {name: np.concatenate(parts) for name, parts in columns.items()}


def _array(values: list[Any]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=object if isinstance(values[0], str) else None)


def _joined(parts: list[tuple[Piece, dict[str, Any]]]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0][1]
    axes = {axis for piece, _ in parts for axis in piece.axes}
    twice = _shared([(piece.step, set(table)) for piece, table in parts], axes)
    renamed = [
        (piece, {f"{piece.step}_{k}" if k in twice else k: v for k, v in table.items()})
        for piece, table in parts
    ]
    # The part with the most axes leads; the others are looked up by the axes they share with it.
    renamed.sort(key=lambda part: -len(part[0].axes))
    piece, result = renamed[0]
    known = set(piece.axes)
    for other, table in renamed[1:]:
        if not set(other.axes) <= known:
            extra = listed(sorted(set(other.axes) - known))
            raise ValueError(
                f"{piece.step} and {other.step} cannot be joined: {extra} is an axis of "
                f"{other.step} alone, and {piece.step} has others; gather one of them first"
            )
        result = _looked_up(piece, result, other, table)
    return result


def _looked_up(
    piece: Piece, rows: dict[str, Any], other: Piece, table: dict[str, Any]
) -> dict[str, Any]:
    index: dict[tuple[Any, ...], int] = {}
    for position, coordinates in enumerate(zip(*(table[a] for a in other.axes), strict=True)):
        if coordinates in index:
            raise ValueError(f"{other.step} has two rows at {_at(other.axes, coordinates)}")
        index[coordinates] = position
    if not other.axes:
        if len(next(iter(table.values()))) != 1:
            raise ValueError(f"{other.step} has no axes and more than one row; it cannot be joined")
        index[()] = 0
    count = len(next(iter(rows.values())))
    wanted = list(zip(*(rows[a] for a in other.axes), strict=True)) if other.axes else [()] * count
    missing = next((c for c in wanted if c not in index), None)
    if missing is not None:
        raise ValueError(f"{other.step} has no row at {_at(other.axes, missing)}, {piece.step} has")
    positions = [index[c] for c in wanted]
    return rows | {k: v[positions] for k, v in table.items() if k not in other.axes}


def _at(axes: Sequence[str], coordinates: Sequence[Any]) -> str:
    return ", ".join(f"{a}={c}" for a, c in zip(axes, coordinates, strict=True))


def _filtered(table: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    import numpy as np

    if name not in table:
        raise ValueError(f'where names "{name}", which is no column (there are: {listed(table)})')
    allowed = value if isinstance(value, list) else [value]
    keep = np.isin(np.asarray(table[name]).astype(object), np.asarray(allowed, dtype=object))
    return {column: values[keep] for column, values in table.items()}
