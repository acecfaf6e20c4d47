"""A table as an HDF5 file: one array for each column."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from plugins.maths.figures.views import check_columns
from runner.parameters import Column
from runner.plugin import Renderer
from runner.types import Files, Table


class Hdf5(Renderer):
    """Write each column as an array of its own, numbers in their type, text as UTF-8.

    Reads:  table, any columns of numbers, booleans and text.
    Raises: ValueError for a column that is missing.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    keep: tuple[Column, ...] = Field((), description="columns to write, in this order; empty: all")

    def run(self, table: Table) -> Files:
        from plugins.maths.files.exports import written

        frame = table.frame
        names = self.keep or tuple(str(name) for name in frame.columns)
        check_columns(frame, **{f"keep[{i}]": name for i, name in enumerate(names)})
        content = written({name: frame[name].to_numpy() for name in names}, ".h5")
        return Files(dict.fromkeys(self.suffixes(), content))
