"""How a check explains itself: both sides, and the row that decides."""

import numpy as np
import pytest

from runner.language.explanation import explain
from runner.language.expression import ExpressionError, parse

X = np.array([3.0, -1.0, 2.0, 2.0, 7.5])
Y = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
TABLE = {"x": X, "y": Y, "ok": X > 0, "name": np.array(["a", "b", "a", "c", "b"], dtype=object)}


def test_an_explanation_shows_both_sides_and_the_deciding_row() -> None:
    outcome = explain(parse("max(x) < 1"), TABLE)
    assert (outcome.holds, outcome.detail, outcome.row, outcome.slice) == (
        False,
        "7.5 < 1",
        4,
        None,
    )
    outcome = explain(parse("min(x) > -2"), TABLE)
    assert (outcome.holds, outcome.detail, outcome.row) == (True, "-1 > -2", 1)


def test_a_comparison_of_rows_shows_ranges_and_the_worst_row() -> None:
    outcome = explain(parse("x < y"), TABLE)
    assert not outcome.holds
    assert outcome.detail == "[-1 .. 7.5] < [1 .. 16]"
    assert outcome.row == 0  # 3 < 1 fails by most


def test_the_deciding_row_belongs_to_the_slice_it_was_read_from() -> None:
    slices = {"a": {"v": np.array([1.0, 5.0, 2.0])}, "b": {"v": np.array([10.0])}}
    outcome = explain(parse("max(a.v) < 0.4 * mean(b.v)"), {}, slices)
    assert (outcome.holds, outcome.detail) == (False, "5 < 4")
    assert (outcome.row, outcome.slice) == (1, "a")


ROWS = {
    "v": np.array([1.0, -4.0, 2.0]),
    "ok": np.array([True, True, False]),
    "gap": np.array([1.0, 2.0, np.nan]),
}


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("abs(v) < 3", 1), ("sqrt(abs(v)) > 1.5", 0), ("v == 1", 1), ("v != 2", 2), ("ok", 2),
        ("all(ok)", 2), ("not ok", 0), ("all(abs(v) < 3)", 1), ("v < 1 and ok", 0),
        ("isfinite(gap)", 2), ("gap < 9", 2), ("max(gap) < 9", 2), ("mean(v) > 9", None),
        ("diff(v) > 0", None), ("any(v > 9)", None), ("increasing(v)", None),
    ],
)  # fmt: skip
def test_the_worst_row_is_found_whatever_the_comparison_is_about(
    text: str, row: int | None
) -> None:
    assert explain(parse(text), ROWS).row == row


@pytest.mark.parametrize(
    ("text", "detail"),
    [("all(ok)", "1 of 3 rows are false"), ("ok", "1 of 3 rows are false"),
     ("isfinite(v)", "true"), ("increasing(v)", "false")],
)  # fmt: skip
def test_truths_are_counted_where_some_are_false(text: str, detail: str) -> None:
    assert explain(parse(text), ROWS).detail == detail


def test_a_row_of_two_slices_is_none() -> None:
    slices = {"a": {"ok": np.array([True, False])}, "b": {"ok": np.array([True, True])}}
    assert explain(parse("a.ok and b.ok"), {}, slices).row is None


def test_several_comparisons_are_shown_one_after_the_other() -> None:
    outcome = explain(parse("mean(x) > 2 and not (max(y) < 3)"), TABLE)
    assert (outcome.holds, outcome.detail) == (True, "2.7 > 2; not (16 < 3)")


def test_no_rows_hold_nothing() -> None:
    outcome = explain(parse("x < 1"), {"x": np.array([])})
    assert (outcome.holds, outcome.detail) == (False, "no rows")


def test_nan_never_holds() -> None:
    assert not explain(parse("max(x) < 1"), {"x": np.array([0.0, np.nan])}).holds
    assert not explain(parse("mean(x) == mean(x)"), {"x": np.array([np.nan])}).holds


def test_a_number_is_no_outcome() -> None:
    with pytest.raises(ExpressionError, match="must be a comparison"):
        explain(parse("mean(x)"), TABLE)
