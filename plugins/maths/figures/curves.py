"""Tables as curves: replicates averaged, bands around them, points a log axis cannot hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plugins.maths.figures.grids import coordinates
from plugins.maths.figures.views import check_columns, check_unique

Band = Literal["std", "range", "none"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One line of one panel; `low` and `high` are its band, equal to `mean` where there is none."""

    panel: Any
    hue: Any
    column: str
    x: Floats
    mean: Floats
    low: Floats
    high: Floats

    @property
    def has_band(self) -> bool:
        """Return whether the band is wider than the line anywhere."""
        return bool((self.high > self.low).any())


@dataclass(frozen=True)
class Curves:
    """All curves of a picture, with panels and hues in the order in which they are drawn."""

    panels: list[Any]
    hues: list[Any]
    curves: list[Curve]


def curves_of(
    frame: pd.DataFrame,
    x: str,
    columns: Sequence[str],
    *,
    hue: str | None = None,
    panels: str | None = None,
    replicate: str | None = None,
    band: Band = "std",
) -> Curves:
    """Return one curve for each panel, hue and column, over increasing x.

    Rows that differ only in `replicate` are averaged. The band is one sample standard deviation
    (divisor n - 1) to each side, or from the least to the largest. A value that is not finite
    stays a gap: its replicates are not averaged without it.

    Raises: ValueError naming missing columns, rows with equal coordinates, or a table without rows.
    """
    check_columns(frame, x=x, hue=hue, panels=panels, replicate=replicate)
    for column in columns:
        check_columns(frame, y=column)
    if frame.empty:
        raise ValueError("the table has no rows: there is nothing to draw")
    groups = [name for name in (panels, hue) if name is not None]
    keys = [*groups, x, *([replicate] if replicate else [])]
    check_unique(frame, keys, "Name one of them as `hue`, `panels` or `replicate`.")
    names = list(frame[panels].unique()) if panels else [None]
    hues = coordinates(frame[hue]) if hue else [None]
    found = []
    for name in names:
        for value in hues:
            here = np.ones(len(frame), bool)
            if panels:
                here &= (frame[panels] == name).to_numpy()
            if hue:
                here &= (frame[hue] == value).to_numpy()
            if here.any():
                rows = frame[here].sort_values(x, kind="stable")
                across = _numbers(rows, x)
                for column in columns:
                    ends = _averaged(across, _numbers(rows, column), band)
                    found.append(Curve(name, value, column, *ends))
    return Curves(names, hues, found)


def _numbers(rows: pd.DataFrame, name: str) -> Floats:
    try:
        return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} must hold numbers: {error}") from error


def _averaged(across: Floats, values: Floats, band: Band) -> tuple[Floats, Floats, Floats, Floats]:
    """Return distinct x, and the mean and both ends of the band there; `across` is sorted."""
    values = np.where(np.isfinite(values), values, np.nan)
    at, starts = np.unique(across, return_index=True)
    parts = np.split(values, starts[1:])
    mean = np.array([part.mean() for part in parts])
    low, high = mean, mean
    if band == "std":
        width = np.array([part.std(ddof=1) if len(part) > 1 else 0.0 for part in parts])
        low, high = mean - width, mean + width
    elif band == "range":
        low, high = (np.array([end(part) for part in parts]) for end in (np.min, np.max))
    return at, mean, low, high


def for_log_axes(curve: Curve, *, x: bool, y: bool) -> tuple[Curve, int]:
    """Return the curve without what log axes cannot hold, and how many points were left out.

    Points at x <= 0 go; a mean <= 0 becomes a gap; a band that reaches zero ends at the least
    positive value of the curve and its band, so that it stays above zero.
    """
    keep = curve.x > 0 if x else np.ones(len(curve.x), bool)
    lost = int((~keep).sum())
    mean, low, high = curve.mean[keep], curve.low[keep], curve.high[keep]
    if y:
        gone = mean <= 0
        lost += int(gone.sum())
        mean = np.where(gone, np.nan, mean)
        positive = np.concatenate([mean[mean > 0], low[low > 0]])
        low = np.maximum(low, positive.min()) if len(positive) else np.full_like(low, np.nan)
        low, high = np.where(gone, np.nan, low), np.where(gone, np.nan, high)
    return replace(curve, x=curve.x[keep], mean=mean, low=low, high=high), lost
