"""Layers of a spec: what replaces what, and where each value was written."""

from pathlib import Path
from typing import Any

import pytest

from runner.errors import SpecError
from runner.language.layers import LayeredError, Layers, Origin, read


def write(folder: Path, text: str, name: str = "spec.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def data(folder: Path, text: str, **wish: Any) -> dict[str, Any]:
    return read(write(folder, text), **wish).data


def message(folder: Path, text: str, **wish: Any) -> str:
    with pytest.raises(SpecError) as caught:
        data(folder, text, **wish)
    return str(caught.value)


def test_tables_join_and_lists_replace(tmp_path: Path) -> None:
    write(tmp_path, "a.x = [1, 2, 3]\na.y = { p = 1, q = 2 }\nb = 1\n", "base.toml")
    found = data(tmp_path, 'extends = "base.toml"\na.x = [4]\na.y = { q = 3, r = 4 }\n')
    assert found == {"a": {"x": [4], "y": {"p": 1, "q": 3, "r": 4}}, "b": 1}


def test_a_table_replaces_a_value_and_a_value_a_table(tmp_path: Path) -> None:
    write(tmp_path, "a = 1\nb = { x = 1 }\n", "base.toml")
    assert data(tmp_path, 'extends = "base.toml"\na = { y = 2 }\nb = 3\n') == {
        "a": {"y": 2},
        "b": 3,
    }


def test_an_axis_is_replaced_whole(tmp_path: Path) -> None:
    write(
        tmp_path,
        "[axes]\na = { linspace = [0, 1, 3] }\nb = { p = { x = 1 }, q = { x = 2 } }\n",
        "base.toml",
    )
    found = data(
        tmp_path,
        'extends = "base.toml"\n[axes]\na = { arange = [0, 3, 1] }\nb = { r = { x = 3 } }\n',
    )
    assert found["axes"] == {"a": {"arange": [0, 3, 1]}, "b": {"r": {"x": 3}}}


def test_bases_are_found_beside_the_file_that_names_them_and_may_have_bases(tmp_path: Path) -> None:
    write(tmp_path, "a = 1\nb = 1\nc = 1\n", "far/deep/root.toml")
    write(tmp_path, 'extends = "deep/root.toml"\nb = 2\nc = 2\n', "far/middle.toml")
    assert data(tmp_path, 'extends = "far/middle.toml"\nc = 3\n') == {"a": 1, "b": 2, "c": 3}


def test_a_profile_may_stand_in_the_base_and_is_merged_with_that_of_the_spec(
    tmp_path: Path,
) -> None:
    write(tmp_path, "a = 1\n[profiles.p]\na = 2\nb = 2\n", "base.toml")
    text = 'extends = "base.toml"\na = 3\n[profiles.p]\nb = 4\n'
    assert data(tmp_path, text) == {"a": 3}
    assert data(tmp_path, text, profile="p") == {"a": 2, "b": 4}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("probes.llc.steps=200", 200), ("probes.llc.steps=1e-3", 1e-3),
        ("probes.llc.steps=true", True),
        ("probes.llc.steps=[1, 2]", [1, 2]), ("probes.llc.steps={ a = 1 }", {"a": 1}),
        ('probes.llc.steps="200"', "200"), ("probes.llc.steps=sgld", "sgld"),
        ("probes.llc.steps=pi/2", "pi/2"),
        ("probes.llc.steps=$axis", "$axis"), ("probes.llc.steps=a=b", "a=b"),
        ("probes.llc.steps=", ""),
        ("probes . llc . steps=3", 3),
    ],
)  # fmt: skip
def test_set_reads_a_value_as_toml_and_else_as_text(
    tmp_path: Path, option: str, value: Any
) -> None:
    found = data(tmp_path, '[probes.llc]\nuse = "llc"\n', sets=[option])
    assert found["probes"]["llc"]["steps"] == value


