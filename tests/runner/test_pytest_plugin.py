"""`pytest specs/`: what is collected, judged, run, and how failures read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

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
Pytest = Callable[..., pytest.RunResult]


@pytest.fixture
def run(world, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Pytest:
    """Return a function that runs pytest in a process of its own, in the world's folder."""
    monkeypatch.chdir(world.folder)
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in world.env().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> pytest.RunResult:
        common = ("-m", "pytest", "-p", "no:cacheprovider", "--specs-workers", "1")
        return pytester.run(sys.executable, *common, *arguments)

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


def test_without_results_checks_are_skipped_with_the_reason(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    result = run("specs", "-rs")
    result.assert_outcomes(passed=1, skipped=3)
    told = "power[[]slope=1[]] and 1 more not stored: runner run specs/study.toml, or pytest"
    result.stdout.fnmatch_lines([f"SKIPPED*{told} --specs-run"])
    assert world.calls() == []


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


def test_a_wrong_spec_fails_with_the_text_of_validate(world, run: Pytest) -> None:
    spec = world.spec(GOOD.replace('use = "power"', 'use = "pwoer"'), "specs/study.toml")
    result = run("specs", "--specs-run")
    result.assert_outcomes(failed=1)
    assert world.cli("validate", spec).err.splitlines()[0] in result.outlines
    world.spec("[probes", "specs/study.toml")
    run("specs").assert_outcomes(failed=1)


def test_with_specs_run_everything_is_run_and_views_are_placed(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    run("specs", "--specs-run", "-W", "error").assert_outcomes(passed=5)
    assert (world.artifacts / "study" / "page.txt").is_file()
    assert (world.artifacts / "study" / "run.json").is_file()
    run("specs").assert_outcomes(passed=4)


def test_a_node_that_fails_is_shown_with_its_traceback(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    result = run("specs", "--specs-run", "--specs-profile", "strange")
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines([
        "*failed after * s: ValueError: exponent 13 brings bad luck; take another",
        "*Traceback (most recent call last):",
    ])  # fmt: skip
    assert "traceback and log:" not in result.stdout.str()


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
    result.stdout.fnmatch_lines(["hypothesis large[[]slope=2[]]*refuted*"])


def test_a_hypothesis_whose_requirement_failed_is_skipped(world, run: Pytest) -> None:
    world.spec(FALSE + '[hypotheses.both]\nrequires = ["positive"]\ntable = "@power"\n'
               'check = "all(power > 0)"\n', "specs/study.toml")  # fmt: skip
    result = run("specs", "--specs-run", "-rs", "-k", "both")
    result.assert_outcomes(skipped=1, deselected=5)
    result.stdout.fnmatch_lines(["SKIPPED*hypothesis both: not run"])


def test_only_what_a_selected_item_needs_is_computed(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    run("specs", "--specs-run", "-k", "valid").assert_outcomes(passed=1, deselected=4)
    assert world.calls() == []
    run("specs/study.toml::large[slope=2]", "--specs-run").assert_outcomes(passed=1)
    assert sorted(world.calls()) == ["points 2 0", "power of 1"]


def test_workers_of_xdist_share_the_store(world, run: Pytest) -> None:
    world.spec(GOOD, "specs/study.toml")
    world.spec(FALSE, "specs/other.toml")
    result = run("specs", "--specs-run", "-n", "2")
    result.assert_outcomes(passed=9, failed=1)
    assert len([call for call in world.calls() if call.startswith("points")]) == 2


def test_pytest_imports_nothing_of_runner_until_a_spec_is_asked_for(world) -> None:
    world.spec("def test_own():\n    pass\n", "test_own.py")
    code = (
        "import sys, pytest\npytest.main(['-q', '-p', 'no:cacheprovider'])\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in {heavy}))"
    ).replace("{heavy}", "('runner', 'pydantic', 'click', 'torch', 'numpy', 'pandas')")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=world.folder, env=world.env(), check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "runner runner.pytest_plugin"


def test_judging_a_spec_imports_nothing_heavy(world) -> None:
    world.spec(GOOD, "specs/study.toml")
    code = (
        "import sys, pytest\npytest.main(['-q', '-p', 'no:cacheprovider', 'specs'])\n"
        "print('LOADED', *(m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=world.folder, env=world.env(), check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "LOADED"
