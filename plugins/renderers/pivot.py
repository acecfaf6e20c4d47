"""A table of methods by measures, as a paper prints it: means, spreads, a dash where untested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from plugins.maths.figures.views import check_columns
from runner.parameters import Column, Text
from runner.plugin import Renderer
from runner.types import Files, Table

if TYPE_CHECKING:
    import pandas as pd


class Pivot(Renderer):
    """Write one row for each combination of `rows`, and its measures or methods as columns.

    Columns are those of `values`, or one value at each value of `across`. Rows of the table that
    share a place (seeds, folds) are averaged; their sample standard deviation stands beside the
    mean. A place without any is "-". `.md` and `.tex` are rounded; `.csv` has mean, deviation and
    number of each place to the bit.

    Reads:  table: the columns of rows, across and values.
    Raises: ValueError for a missing column, no rows, or a value that is not finite.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".md", ".csv", ".tex")

    rows: tuple[Column, ...] = Field(min_length=1, description="columns that name a row")
    across: Column | None = Field(
        None, description="column whose values become columns, of a single one of `values`"
    )
    values: tuple[Column, ...] = Field(min_length=1, description="columns that are told")
    digits: int = Field(4, ge=0, le=12, description="digits after the point")
    names: dict[str, str] = Field({}, description="column or value -> what is printed")
    compare: tuple[str, str] | None = Field(
        None, description="two values of `across`: a last column says first / second - 1, percent"
    )
    title: Text = Field("", description="above the table")
    footnote: Text = Field("", description="below it")

    def check_parameters(self) -> str | None:
        if self.compare and not self.across:
            return "compare needs across, whose values it compares"
        if self.across and len(self.values) > 1:
            return f"across tells a single value, not {list(self.values)}; make a table of each"
        return None

    def run(self, table: Table) -> Files:
        if problem := self.check_parameters():
            raise ValueError(problem)
        grid = _Grid(self, table.frame)
        spelled = {".md": grid.markdown, ".csv": grid.csv, ".tex": grid.tex}
        return Files({suffix: spelled[suffix]().encode() for suffix in self.suffixes()})


class _Grid:
    """The places of the table, each with its values."""

    def __init__(self, wish: Pivot, frame: pd.DataFrame) -> None:
        import numpy as np

        check_columns(frame, across=wish.across)
        for kind, names in (("rows", wish.rows), ("values", wish.values)):
            for name in names:
                check_columns(frame, **{kind: name})
        if frame.empty:
            raise ValueError("the table has no rows: there is nothing to tell")
        for name in wish.values:
            if not np.isfinite(frame[name].to_numpy(np.float64)).all():
                raise ValueError(f"values = {name!r}: some are not finite")
        self.wish = wish
        self.places: dict[tuple[tuple[Any, ...], Any], list[float]] = {}
        for row in frame.to_dict("records"):
            for name in wish.values:
                column = row[wish.across] if wish.across else name
                place = tuple(row[key] for key in wish.rows), column
                self.places.setdefault(place, []).append(float(row[name]))
        self.rows = list(dict.fromkeys(row for row, _ in self.places))
        self.columns = list(dict.fromkeys(column for _, column in self.places))
        self.most = max(map(len, self.places.values()))

    def named(self, value: Any) -> str:
        return self.wish.names.get(str(value), str(value))

    def head(self) -> list[str]:
        wish = self.wish
        gain = [" over ".join(map(self.named, wish.compare))] if wish.compare else []
        return [*map(self.named, (*wish.rows, *self.columns)), *gain]

    def lines(self, plus_minus: str) -> list[list[str]]:
        """Return the rows as texts."""
        found = []
        for row in self.rows:
            cells = [self._cell(self.places.get((row, c)), plus_minus) for c in self.columns]
            gain = [self._gain(row)] if self.wish.compare else []
            found.append([*map(self.named, row), *cells, *gain])
        return found

    def _cell(self, values: list[float] | None, plus_minus: str) -> str:
        if not values:
            return "-"
        mean = f"{sum(values) / len(values):.{self.wish.digits}f}"
        if len(values) == 1:
            return mean
        return f"{mean} {plus_minus} {_deviation(values):.{self.wish.digits}f}"

    def _gain(self, row: tuple[Any, ...]) -> str:
        first, second = (self.places.get((row, name)) for name in self.wish.compare or ())
        if not first or not second:
            return "-"
        mean = [sum(values) / len(values) for values in (first, second)]
        return f"{100 * (mean[0] / mean[1] - 1):+.1f} %" if mean[1] > 0 else "-"

    def _note(self) -> str:
        spread = (
            f"Mean and sample standard deviation over up to {self.most}." if self.most > 1 else ""
        )
        return " ".join(filter(None, [self.wish.footnote, spread]))

    def markdown(self) -> str:
        rows = [self.head(), ["---"] * len(self.head()), *self.lines("\N{PLUS-MINUS SIGN}")]
        table = "\n".join("| " + " | ".join(_bare(cell) for cell in row) + " |" for row in rows)
        parts = [f"**{self.wish.title}**" if self.wish.title else "", table, self._note()]
        return "\n\n".join(filter(None, parts)) + "\n"

    def tex(self) -> str:
        count = len(self.wish.rows)
        form = "l" * count + "r" * (len(self.head()) - count)
        body = [" & ".join(map(_tex, row)) + r" \\" for row in [self.head(), *self.lines(r"$\pm$")]]
        lines = [rf"\begin{{tabular}}{{{form}}}", r"\hline", body[0], r"\hline", *body[1:]]
        note = [f"% {self._note()}"] if self._note() else []
        return "\n".join([*lines, r"\hline", r"\end{tabular}", *note]) + "\n"

    def csv(self) -> str:
        import csv
        import io

        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*self.wish.rows, self.wish.across or "value", "mean", "std", "count"])
        for (row, column), values in self.places.items():
            told = [repr(sum(values) / len(values)), repr(_deviation(values)), len(values)]
            writer.writerow([*row, column, *told])
        return stream.getvalue()


def _deviation(values: list[float]) -> float:
    import statistics

    return statistics.stdev(values) if len(values) > 1 else float("nan")


def _bare(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _tex(cell: str) -> str:
    for sign in "&%#_":
        cell = cell.replace(sign, f"\\{sign}")
    return cell
