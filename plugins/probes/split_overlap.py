"""How many rows two splits of a data set share: a test row that was trained on tests nothing."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.plugin import Probe
from runner.types import Dataset, Table


class SplitOverlap(Probe):
    """Count, for each pair of splits, the rows of the second that are also rows of the first.

    Rows are equal when all bytes of the arrays `by` are. Arrays on disk are read piece by piece.

    Reads:  data: the arrays `by` of every split. Deterministic: takes no seed.
    Raises: RunnerError when a split lacks such an array.
    Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "first": "name of a split",
        "second": "name of another split",
        "rows": "rows of the second",
        "shared": "of these, rows that are in the first too, count",
        "repeated": "rows of the second that stand in it more than once, count",
    }

    by: tuple[str, ...] = Field(
        ("x",), min_length=1, description="arrays in which equal rows are equal"
    )

    def run(self, data: Dataset) -> Table:
        import itertools

        from plugins.maths.spectra.rows import fingerprints

        for name, split in data.splits.items():
            if missing := [key for key in self.by if key not in split]:
                raise RunnerError(
                    f"split_overlap: {name} has no array {missing[0]!r}, only {listed(split)}"
                )
        prints = {n: fingerprints([split[k] for k in self.by]) for n, split in data.splits.items()}
        rows = []
        for first, second in itertools.combinations(prints, 2):
            seen, found = set(prints[first]), prints[second]
            shared = sum(one in seen for one in found)
            rows.append((first, second, len(found), shared, len(found) - len(set(found))))
        columns = zip(*rows, strict=True) if rows else ((),) * len(self.columns)
        return Table({n: list(c) for n, c in zip(self.columns, columns, strict=True)})
