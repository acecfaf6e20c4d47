"""Tables as records."""

import json

import numpy as np
import pytest

from plugins.renderers.json import JsonRecords
from runner.types import Table

TABLE = Table(
    {
        "name": ["é", "b"],
        "loss": np.array([0.1, float("nan")]),
        "rows": [3, 4],
        "healthy": [True, False],
    }
)


def test_each_row_is_a_record_and_floats_keep_their_bits() -> None:
    text = JsonRecords(path="a.json").run(TABLE).contents[".json"].decode()
    assert json.loads(text) == [
        {"name": "é", "loss": 0.1, "rows": 3, "healthy": True},
        {"name": "b", "loss": None, "rows": 4, "healthy": False},
    ]
    assert text.count("\n") == 4


def test_columns_are_kept_in_the_order_that_is_asked_for() -> None:
    text = JsonRecords(path="a.json", keep=("rows", "name")).run(TABLE).contents[".json"]
    assert list(json.loads(text)[0]) == ["rows", "name"]
    with pytest.raises(ValueError, match="no such column"):
        JsonRecords(path="a.json", keep=("row",)).run(TABLE)


def test_a_table_without_rows_is_an_empty_list() -> None:
    assert JsonRecords(path="a.json").run(Table({"a": []})).contents[".json"] == b"[]\n"
