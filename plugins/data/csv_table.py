"""A table out of comma-separated values: a file, or what a step of the study exported."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.parameters import Holes, InputFile
from runner.plugin import Data
from runner.types import Files, Table


class CsvTable(Data):
    """Read a table from a CSV file, or from the CSV that a renderer wrote.

    What `csv` writes is read back to the same bits. A column is whole numbers, numbers (empty is
    nan), booleans (True and False), or else text. Give the file in `file`, which is hashed and may
    have holes, `{task}_seed_{seed}.csv`; or a renderer's step in `export`: pictures then stand on
    the exported text alone.

    Reads:  the file, or export.
    Gives:  a table; its columns are the file's.
    Raises: RunnerError when neither or both are given, a column of `columns_needed` is not there,
            two have one name, or a line has another number of values.
    Source: RFC 4180.
    """

    splits: ClassVar[tuple[str, ...]] = ()

    file: Annotated[InputFile | None, Holes(variables=True)] = Field(
        None, description="path of the .csv file"
    )
    columns_needed: tuple[str, ...] = Field(
        (), description="columns that it must have; others may be there too"
    )

    def run(self, export: Files | None = None) -> Table:
        from plugins.maths.files.csv_files import columns_of

        if (self.file is None) == (export is None):
            raise RunnerError('csv_table: give either file = "x.csv" or export = "@a_csv_step"')
        if self.file is not None:
            name, content = self.file.path.name, self.file.path.read_bytes()
        else:
            found = export.contents if export else {}
            if ".csv" not in found:
                raise RunnerError(f"csv_table: the export is no .csv, only {listed(found)}")
            name, content = "the export", found[".csv"]
        try:
            columns = columns_of(content.decode("utf-8-sig"))
        except ValueError as error:
            raise RunnerError(f"csv_table: {name}: {error}") from error
        if missing := [column for column in self.columns_needed if column not in columns]:
            raise RunnerError(
                f"csv_table: {name} lacks {listed(missing)}; it has {listed(columns)}"
            )
        return Table(columns)
