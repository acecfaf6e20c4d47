"""What pictures and files say of single samples: their rows, titles and thumbnails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plugins.maths.figures.views import check_columns, check_unique
from runner.errors import listed
from runner.types import Split


def rows_by(frame: pd.DataFrame, column: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the row for each name of a panel, as plain values.

    Raises: ValueError when there is none, or more than one.
    """
    check_columns(frame, panels=column)
    check_unique(frame, [column], "A sample has one row.")
    found = {str(row[column]): row for row in frame.to_dict("records")}
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"`centre` has no row with {column} = {missing[0]}")
    return [{str(key): value for key, value in found[name].items()} for name in names]


def titled(text: str, row: Mapping[str, Any]) -> str:
    """Return a text with its holes filled from a row.

    Raises: ValueError naming a hole that is no column.
    """
    try:
        return text.format_map(row)
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"title {text!r}: {error}; columns are {listed(row, 20)}") from error


def pictures(images: Split, index: Sequence[int]) -> list[NDArray[np.float64]]:
    """Return rows of the data as grey pictures (h, w) in [0, 1], normalisation taken back.

    Raises: ValueError when the data does not say what shape its pictures have.
    """
    x = np.asarray(images["x"])
    shape = images.about.get("shape", list(x.shape[1:]))
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 1):
        raise ValueError(f"images of shape {shape} are no grey pictures; leave `images` out")
    mean, std = images.about.get("mean", 0.0), images.about.get("std", 1.0)
    found = x[list(index)].astype(np.float64).reshape(len(index), *shape[-2:])
    return list(np.clip(found * std + mean, 0.0, 1.0))
