"""A table as comma-separated values: what a reader of the study opens in any program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from plugins.maths.figures.views import check_columns
from runner.parameters import Column
from runner.plugin import Renderer
from runner.types import Files, Table

if TYPE_CHECKING:
    import pandas as pd


class Csv(Renderer):
    """Write a table as text, rows sorted, every float so that reading it gives the same bits.

    Text is UTF-8, lines end in a newline, booleans are True and False, an absent value is empty,
    floats that are not finite are nan, inf and -inf.

    Reads:  table, any columns of numbers, booleans and text.
    Raises: ValueError for a column that is missing, two columns of one name, or a cell that is not
        a number, boolean or text.
    Source: RFC 4180, but for the ends of lines.
    """

    writes: ClassVar[tuple[str, ...]] = (".csv",)

    keep: tuple[Column, ...] = Field((), description="columns to write, in this order; empty: all")
    rename: dict[str, str] = Field({}, description="column -> its name in the file")
    sort: tuple[Column, ...] = Field(
        (), description="columns that order the rows, ascending; empty: all that are written"
    )

    def run(self, table: Table) -> Files:
        frame = table.frame
        names = list(self.keep) or [str(name) for name in frame.columns]
        for parameter, wanted in (("keep", names), ("rename", self.rename), ("sort", self.sort)):
            for name in wanted:
                check_columns(frame, **{parameter: name})
        header = [self.rename.get(name, name) for name in names]
        if twice := [name for name in header if header.count(name) > 1]:
            raise ValueError(f"two columns would be called {twice[0]!r}; see `keep` and `rename`")
        order = list(self.sort) or names
        if order:
            frame = frame.sort_values(order, kind="stable", na_position="last")
        columns = [_spelled(frame[name], name) for name in names]
        return Files({".csv": _text(header, columns)})


def _spelled(column: pd.Series[Any], name: str) -> list[str]:
    """Return each value's text; spelled here, not left to a library's float format."""
    if column.dtype.kind == "f":
        return [repr(value) for value in column.astype("float64").tolist()]  # shortest exact text
    texts = []
    for value, absent in zip(column.tolist(), column.isna(), strict=True):
        if not (absent or isinstance(value, bool | int | float | str)):
            raise ValueError(f"column {name!r}: {value!r} is not a number, boolean or text")
        texts.append("" if absent else value if isinstance(value, str) else repr(value))
    return texts


def _text(header: list[str], columns: list[list[str]]) -> bytes:
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return stream.getvalue().encode()