def test_set_finds_a_key_in_the_only_inner_table_that_has_it(tmp_path: Path) -> None:
    text = "[probes.llc]\nsampler = { sgld = { lr = 1, steps = 2 }, burn = 3 }\n"
    found = data(tmp_path, text, sets=["probes.llc.lr=5"])
    assert found["probes"]["llc"] == {"sampler": {"sgld": {"lr": 5, "steps": 2}, "burn": 3}}


def test_set_asks_which_when_two_inner_tables_have_the_key(tmp_path: Path) -> None:
    text = "[probes.llc]\na = { lr = 1 }\nb = { lr = 2 }\n"
    found = message(tmp_path, text, sets=["probes.llc.lr=5"])
    assert found == "--set probes.llc.lr=5: which one? probes.llc.a.lr, probes.llc.b.lr"


def test_set_makes_a_parameter_or_an_option_table_that_is_not_there(tmp_path: Path) -> None:
    found = data(tmp_path, '[probes.llc]\nuse = "llc"\n', sets=["params.k=1", "probes.llc.a.b=2"])
    assert found["params"] == {"k": 1}
    assert found["probes"]["llc"]["a"] == {"b": 2}


def test_later_options_win(tmp_path: Path) -> None:
    assert data(tmp_path, "seed = 1\n", sets=["seed=2", "seed=3"]) == {"seed": 3}


def test_each_value_remembers_where_it_was_written(tmp_path: Path) -> None:
    base = write(tmp_path, "[p.a]\nx = 1\ny = 1\nz = 1\nw = [1, 2]\n", "base.toml")
    text = 'extends = "base.toml"\n[p.a]\ny = 2\n[profiles.f.p.a]\nz = 3\n'
    spec = write(tmp_path, text)
    layers = read(spec, "f", ["p.a.v=4"])
    assert layers.origin(("p", "a", "x")) == Origin(base, ("p", "a", "x"))
    assert layers.origin(("p", "a", "w", 1)) == Origin(base, ("p", "a", "w", 1))
    assert layers.origin(("p", "a", "y")) == Origin(spec, ("p", "a", "y"))
    assert layers.origin(("p", "a", "z")) == Origin(spec, ("profiles", "f", "p", "a", "z"))
    assert layers.origin(("p", "a", "v")).text == "--set p.a.v=4"
    assert layers.origin(("p", "a", "v")).file is None
    assert layers.origin(("nowhere",)) == Origin(spec, ("nowhere",))


def test_a_value_that_replaces_a_table_forgets_where_its_parts_were(tmp_path: Path) -> None:
    write(tmp_path, "[p]\na = { x = 1 }\n", "base.toml")
    spec = write(tmp_path, 'extends = "base.toml"\n[p]\na = 3\n')
    assert read(spec).origin(("p", "a", "x")) == Origin(spec, ("p", "a", "x"))


def test_merging_leaves_the_merged_table_alone(tmp_path: Path) -> None:
    layers = Layers(tmp_path)
    table: dict[str, Any] = {"a": {"x": [1]}}
    layers.merge(table, Origin(None, ()))
    layers.merge({"a": {"x": [2]}}, Origin(None, ()))
    layers.data["a"]["x"].append(3)
    assert table == {"a": {"x": [1]}}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "[1.0, [nan]]", "{ x = inf }"])
def test_only_finite_numbers_are_read(tmp_path: Path, value: str) -> None:
    with pytest.raises(LayeredError, match="is not a finite number"):
        data(tmp_path, f"a = {value}\n")


@pytest.mark.parametrize("value", ["2026-01-01", "10:00:00", "2026-01-01T10:00:00Z"])
def test_dates_are_refused_with_the_cure(tmp_path: Path, value: str) -> None:
    assert "is a date; write it as text" in message(tmp_path, f"a = {value}\n")


def test_deep_nesting_is_an_error_and_no_crash(tmp_path: Path) -> None:
    assert message(tmp_path, "a = " + "[" * 5000 + "]" * 5000)


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Is a directory"):
        read(tmp_path)


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(b"seed = 1\r\n[p]\r\na = 2\r\n")
    assert read(path).data == {"seed": 1, "p": {"a": 2}}
