"""`pytest specs/`: what is collected, judged, run, and how failures read.

Pytest runs in one process beside this one, over and over: starting it takes longer than the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
STUDY = """
title = "Powers"
[axes]
slope = [1.0, 2.0]
[data.points]
use = "points"
slope = "$slope"
[probes.power]
use = "power"
data = "@points.train"
[renderers.page]
use = "page"
table = "@power"
path = "page.txt"
[expect.positive]
table = "@power"
check = "min(power) > 0"
[hypotheses.large]
per = ["slope"]
table = "@power"
check = "min(power) > LIMIT"
[profiles.strange]
probes.power.exponent = 13
"""
GOOD = STUDY.replace("LIMIT", "0")
FALSE = GOOD.replace("min(power) > 0", "min(power) > 100", 1)
BAD_LUCK = GOOD.replace('use = "power"', 'use = "power"\nexponent = 13')
BOTH = """
[probes.calm]
use = "power"
data = "@points.train"
[hypotheses.both]
requires = ["positive"]
table = "@calm"
check = "all(power > 0)"
"""
Pytest = Callable[..., pytest.RunResult]
SERVER = """
import contextlib, io, json, os, sys, pytest
for line in sys.stdin:
    asked = json.loads(line)
    os.chdir(asked["folder"])
    os.environ["TINY_CALLS"] = asked["calls"]
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = pytest.main(asked["arguments"])
    for name in [name for name in sys.modules if name.startswith("test_")]:
        del sys.modules[name]  # another world has a file of that name
    print(json.dumps([int(code), told.getvalue().splitlines()]), flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """Return a process that runs pytest with the arguments of each line it reads."""
    ours = ("PYTEST_", "CI", "BUILD_NUMBER")  # on CI pytest repeats failures in its summary
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env={**env, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process


@pytest.fixture
def run(world, server: subprocess.Popen[str]) -> Pytest:
    """Return a function that runs pytest in the world's folder, or in one below it."""

    def run(*arguments: Any, folder: str = ".", cache: bool = False) -> pytest.RunResult:
        common = ["--specs-workers", "1", *([] if cache else ["-p", "no:cacheprovider"])]
        asked = {
            "folder": str(world.folder / folder), "calls": str(world.folder / "calls.txt"),
            "arguments": [*common, *map(str, arguments)],
        }  # fmt: skip
        print(json.dumps(asked), file=server.stdin, flush=True)
        code, lines = json.loads(server.stdout.readline())
        return pytest.RunResult(code, lines, [], 0.0)

    return run


@pytest.fixture
def collected(run: Pytest) -> Callable[..., list[str]]:
    """Return a function that gives the ids of the items that are collected."""
    return lambda *arguments: ids(run("--co", "-q", *arguments))


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line and not line.startswith("SKIPPED")]


ITEMS = ["validity", "positive", "large[slope=1]", "large[slope=2]"]


def test_a_spec_is_collected_as_validity_and_its_checks(world, collected) -> None:
    world.spec(GOOD, "specs/study.toml")
    assert collected("specs") == [f"specs/study.toml::{name}" for name in ITEMS]
    assert collected("specs", "--specs-run")[:2] == [
        "specs/study.toml::validity",
        "specs/study.toml::run",
    ]
    assert world.calls() == []


def test_only_specs_that_are_asked_for_are_collected(world, collected) -> None:
    world.spec(GOOD, "specs/deep/study.toml")
    world.spec("[tool.other]\nx = 1\n", "specs/deep/inner/pyproject.toml")
    world.spec("[rule]\n", "specs/.taplo.toml")
    world.spec("[axes]\nx = [1]\n", "specs/_part.toml")
    world.spec("x = 1\n", "data.toml")
    world.spec(GOOD, "other/study.toml")
    world.spec("def test_own():\n    pass\n", "test_own.py")
    own, deep = ["test_own.py::test_own"], [f"specs/deep/study.toml::{name}" for name in ITEMS]
    other = [f"other/study.toml::{name}" for name in ITEMS]
    assert collected() == own
    assert collected("other", "test_own.py") == own
    assert collected("specs/") == deep
    assert collected("specs/deep", "test_own.py") == [*deep, *own]
    assert collected("other/study.toml") == other
    assert collected("specs/deep/study.toml::positive") == [deep[1]]
    assert len(collected("--specs-run")) == len([*deep, "run", *own])


def test_a_project_that_lies_in_a_folder_named_specs_is_left_alone(world, collected) -> None:
    world.spec('[project]\nname = "inner"\n[tool.pytest.ini_options]\n', "specs/pyproject.toml")
    world.spec(GOOD, "specs/study.toml")
    world.spec("def test_own():\n    pass\n", "specs/test_own.py")
    assert collected("--rootdir", "specs", "specs") == ["test_own.py::test_own"]


def test_a_folder_of_specs_without_a_project_file_is_enough(world, collected) -> None:
    world.spec(GOOD, "specs/study.toml")
    (world.folder / "pyproject.toml").unlink()
    assert collected("specs") == ["specs/study.toml::validity"]


def test_without_results_checks_are_skipped_with_place_reason_and_command(world, run) -> None:
    world.spec(GOOD, "specs/study.toml")
    result = run("specs", "-rs")
    result.assert_outcomes(passed=1, skipped=3)
    told = "power[[]slope=1[]] and 1 more not stored: runner run specs/study.toml, or pytest"
    line = GOOD.splitlines().index("[expect.positive]") + 1
    result.stdout.fnmatch_lines([f"SKIPPED [[]1[]] specs/study.toml:{line}: {told} --specs-run"])
    assert world.calls() == []
    chosen = ("--specs-profile", "strange", "--specs-artifacts", "else where")
    command = "runner run --profile strange --artifacts 'else where' specs/study.toml"
    run("specs", "-rs", *chosen).stdout.fnmatch_lines([f"SKIPPED*: {command}, or pytest*"])


def test_stored_results_are_judged_and_nothing_is_computed(world, run: Pytest) -> None:
    spec = world.spec(GOOD, "specs/study.toml")
    assert world.cli("run", spec, "-n", 1).code == 0
    world.calls()
    run("specs").assert_outcomes(passed=4)
    assert world.calls() == []
    world.spec(FALSE, "specs/study.toml")
    result = run("specs")
    result.assert_outcomes(passed=3, failed=1)
    assert world.calls() == []


def test_a_broken_expectation_fails_with_the_text_of_runner(world, run: Pytest) -> None:
    world.spec(FALSE, "specs/study.toml")
    result = run("specs", "--specs-run")
    result.assert_outcomes(passed=4, failed=1)
    lines = result.outlines
    start = next(i for i, line in enumerate(lines) if line.startswith("____"))
    end = next(i for i, line in enumerate(lines) if i > start and line.startswith("===="))
    told = world.cli("run", "specs/study.toml", "-n", "1").out.splitlines()
    assert lines[start + 1].startswith("expectation positive does not hold")
    assert set(lines[start + 1 : end]) <= set(told)
    assert any("0.613843 > 100" in line for line in lines[start + 1 : end])
    assert result.ret == 1


WRONG = {
    "syntax": (GOOD.replace("slope = [", "slope = = [", 1), "4:9: invalid value: "),
    "plugin": (
        GOOD.replace('use = "power"', 'use = "pwoer"'),
        '9:7: probes.power.use: no such plugin in probes: "pwoer"; did you mean "power"?',
    ),
    "type": (
        GOOD.replace('use = "points"', 'use = "points"\nrows = "many"'),
        '7:8: data.points.rows: must be a whole number, not "many"',
    ),
    "reference": (
        GOOD.replace("@points", "@pionts"),
        '10:8: probes.power.data: no step "pionts"; did you mean "points"?',
    ),
    "column": (
        GOOD.replace("min(power) > 0", "min(pwoer) > 0", 1),
        '17:9: expect.positive.check: no column "pwoer"; did you mean "power"?',
    ),
}


def test_a_wrong_spec_fails_with_its_places_problems_and_cures_as_validate_does(world, run) -> None:
    for name, (text, _) in WRONG.items():
        world.spec(text, f"specs/{name}.toml")
    result = run("specs", "--specs-run")
    result.assert_outcomes(failed=len(WRONG))
    told = world.cli("validate", "specs").err.splitlines()
    for name, (_, problem) in WRONG.items():
        (line,) = (one for one in result.outlines if one.startswith(f"specs/{name}.toml:"))
        assert line.startswith(f"specs/{name}.toml:{problem}")
        assert line in told
    assert not [line for line in result.outlines if "Traceback" in line]


def test_with_specs_run_everything_is_run_and_views_are_placed(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    run("specs", "--specs-run", "-W", "error").assert_outcomes(passed=5)
    assert (world.artifacts / "study" / "page.txt").is_file()
    assert (world.artifacts / "study" / "run.json").is_file()
    run("specs").assert_outcomes(passed=4)


def test_a_node_that_fails_is_tried_once_and_shown_with_one_traceback(world, run) -> None:
    world.spec(BAD_LUCK, "specs/study.toml")
    result = run("specs", "--specs-run")
    result.assert_outcomes(passed=1, failed=4)
    failed = "failed after * s: ValueError: exponent 13 brings bad luck; take another"
    result.stdout.fnmatch_lines([
        f"power[[]slope=1[]] {failed}", "Traceback (most recent call last):",
        "*study::positive*", f"power[[]slope=1[]] {failed}", "*wait* for what failed: positive",
        "*study::large[[]slope=2[]]*", f"power[[]slope=2[]] {failed}",
    ])  # fmt: skip
    told = result.stdout.str()
    assert told.count("Traceback (most recent call last):") == 2  # power at each slope
    assert told.index("Traceback") < told.index("study::positive")
    assert "traceback and log:" not in told
    assert len([call for call in world.calls() if call.startswith("power")]) == 2


def test_what_failed_once_is_not_tried_again_for_another_check(world, run) -> None:
    world.spec(BAD_LUCK + BOTH, "specs/study.toml")
    result = run("specs", "--specs-run", "-rs", "-k", "positive or both")
    result.assert_outcomes(failed=1, skipped=1, deselected=4)
    result.stdout.fnmatch_lines(["SKIPPED*exponent 13 brings bad luck*"])
    assert world.calls().count("power of 1") == 2  # one at each slope, and none for the rest


def test_a_failure_tells_how_to_run_it_alone_with_the_options_that_pytest_had(world, run) -> None:
    world.spec(FALSE + "[profiles.other]\nprobes.power.exponent = 2\n", "specs/study.toml")
    chosen = ("--specs-profile", "other", "--specs-artifacts", "elsewhere")
    result = run("specs", "--specs-run", *chosen)
    command = "runner run --profile other --artifacts elsewhere specs/study.toml::positive"
    result.stdout.fnmatch_lines([f"  alone: {command}"])
    done = world.cli(*command.split()[1:], "-n", 1)
    assert done.code == 1
    assert "expectation positive does not hold" in done.out
    assert "1 failed" in done.out.splitlines()[-1]


@pytest.mark.parametrize("folder", ["deep/down", "specs"])
def test_from_another_folder_it_finds_the_project_and_names_paths_from_there(
    world, run, folder: str
) -> None:
    world.spec(FALSE, "specs/study.toml")
    (world.folder / folder).mkdir(parents=True, exist_ok=True)
    result = run(world.folder / "specs", "--specs-run", folder=folder)
    result.assert_outcomes(passed=4, failed=1)
    path = "study.toml" if folder == "specs" else "../../specs/study.toml"
    result.stdout.fnmatch_lines([f"  alone: runner run {path}::positive"])
    assert (world.artifacts / "study" / "page.txt").is_file()


def test_x_stops_at_the_first_item_that_fails_and_lf_takes_it_up(world, run) -> None:
    world.spec(FALSE, "specs/study.toml")
    run("specs", "--specs-run", "-x", cache=True).assert_outcomes(passed=2, failed=1)
    last = ("specs", "--specs-run", "--lf")
    assert ids(run(*last, "--co", "-q", cache=True)) == ["specs/study.toml::positive"]
    run(*last, cache=True).assert_outcomes(failed=1)
    world.spec(GOOD, "specs/study.toml")
    run(*last, cache=True).assert_outcomes(passed=1)


def test_a_folder_for_results_that_cannot_be_is_told_without_a_traceback(world, run) -> None:
    world.spec(GOOD, "specs/study.toml")
    world.spec("mine", "artifacts")
    result = run("specs", "--specs-run")
    result.assert_outcomes(passed=1, failed=4)
    told = [line for line in result.outlines if line.startswith("error: cannot ")]
    assert len(told) == 4
    assert all("artifacts/.store" in line for line in told)
    assert "Traceback" not in result.stdout.str()


def test_a_profile_and_a_folder_for_results_can_be_given(world, run: Pytest) -> None:
    text = GOOD.replace("probes.power.exponent = 13", "probes.power.exponent = 2")
    world.spec(text, "specs/study.toml")
    chosen = ("--specs-profile", "strange", "--specs-artifacts", "elsewhere")
    run("specs", "--specs-run", *chosen).assert_outcomes(passed=5)
    assert (world.folder / "elsewhere" / "study" / "page.txt").is_file()
    assert not world.artifacts.exists()
    run("specs", *chosen).assert_outcomes(passed=4)
    run("specs").assert_outcomes(passed=1, skipped=3)


def test_a_refuted_hypothesis_is_an_expected_failure_unless_strict(world, run: Pytest) -> None:
    world.spec(STUDY.replace("LIMIT", "100"), "specs/study.toml")
    result = run("specs", "--specs-run", "-rx")
    result.assert_outcomes(passed=3, xfailed=2)
    result.stdout.fnmatch_lines(["XFAIL *large[[]slope=1[]]*refuted*"])
    result = run("specs", "--specs-strict")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines([
        "hypothesis large[[]slope=2[]]*refuted*", ">     min(power) > 100", "E     0.613843 > 100",
        "  slice: @power where slope = 2 (1 cell)", "  alone: runner run 'specs/study.toml::large*",
    ])  # fmt: skip


def test_a_hypothesis_whose_requirement_failed_is_skipped(world, run: Pytest) -> None:
    world.spec(FALSE + BOTH, "specs/study.toml")
    result = run("specs", "--specs-run", "-rs", "-k", "both")
    result.assert_outcomes(skipped=1, deselected=5)
    result.stdout.fnmatch_lines(["SKIPPED*hypothesis both: not run"])


def test_only_what_a_selected_item_needs_is_computed(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    run("specs", "--specs-run", "-k", "valid").assert_outcomes(passed=1, deselected=4)
    assert world.calls() == []
    run("specs/study.toml::large[slope=2]", "--specs-run").assert_outcomes(passed=1)
    assert sorted(world.calls()) == ["points 2 0", "power of 1"]
    run("specs/study.toml::large", "--specs-run").assert_outcomes(passed=2)
    assert sorted(world.calls()) == ["points 1 0", "power of 1"]


SLOW = """
from typing import ClassVar
from pydantic import Field
from runner.plugin import Probe
from runner.types import Table
from ..maths.tally import note
class Slow(Probe):
    columns: ClassVar[dict[str, str]] = {"value": "k"}
    k: int = Field(0, description="which")
    def run(self) -> Table:
        import time
        note(f"slow {self.k}")
        time.sleep(0.2)
        return Table({"value": [self.k]})
"""
SLOW_STUDY = """
title = "Slow"
[axes]
k = [1, 2, 3, 4, 5, 6]
[probes.slow]
use = "slow"
k = "$k"
[expect.right]
per = ["k"]
table = "@slow"
check = "max(value) > 0"
"""


def test_workers_of_xdist_compute_nothing_twice_and_tell_failures_as_ever(world, run) -> None:
    world.plugin("probes/slow", SLOW)
    world.spec(SLOW_STUDY, "specs/slow.toml")
    world.spec(FALSE, "specs/false.toml")
    world.spec(WRONG["plugin"][0], "specs/plugin.toml")
    result = run("specs", "--specs-run", "-n", "2")
    result.assert_outcomes(passed=12, failed=2)
    calls = world.calls()
    assert sorted(c for c in calls if c.startswith("slow")) == [f"slow {k}" for k in range(1, 7)]
    assert sorted(c for c in calls if c.startswith("points")) == ["points 1 0", "points 2 0"]
    result.stdout.fnmatch_lines_random(
        ["expectation positive does not hold", f"specs/plugin.toml:{WRONG['plugin'][1]}*"]
    )


def test_pytest_imports_nothing_of_runner_until_a_spec_is_asked_for_and_then_nothing_heavy(
    world,
) -> None:
    world.spec("def test_own():\n    pass\n", "test_own.py")
    world.spec(GOOD, "specs/study.toml")
    code = """
import sys, pytest
def loaded(names):
    return sorted(m for m in sys.modules if m.split(".")[0] in names)
pytest.main(["-q", "-p", "no:cacheprovider", "test_own.py"])
print("BEFORE", *loaded({"runner", "pydantic", "click", "torch", "numpy", "pandas"}))
pytest.main(["-q", "-p", "no:cacheprovider", "specs"])
print("AFTER", *loaded({"torch", "pandas", "matplotlib"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=world.folder, env=world.env(), check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert "BEFORE runner runner.pytest_plugin" in lines
    assert lines[-1] == "AFTER"
    assert "1 passed" in done.stdout
    assert "1 passed, 3 skipped" in done.stdout
