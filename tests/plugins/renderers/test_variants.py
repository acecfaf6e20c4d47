"""A table as an axis in TOML: what a spec reads back is what the table holds."""

import tomllib
from typing import Any

import pytest

from plugins.renderers.variants import Variants
from runner.types import Table

ROWS = Table({"sampler": ["sgld", "sisgld"], "step": [1e-05 / 3, 3e-4], "why": ["a", "b"]})


def text(table: Table = ROWS, **change: Any) -> str:
    values = {"name": "sampler", "keep": ("step",), "header": "axes.sampler", "path": "a.toml"}
    return Variants(**(values | change)).run(table).contents[".toml"].decode()


def test_numbers_are_read_back_with_the_same_bits_and_in_the_order_of_rows() -> None:
    read = tomllib.loads(text())["axes"]["sampler"]
    assert list(read) == ["sgld", "sisgld"]
    assert [fields["step"] for fields in read.values()] == list(ROWS.columns["step"])


def test_a_spec_that_extends_the_file_has_the_axis() -> None:
    from runner.language.axes import read_axis

    axis = read_axis("sampler", tomllib.loads(text())["axes"]["sampler"])
    assert axis.value("sisgld", "step") == 3e-4


def test_it_says_what_it_extends_and_why() -> None:
    found = text(extends="../base.toml", comment="Written by a study.\nTwo lines.", note="why")
    assert found.startswith('# Written by a study.\n# Two lines.\nextends = "../base.toml"\n\n[')
    assert "# sisgld: b\nsisgld = {" in found


def test_text_and_truth_are_written_as_toml() -> None:
    table = Table({"k": ["x"], "t": ['say "so"'], "ok": [True], "n": [3]})
    found = tomllib.loads(text(table, name="k", keep=("t", "ok", "n")))
    assert found["axes"]["sampler"]["x"] == {"t": 'say "so"', "ok": True, "n": 3}


def test_a_number_that_is_none_is_refused_by_name() -> None:
    table = Table({"sampler": ["sgld"], "step": [float("nan")]})
    with pytest.raises(ValueError, match=r"sgld\.step = nan"):
        text(table)


def test_a_name_that_would_need_quotes_is_refused() -> None:
    with pytest.raises(ValueError, match="'a b' cannot name a variant"):
        text(Table({"sampler": ["a b"], "step": [1.0]}))


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="A variant has one row"):
        text(Table({"sampler": ["a", "a"], "step": [1.0, 2.0]}))


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        text(Table({"sampler": [], "step": []}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"header": "axes sampler"}, "joined by points"), ({"path": "a.csv"}, "suffix")],
)
def test_wrong_parameters_are_refused(change: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        text(**change)
