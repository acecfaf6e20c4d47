"""A table as JSON: one record for each row."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from plugins.maths.figures.views import check_columns
from runner.parameters import Column
from runner.plugin import Renderer
from runner.types import Files, Table


class JsonRecords(Renderer):
    """Write a table as a list of objects, one line for each row, in the table's order.

    Floats are written so that reading them gives the same bits; what is not finite, and an absent
    value, is null, since JSON knows no other word for it.

    Reads:  table, any columns of numbers, booleans and text.
    Raises: ValueError for a column that is missing.
    Source: RFC 8259.
    """

    writes: ClassVar[tuple[str, ...]] = (".json",)

    keep: tuple[Column, ...] = Field((), description="columns to write, in this order; empty: all")

    def run(self, table: Table) -> Files:
        import json

        frame = table.frame
        names = [*self.keep] or [str(name) for name in frame.columns]
        check_columns(frame, **{f"keep[{i}]": name for i, name in enumerate(names)})
        columns = [[_plain(value) for value in frame[name].tolist()] for name in names]
        rows = zip(*columns, strict=True)
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
        text = "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
        return Files({".json": text.encode()})


def _plain(value: Any) -> Any:
    import math

    import pandas as pd

    if isinstance(value, float) and not math.isfinite(value):
        return None
    return None if value is pd.NA else value
