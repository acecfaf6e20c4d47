"""A study's settings and outcomes as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from plugins.maths.figures.views import check_columns
from runner.parameters import Column
from runner.plugin import Renderer
from runner.types import Files, Table

if TYPE_CHECKING:
    import pandas as pd


class ExperimentLog(Renderer):
    """Write a line for each note and for each column: its value, or all of them in order.

    With `by_row` a line for each row of `table` instead, each value after its column's name.

    Reads:  table, and where a spec names it a second one, `settings`: columns of any kind.
    Raises: ValueError for a column that is missing.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".txt", ".log")

    keep: tuple[Column, ...] = Field((), description="columns of `table` told; empty: all")
    notes: dict[str, str] = Field({}, description="further lines, name -> text")
    by_row: bool = Field(False, description="tell `table` row by row")

    def run(self, table: Table, settings: Table | None = None) -> Files:
        frame = table.frame
        names = list(self.keep) or [str(name) for name in frame.columns]
        for name in names:
            check_columns(frame, keep=name)
        lines = [f"{name}: {text}" for name, text in self.notes.items()]
        if settings is not None:
            lines += _told(settings.frame, [str(name) for name in settings.frame.columns])
        lines += _rows(frame, names) if self.by_row else _told(frame, names)
        content = ("\n".join(lines) + "\n").encode()
        return Files(dict.fromkeys(self.suffixes(), content))


def _told(frame: pd.DataFrame, names: list[str]) -> list[str]:
    lines = []
    for name in names:
        values = [_spelled(value) for value in frame[name].tolist()]
        same = len(set(values)) == 1
        lines.append(f"{name}: {values[0] if same else ', '.join(values)}")
    return lines


def _rows(frame: pd.DataFrame, names: list[str]) -> list[str]:
    return [
        ", ".join(f"{name} {_spelled(value)}" for name, value in zip(names, row, strict=True))
        for row in frame[names].itertuples(index=False, name=None)
    ]


def _spelled(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
