"""Binding: a step's keys become parameters, ports and the engine's own words."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import SpecError
from runner.planning.bind import WORDS, marked_fields
from runner.planning.making import wording
from runner.plugin import Renderer


@pytest.fixture(scope="module")
def bound(shared_world):
    """Return the function that binds the last step of a spec given as text."""

    def one(text: str) -> Any:
        return list(shared_world.plan(text).steps.values())[-1].bound

    return one


def test_keys_are_parameters_ports_or_words(bound) -> None:
    found = bound("""
[axes]
a = [1.0, 2.0]
[probes.v]
use = "value"
a = "$a"
[probes.mean]
use = "average"
table = ["@v"]
column = "double"
over = ["a"]
where = { a = 1.0 }
derive = { half = "value / 2" }
resources = { threads = 3, gpu = 1 }
""")
    assert found.parameters == {"column": "double"}
    assert [r.step for r in found.ports["table"].references] == ["v"]
    assert (found.over, found.per, found.derive) == (["a"], None, {"half": "value / 2"})
    assert (found.threads, found.gpu) == (3, 1)
    assert found.where == {"a": [1.0]}
    assert not found.is_check


def test_parameters_that_name_a_value_are_filled_and_those_that_name_an_axis_are_noted(
    bound,
) -> None:
    found = bound("""
[params]
depth = 3
[axes]
way = ["exact", "sketch"]
[probes.n]
use = "nested"
choice = { method = "$way", inner = { depth = "$depth" } }
""")
    assert found.parameters == {"choice": {"method": "$way", "inner": {"depth": 3}}}
    assert list(found.uses) == [("choice", "method")]


def test_a_check_has_a_table_and_slices(bound) -> None:
    found = bound("""
[probes.v]
use = "value"
[expect.e]
table = "@v"
let.part = { table = ["@v"], where = { value = 0.0 }, derive = { half = "value / 2" } }
let.short = "@v"
check = "part.half <= max(value) + max(short.value)"
""")
    assert found.is_check
    assert set(found.ports) == {"table", "part", "short"}
    assert found.ports["part"].where == {"value": 0.0}
    assert found.ports["part"].derive == {"half": "value / 2"}
    assert found.outputs == {}


def test_holes_and_columns_are_found_by_their_marks(bound) -> None:
    found = bound(
        '[probes.v]\nuse = "value"\n[renderers.p]\nuse = "page"\ntable = "@v"\npath = "p.txt"\n'
    )
    holes, columns = marked_fields(found.cls)
    assert set(holes) == {"path", "title"}
    assert columns == {"show": "table"}
    assert issubclass(found.cls, Renderer)
    assert found.outputs.keys() == {""}


def test_a_file_is_known_by_its_content_and_not_by_its_path(shared_world) -> None:
    text = '[probes.w]\nuse = "words"\nfile = "{}"\n'
    shared_world.spec("one two", "in/a.txt")
    shared_world.spec("one two", "in/b.txt")
    shared_world.spec("three", "in/c.txt")
    found = [
        shared_world.plan(text.format(name)).steps["w"].nodes[()].key
        for name in ("in/a.txt", "in/b.txt", "in/c.txt", "in/../in/a.txt")
    ]
    assert found[0] == found[1] == found[3] != found[2]


def test_the_environment_is_allowed_in_files_only(
    shared_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared_world.spec("one two", "in/a.txt")
    monkeypatch.setenv("TINY_FOLDER", str(shared_world.folder / "in"))
    text = '[probes.w]\nuse = "words"\nfile = "${TINY_FOLDER}/a.txt"\n'
    assert shared_world.plan(text).steps["w"].nodes[()].plugin.file.path.name == "a.txt"
    with pytest.raises(SpecError, match='"\\$\\{TINY_FOLDER\\}"'):
        shared_world.plan('[probes.v]\nuse = "value"\nsign = "${TINY_FOLDER}"\n')


@pytest.mark.parametrize(
    ("kind", "context", "value", "words"),
    [
        ("int_type", {}, "three", 'must be a whole number, not "three"'),
        ("model_type", {}, [1], "must be a table, not [1]"),
        ("greater_than", {"gt": 0.0}, 0, "must be above 0, not 0"),
        ("less_than_equal", {"le": 0.5}, 1, "must be at most 0.5, not 1"),
        ("literal_error", {"expected": "'a' or 'b'"}, {"x": 1}, 'must be "a" or "b", not a table'),
        ("too_short", {}, [], "some message, not []"),
    ],
)
def test_what_pydantic_finds_is_told_in_the_words_of_a_spec(
    kind: str, context: Any, value: Any, words: str
) -> None:
    item = {"type": kind, "ctx": context, "msg": "Some message"}
    assert wording(item, value) == words


def test_long_values_are_cut() -> None:
    told = wording({"type": "int_type", "msg": ""}, "x" * 500)
    assert len(told) < 100
    assert told.endswith("...")


def test_the_words_of_the_engine_are_few() -> None:
    assert set(WORDS) == {"over", "per", "where", "derive", "seed", "resources", "markers"}
