"""Expectations and hypotheses: a check over tables, evaluated like any other node."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from runner.errors import listed
from runner.language.explanation import explain
from runner.language.expression import ExpressionError, is_claim, parse
from runner.plugin import Plugin
from runner.types import Table, Verdict


class Check(Plugin):
    """Evaluate `check` over `table` and the slices bound by `let`."""

    family: ClassVar[str] = "checks"

    check: str = Field(description="an expression that is true, or true in every row")
    claim: str = Field("", description="what the check says, in words")

    def check_parameters(self) -> str | None:
        """Return what is wrong with the expression, or None."""
        try:
            tree = parse(self.check).tree
        except ExpressionError as error:
            return str(error)
        if not is_claim(tree):
            return "is a number or text, neither true nor false; compare it, as in max(x) < 1"
        return None

    def run(self, table: Table | None = None, **slices: Table) -> Verdict:
        """Return the verdict with both sides' values and the row that decides it."""
        columns = _arrays(table)
        bound = {name: _arrays(part) for name, part in slices.items()}
        parts = slices if table is None else {"table": table, **slices}
        empty = [name for name, part in parts.items() if len(part) == 0]
        if empty:
            return Verdict(False, self.check, f"no rows in {listed(empty)}", judged=False)
        outcome = explain(parse(self.check), columns, bound)
        rows = bound[outcome.slice] if outcome.slice else columns
        worst = {}
        if outcome.row is not None:
            worst = {name: values.tolist()[outcome.row] for name, values in rows.items()}
        return Verdict(outcome.holds, self.check, outcome.detail, worst)


def _arrays(table: Table | None) -> dict[str, Any]:
    import numpy as np

    return {} if table is None else {k: np.asarray(v) for k, v in table.columns.items()}
