"""What people read: whole texts of commands for one small world, and the parts they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.errors import Problem, SpecError, given, listed, near
from runner.telling.wording import changed_files, near_path, problems

STUDY = """
title = "A small study"
seed = 1

[axes]
slope = [1.0, 2.0]
exponent = [1.0, 2.0, 3.0]

[data.points]
use = "points"
slope = "$slope"

[perturbations.shifted]
use = "shifted"
data = "@points"
by = 0.5

[probes.power]
use = "power"
data = "@shifted.train"
exponent = "$exponent"

[renderers.page]
use = "page"
table = "@power"
per = ["slope"]
path = "{slope}.txt"

[expect.positive]
table = "@power"
check = "min(power) > 0"

[hypotheses.grows]
per = ["slope"]
table = "@power"
check = "increasing(power)"
requires = ["positive"]
"""


@pytest.fixture
def told(world, golden: Callable[[str, Path], None]):
    """Return a function that runs a command and compares all it says with a golden text."""

    def run(name: str, *arguments: str, code: int = 0) -> str:
        outcome = world.cli(*arguments)
        assert outcome.code == code, outcome
        text = outcome.out + outcome.err
        text = re.sub(r"\d+\.\d+ s\b", "T s", text.replace(world.package, "TINY"))
        golden(text, f"{name}.txt")
        return text

    world.spec(STUDY)
    return run


def test_the_course_of_a_study(world, told) -> None:
    told("validate", "validate", "study.toml")
    told("plan_new", "plan", "study.toml")
    told("run_new", "run", "-n", "1", "study.toml")
    told("run_cached", "run", "-n", "1", "study.toml")
    told("plan_cached", "plan", "study.toml")
    world.edit("maths/tally", "open(", "open(*(), ")
    told("plan_stale", "plan", "study.toml")
    told("plan_verbose", "plan", "-v", "study.toml")
    told("run_allowed_stale", "run", "-n", "1", "--allow-stale", "points", "study.toml")


def test_a_run_that_fails(world, told) -> None:
    mean = '[probes.mean]\nuse = "average"\ntable = "@power"\ncolumn = "power"\n'
    text = STUDY.replace("[1.0, 2.0, 3.0]", "[1.0, 13.0]")
    world.spec(f'{text}\n{mean}over = ["exponent"]\n')
    told("run_failing", "run", "-n", "1", "study.toml", code=1)
    failed = sorted(path.name for path in (world.artifacts / "study" / "failed").iterdir())
    assert failed == ["power[slope=1,exponent=13].txt", "power[slope=2,exponent=13].txt"]


def test_an_expectation_that_does_not_hold(world, told) -> None:
    world.spec(STUDY.replace("min(power) > 0", "min(power) > 1"))
    told("run_expectation", "run", "-n", "1", "study.toml", code=1)


def test_a_quiet_and_a_verbose_run(world, told) -> None:
    told("run_verbose", "run", "-n", "1", "-v", "study.toml")
    world.spec(STUDY.replace("seed = 1", "seed = 2"))
    told("run_quiet", "run", "-n", "1", "-q", "study.toml")


@pytest.mark.parametrize(
    "plugin", ["probes/nested", "power", "points", "descent", "page", "pair", "words"]
)
def test_a_plugin_is_shown(told, plugin: str) -> None:
    told(f"show_{plugin.rpartition('/')[2]}", "show", plugin)


@pytest.mark.parametrize("family", ["trainers", "probes"])
def test_plugins_are_listed(told, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.registry import Registry, project_roots

    monkeypatch.setattr(Registry, "of", lambda project: Registry(project_roots(project)))
    told(f"list_{family}", "list", family)


def test_help_names_every_command(world) -> None:
    text = world.cli("--help").out
    for command in ("run", "plan", "validate", "list", "show"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)


# -- parts -----------------------------------------------------------------------------------------


def test_problems_stand_in_the_order_of_files_lines_and_columns(tmp_path: Path) -> None:
    spec, other = tmp_path / "b.toml", tmp_path / "a.toml"
    spec.write_text("x = 1\n\n\n\n\n\n\n\n\n\ny = { p = 1, q = 2 }\nz = 3\n")
    other.write_text("k = 1\n")
    found = [
        Problem(("z",), "last"), Problem(("y", "q"), "second"), Problem(("y", "p"), "first"),
        Problem(("x",), "early"), Problem(("k",), "elsewhere", other),
        Problem((), "--set a: typed"),
    ]  # fmt: skip
    lines = problems(SpecError(found), spec)
    assert [line.rpartition(": ")[2] for line in lines] == [
        "typed", "elsewhere", "early", "first", "second", "last",
    ]  # fmt: skip
    assert lines[4] == f"{near_path(spec)}:11:18: y.q: second"


def test_a_file_that_is_gone_is_named_all_the_same(tmp_path: Path) -> None:
    line = problems(SpecError([Problem(("a", "b"), "wrong")]), tmp_path / "gone.toml")
    assert line == [f"{near_path(tmp_path / 'gone.toml')}:1:1: a.b: wrong"]


def test_paths_are_written_as_seen_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert near_path(tmp_path / "here" / "a" / "b.toml") == "a/b.toml"
    assert near_path(tmp_path / "b.toml") == "../b.toml"
    assert near_path(Path("b.toml")) == "b.toml"


def test_changed_files_are_those_whose_digests_differ() -> None:
    old, new = {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}
    assert changed_files(old, new) == ["b", "c", "d"]


def test_near_misses_and_lists() -> None:
    assert near("sampelr", ["sampler", "steps"]) == '; did you mean "sampler"?'
    assert near("LLC", ["llc"]) == '; did you mean "llc"?'
    assert near("zzz", ["llc"]) == ""
    assert listed([]) == "none"
    assert listed(range(10), 3) == "0, 1, 2 and 7 more"


def test_values_are_given_as_a_spec_would_write_them() -> None:
    assert given("x") == '"x"'
    assert given(True) == "true"
    assert given([1, 2.5]) == "[1, 2.5]"
    assert given({"a": 1}) == "a table"
    assert len(given("x" * 500)) == 60
