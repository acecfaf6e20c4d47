"""Tables as nested dicts in a file, for plotting scripts that expect them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from plugins.maths.training.optimisers import Options
from runner.parameters import Real
from runner.plugin import Renderer
from runner.types import Files, Table


class Column(Options):
    """Values of a column, rows in the table's order."""

    table: Literal["table", "second", "third"] = Field("table", description="which table")
    column: str = Field(description="its column")
    where: dict[str, str | bool | int | Real] = Field(
        {}, description="column -> value: only these rows"
    )
    distinct: bool = Field(False, description="at the top: each value once, over all cells")


class Nested(Renderer):
    """Write {key: {key: ... {name: number or array}}}, one leaf for each row of `table`.

    .pkl is a pickle of dicts, numbers, text and NumPy arrays, for scripts that load one: pickles
    can execute on load, so load only files that you made. .npz, .h5 (groups; attributes for
    numbers) and .json hold the same; in .npz names are joined by slashes.

    Reads:  table, second, third: the columns of keys, numbers, arrays and top.
    Raises: ValueError for a missing table, column or row, or two rows at one leaf.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".json", ".npz", ".h5", ".pkl")

    keys: tuple[str, ...] = Field(min_length=1, description="columns, the outermost first")
    numbers: dict[str, str] = Field({}, description="name in a leaf -> column of table")
    arrays: dict[str, Column] = Field({}, description="name in a leaf -> values in its cell")
    top: dict[str, Column] = Field(
        {}, description="name beside the outermost key -> values in the first cell"
    )
    under: str = Field("", description="name that holds the nested dict; empty: the top itself")

    def check_parameters(self) -> str | None:
        if twice := set(self.numbers) & set(self.arrays):
            return f"{min(twice)!r} stands in both numbers and arrays"
        if self.under in self.top:
            return f"{self.under!r} stands in top and is `under`"
        return None

    def run(self, table: Table, second: Table | None = None, third: Table | None = None) -> Files:
        from plugins.maths.files.exports import written
        from plugins.maths.files.nesting import nested, one_cell

        if problem := self.check_parameters():
            raise ValueError(problem)
        given = {"table": table, "second": second, "third": third}
        frames = {name: value.frame for name, value in given.items() if value is not None}
        tree = nested(frames, self.keys, self.numbers, self.arrays)
        whole = {name: one_cell(frames, one, self.keys) for name, one in self.top.items()}
        whole |= {self.under: tree} if self.under else tree
        return Files({suffix: written(whole, suffix) for suffix in self.suffixes()})
