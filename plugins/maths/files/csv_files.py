"""Comma-separated values read back as typed columns."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

BOOLEANS = {"True": True, "False": False}


def columns_of(text: str) -> dict[str, Any]:
    """Return name -> array of whole numbers, numbers, booleans or text (object).

    Raises: ValueError naming a line of another length, or a name that stands twice.
    """
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or not rows[0]:
        raise ValueError("no first line with names of columns")
    header, lines = rows[0], [row for row in rows[1:] if row]
    if twice := [name for name in header if header.count(name) > 1]:
        raise ValueError(f"two columns are called {twice[0]!r}")
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise ValueError(f"row {number} has {len(line)} values, the first {len(header)}")
    return {name: _column([line[at] for line in lines]) for at, name in enumerate(header)}


def _column(texts: list[str]) -> Any:
    """Return a column in the narrowest kind that holds all of its values."""
    if texts and all(text in BOOLEANS for text in texts):
        return np.array([BOOLEANS[text] for text in texts])
    try:
        return np.array([int(text) for text in texts], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(text) if text else np.nan for text in texts], dtype=np.float64)
    except ValueError:
        return np.array(texts, dtype=object)
