"""Tables as CSV: exact floats, sorted rows, chosen and renamed columns."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from plugins.renderers.csv import Csv
from runner.types import Table


def text(table: Table, **parameters: Any) -> str:
    return Csv(path="a.csv", **parameters).run(table).contents[".csv"].decode()


def test_every_float_is_read_back_with_the_same_bits() -> None:
    values = np.random.default_rng(0).standard_normal(500) * 10.0 ** np.arange(-250, 250)
    table = Table({"n": np.arange(500), "v": values})
    rows = csv.DictReader(io.StringIO(text(table)))
    assert np.array([float(row["v"]) for row in rows]).tobytes() == values.tobytes()


def test_single_precision_keeps_its_exact_value() -> None:
    value = np.float32(0.1)
    written = text(Table({"v": np.array([value])})).splitlines()[1]
    assert float(written) == float(value)


def test_rows_are_sorted_by_the_leading_columns_and_numbers_as_numbers() -> None:
    table = Table({"task": ["b", "a", "a"], "step": [1, 10, 9], "v": [0.5, 1.0, 2.0]})
    assert text(table) == "task,step,v\na,9,2.0\na,10,1.0\nb,1,0.5\n"


def test_sorting_by_chosen_columns_keeps_the_order_of_equals() -> None:
    table = Table({"a": [2, 1, 1], "b": ["x", "z", "y"]})
    assert text(table, sort=("a",)) == "a,b\n1,z\n1,y\n2,x\n"


def test_columns_are_chosen_ordered_and_renamed() -> None:
    table = Table({"a": [1], "b": [2], "c": [3]})
    assert text(table, keep=("c", "a"), rename={"a": "alpha"}) == "c,alpha\n3,1\n"


def test_the_order_of_rows_in_the_table_does_not_matter() -> None:
    table = Table({"a": [1, 2, 2], "b": [0.1, 0.3, 0.2]})
    assert text(table) == text(Table.of(table.frame.iloc[::-1]))


def test_booleans_absent_values_and_commas_are_written_plainly() -> None:
    table = Table({"k": [1, 2, 3], "ok": [True, False, True], "t": ["a,b", None, 'say "x"']})
    assert text(table, sort=("k",)) == 'k,ok,t\n1,True,"a,b"\n2,False,\n3,True,"say ""x"""\n'


def test_floats_that_are_not_finite_are_read_back() -> None:
    written = text(Table({"k": [1, 2, 3], "v": [np.nan, np.inf, -np.inf]}), sort=("k",))
    assert written == "k,v\n1,nan\n2,inf\n3,-inf\n"


def test_a_table_without_rows_is_its_header() -> None:
    assert text(Table({"a": [], "b": []})) == "a,b\n"


@pytest.mark.parametrize("parameter", ["keep", "sort"])
def test_a_missing_column_is_refused_with_a_near_miss(parameter: str) -> None:
    with pytest.raises(ValueError, match=rf"{parameter} = 'aplha'.*did you mean \"alpha\""):
        text(Table({"alpha": [1]}), **{parameter: ("aplha",)})


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two columns would be called 'b'"):
        text(Table({"a": [1], "b": [2]}), rename={"a": "b"})


def test_a_cell_that_is_a_list_is_refused_by_column() -> None:
    with pytest.raises(ValueError, match=r"column 'v': \[1, 2\]"):
        text(Table({"k": [1], "v": [[1, 2]]}), sort=("k",))


def test_another_suffix_is_refused() -> None:
    assert Csv(path="a.csv").path == "a.csv"
    with pytest.raises(ValidationError, match="must have a suffix out of"):
        Csv(path="a.png")
