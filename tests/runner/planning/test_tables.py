"""Gathering and joining: by the names of axes, never by the order of rows."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.language.expression import ExpressionError
from runner.planning.tables import Piece, joined_columns, together
from runner.types import Table


def piece(
    step: str, axes: tuple[str, ...], rows: dict[tuple[Any, ...], dict[str, list[Any]]]
) -> Piece:
    return Piece(step, axes, [(cell, Table(columns)) for cell, columns in rows.items()])


def lists(table: Table) -> dict[str, list[Any]]:
    return {name: np.asarray(values).tolist() for name, values in table.columns.items()}


CELLS = list(itertools.product("xy", [1, 2]))
GRID = piece("grid", ("task", "a"), {cell: {"v": [float(i)]} for i, cell in enumerate(CELLS)})
BY_TASK = piece("by_task", ("task",), {("y",): {"w": [20.0]}, ("x",): {"w": [10.0]}})


def test_axes_become_columns_before_those_of_the_table() -> None:
    assert lists(together([GRID], {}, {})) == {
        "task": ["x", "x", "y", "y"], "a": [1, 2, 1, 2], "v": [0.0, 1.0, 2.0, 3.0],
    }  # fmt: skip


def test_tables_of_many_rows_repeat_their_coordinates() -> None:
    long = piece("long", ("a",), {(1,): {"v": [1, 2]}, (2,): {"v": []}, (3,): {"v": [3]}})
    assert lists(together([long], {}, {})) == {"a": [1, 1, 3], "v": [1.0, 2.0, 3.0]}


def test_a_table_without_axes_is_itself() -> None:
    assert lists(together([piece("t", (), {(): {"v": [1, 2]}})], {}, {})) == {"v": [1, 2]}


def test_missing_axes_are_repeated_in_a_join() -> None:
    joined = lists(together([GRID, BY_TASK], {}, {}))
    assert joined["w"] == [10.0, 10.0, 20.0, 20.0]
    assert joined["v"] == [0.0, 1.0, 2.0, 3.0]


def test_the_order_of_joined_tables_changes_no_row() -> None:
    forth, back = lists(together([GRID, BY_TASK], {}, {})), lists(together([BY_TASK, GRID], {}, {}))
    assert {k: forth[k] for k in sorted(forth)} == {k: back[k] for k in sorted(back)}


@given(st.permutations(range(4)), st.permutations(range(2)))
def test_a_join_looks_at_coordinates_and_never_at_order(grid: list[int], tasks: list[int]) -> None:
    shuffled = Piece("grid", GRID.axes, [GRID.tables[i] for i in grid])
    other = Piece("by_task", BY_TASK.axes, [BY_TASK.tables[i] for i in tasks])
    rows = lists(together([shuffled, other], {}, {}))
    found = {
        (t, a): (v, w)
        for t, a, v, w in zip(rows["task"], rows["a"], rows["v"], rows["w"], strict=True)
    }
    assert found == {("x", 1): (0, 10), ("x", 2): (1, 10), ("y", 1): (2, 20), ("y", 2): (3, 20)}


def test_a_single_row_without_axes_joins_everything() -> None:
    one = piece("one", (), {(): {"w": [5]}})
    assert lists(together([GRID, one], {}, {}))["w"] == [5, 5, 5, 5]
    with pytest.raises(ValueError, match="one has no axes and more than one row"):
        together([GRID, piece("one", (), {(): {"w": [5, 6]}})], {}, {})


def test_shared_columns_are_named_by_their_steps() -> None:
    other = piece("other", ("task",), {("x",): {"v": [7]}, ("y",): {"v": [8]}})
    joined = lists(together([GRID, other], {}, {}))
    assert joined["grid_v"] == [0.0, 1.0, 2.0, 3.0]
    assert joined["other_v"] == [7, 7, 8, 8]
    assert "v" not in joined


@given(
    st.lists(st.tuples(st.sampled_from(["p", "q", "r"]), st.sets(st.sampled_from(["u", "v", "w"]))),
             min_size=1, max_size=3, unique_by=lambda part: part[0])
)  # fmt: skip
def test_the_columns_foretold_are_those_of_the_join(parts: list[tuple[str, set[str]]]) -> None:
    pieces = [
        piece(step, ("a",), {(1,): {name: [1] for name in sorted(names)} or {"z" + step: [1]}})
        for step, names in parts
    ]
    told = joined_columns([(p.step, {"a", *p.tables[0][1].columns}) for p in pieces], {"a"})
    assert told == set(together(pieces, {}, {}).columns)


def test_missing_and_double_coordinates_are_errors_that_name_them() -> None:
    short = piece("short", ("task",), {("x",): {"w": [1]}})
    with pytest.raises(ValueError, match="short has no row at task=y, grid has"):
        together([GRID, short], {}, {})
    double = piece("double", ("task",), {("x",): {"w": [1, 2]}, ("y",): {"w": [3]}})
    with pytest.raises(ValueError, match="double has two rows at task=x"):
        together([GRID, double], {}, {})


def test_tables_whose_axes_do_not_nest_cannot_be_joined() -> None:
    other = piece("other", ("seed",), {(0,): {"w": [1]}})
    with pytest.raises(ValueError, match="grid and other cannot be joined: seed"):
        together([GRID, other], {}, {})


def test_a_column_named_like_its_axis_is_an_error() -> None:
    with pytest.raises(ValueError, match="t has a column named like its axis a"):
        together([piece("t", ("a",), {(1,): {"a": [1]}})], {}, {})


def test_cells_with_other_columns_are_an_error() -> None:
    with pytest.raises(ValueError, match="t has columns w in one cell and v in another"):
        together([piece("t", ("a",), {(1,): {"v": [1]}, (2,): {"w": [1]}})], {}, {})


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"task": "x"}, [0.0, 1.0]),
        ({"task": ["x", "y"], "a": 2}, [1.0, 3.0]), ({"v": [0.0, 3]}, [0.0, 3.0]),
        ({"v": 99}, []), ({"a": 1.0}, [0.0, 2.0]),
    ],
)  # fmt: skip
def test_where_keeps_rows_by_value(where: dict[str, Any], kept: list[float]) -> None:
    assert lists(together([GRID], where, {}))["v"] == kept


def test_where_of_no_column_is_an_error() -> None:
    with pytest.raises(ValueError, match='where names "b", which is no column'):
        together([GRID], {"b": 1}, {})


def test_derived_columns_see_one_another_and_the_rows_that_are_left() -> None:
    derive = {"half": "v / 2", "share": "half / max(half)", "one": "1"}
    found = lists(together([GRID], {"task": "x"}, derive))
    assert found["half"] == [0.0, 0.5]
    assert found["share"] == [0.0, 1.0]
    assert found["one"] == [1, 1]


def test_a_derived_column_of_no_rows_is_empty_and_a_wrong_one_is_an_error() -> None:
    assert lists(together([GRID], {"v": 99}, {"half": "v / 2"}))["half"] == []
    with pytest.raises(ExpressionError, match='no column "u"'):
        together([GRID], {}, {"half": "u / 2"})


def test_truths_numbers_and_text_keep_their_kinds() -> None:
    rows = {
        (True,): {"i": [1], "f": [0.5], "b": [True], "s": ["x"]},
        (False,): {"i": [2], "f": [1.5], "b": [False], "s": ["yy"]},
    }
    mixed = piece("t", ("a",), rows)
    columns = together([mixed], {}, {}).columns
    kinds = {name: np.asarray(values).dtype.kind for name, values in columns.items()}
    assert kinds.pop("s") in "UO"
    assert kinds == {"a": "b", "i": "i", "f": "f", "b": "b"}
    assert lists(Table(columns))["s"] == ["x", "yy"]
