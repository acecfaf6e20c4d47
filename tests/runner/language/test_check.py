"""Checks: the verdict, both sides' values and the row that decides it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runner.language.check import Check
from runner.language.expression import ExpressionError
from runner.types import Table, Verdict

TABLE = Table({"task": ["add", "sub"], "llc": [3.0, 9.0]})


def test_a_verdict_has_both_sides_and_the_worst_row() -> None:
    verdict = Check(check="max(llc) < 5").run(TABLE)
    assert verdict == Verdict(False, "max(llc) < 5", "9 < 5", {"task": "sub", "llc": 9.0})


def test_the_worst_row_is_that_of_the_slice() -> None:
    verdict = Check(check="min(si.llc) > 0.5 * max(llc)").run(TABLE, si=Table({"llc": [1.0, 7.0]}))
    assert (verdict.holds, verdict.detail, dict(verdict.worst)) == (False, "1 > 4.5", {"llc": 1.0})


def test_a_check_may_have_slices_only() -> None:
    verdict = Check(check="mean(a.llc) == mean(b.llc)").run(a=TABLE, b=TABLE)
    assert (verdict.holds, verdict.detail, verdict.worst) == (True, "6 == 6", {})


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("max(llc) <", "is not an expression"), ("llc", None), ("max(llc) < 5", None),
        ("mean(llc)", "compare it"), ("1 + 1", "compare it"), ("maximal(llc) < 5", "no function"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_check_is_said_before_it_runs(check: str, wrong: str | None) -> None:
    found = Check(check=check).check_parameters()
    assert found is None if wrong is None else wrong in str(found)


def test_a_missing_column_is_an_error_of_the_check() -> None:
    with pytest.raises(ExpressionError, match='no column "lc"; did you mean "llc"'):
        Check(check="max(lc) < 5").run(TABLE)


def test_a_check_has_nothing_else() -> None:
    with pytest.raises(ValidationError):
        Check(check="llc < 1", tolerance=3)


def test_a_check_over_no_rows_is_not_judged():
    empty, full = Table({"llc": []}), Table({"llc": [1.0]})
    verdict = Check(check="spread(a.llc) < mean(b.llc)").run(a=empty, b=full)
    assert (verdict.holds, verdict.judged, verdict.detail) == (False, False, "no rows in a")
    assert Check(check="mean(b.llc) > 0").run(b=full).judged
