"""What all renderers ask of their tables. Light: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.errors import listed, near

if TYPE_CHECKING:
    import pandas as pd


def check_columns(frame: pd.DataFrame, **wanted: str | None) -> None:
    """Check that the table has the columns that the parameters name.

    Raises: ValueError naming each parameter, its missing column, near misses and what is there.
    """
    there = [str(name) for name in frame.columns]
    missing = [
        f"{parameter} = {name!r}: no such column{near(name, there)}"
        for parameter, name in wanted.items()
        if name is not None and name not in there
    ]
    if missing:
        raise ValueError("; ".join(missing) + f" (columns: {listed(there, 20)})")


def check_unique(frame: pd.DataFrame, keys: Sequence[str], cure: str) -> None:
    """Check that no two rows have equal coordinates `keys`.

    Raises: ValueError naming some of them, the columns in which such rows differ, and the cure.
    """
    twice = frame.duplicated(list(keys), keep=False)
    if not twice.any():
        return
    groups = frame[twice].groupby(list(keys), sort=False, dropna=False)
    first = frame.loc[twice, list(keys)].drop_duplicates()[:3].to_dict("records")
    names = [", ".join(f"{key}={value}" for key, value in cell.items()) for cell in first]
    rest = [name for name in frame.columns if name not in keys]
    differ = [str(name) for name in rest if (groups[name].nunique(dropna=False) > 1).any()]
    raise ValueError(
        f"{int(twice.sum())} rows share {groups.ngroups} coordinates, for example "
        f"{'; '.join(names)}; they differ in {listed(differ)}. {cure}"
    )
