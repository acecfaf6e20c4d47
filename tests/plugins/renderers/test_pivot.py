"""A table of methods by measures."""

from __future__ import annotations

import csv
import io

import pytest

from plugins.renderers.pivot import Pivot
from runner import Table

TABLE = Table(
    {
        "layer": ["a", "a", "a", "b"],
        "head": ["mlp", "mlp", "ridge", "ridge"],
        "seed": [0, 1, 0, 0],
        "r2": [0.60, 0.62, 0.50, 0.40],
    }
)


def pivot(**more) -> Pivot:
    return Pivot(rows=("layer",), across="head", values=("r2",), path="t.md", **more)


def lines(wish: Pivot) -> list[str]:
    return wish.run(TABLE).contents[".md"].decode().splitlines()


def test_repeats_are_averaged_and_what_is_untested_is_a_dash() -> None:
    """S1.12: a full table with "-" for untested cells."""
    found = lines(pivot(digits=2, compare=("mlp", "ridge"), names={"a": "first"}))
    assert found[0] == "| layer | mlp | ridge | mlp over ridge |"
    assert found[2] == "| first | 0.61 ± 0.01 | 0.50 | +22.0 % |"
    assert found[3] == "| b | - | 0.40 | - |"


def test_several_measures_stand_side_by_side() -> None:
    table = Table({"head": ["a", "a", "b"], "r2": [0.5, 0.7, 0.1], "mae": [1.0, 3.0, 4.0]})
    wish = Pivot(rows=("head",), values=("r2", "mae"), path="t.md", digits=1, formats=(".csv",))
    found = wish.run(table).contents
    assert found[".md"].decode().splitlines()[:4] == [
        "| head | r2 | mae |", "| --- | --- | --- |", "| a | 0.6 ± 0.1 | 2.0 ± 1.4 |",
        "| b | 0.1 | 4.0 |",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(found[".csv"].decode())))
    assert [(r["head"], r["value"], r["count"]) for r in rows] == [
        ("a", "r2", "2"), ("a", "mae", "2"), ("b", "r2", "1"), ("b", "mae", "1"),
    ]  # fmt: skip
    both = Pivot(rows=("head",), across="head", values=("r2", "mae"), path="t.md")
    assert "a single value" in str(both.check_parameters())


def test_it_says_what_the_spread_is_over() -> None:
    assert lines(pivot(footnote="Test split."))[-1] == (
        "Test split. Mean and sample standard deviation over up to 2."
    )


def test_the_csv_has_every_place_to_the_bit() -> None:
    wish = Pivot(rows=("layer",), across="head", values=("r2",), path="t.csv")
    rows = list(csv.DictReader(io.StringIO(wish.run(TABLE).contents[".csv"].decode())))
    assert [r["count"] for r in rows] == ["2", "1", "1"]
    assert float(rows[0]["mean"]) == (0.60 + 0.62) / 2
    assert rows[1]["std"] == "nan"


def test_tex_is_escaped() -> None:
    table = Table({"name": ["enc_last"], "r2": [0.5]})
    text = Pivot(rows=("name",), values=("r2",), path="t.tex").run(table).contents[".tex"].decode()
    assert r"enc\_last & 0.5000 \\" in text


def test_a_missing_column_no_rows_and_nan_are_errors() -> None:
    with pytest.raises(ValueError, match="no such column"):
        Pivot(rows=("layers",), values=("r2",), path="t.md").run(TABLE)
    with pytest.raises(ValueError, match="no rows"):
        Pivot(rows=("a",), values=("r2",), path="t.md").run(Table({"a": [], "r2": []}))
    with pytest.raises(ValueError, match="not finite"):
        Pivot(rows=("a",), values=("r2",), path="t.md").run(Table({"a": [1], "r2": [float("nan")]}))
    assert Pivot(rows=("a",), values=("r2",), path="t.md", compare=("a", "b")).check_parameters()
