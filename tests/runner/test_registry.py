"""The registry: names without imports, one class a file, packages of other distributions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.errors import PluginError, UsageError
from runner.language.spec import load
from runner.planning.identity import assign
from runner.planning.planner import check
from runner.registry import Registry, Root, find_project, project_roots, use_of

PROBE = '''
"""Counts."""
from outside_{n}.numbers import START
from runner import Probe, Table


class Count(Probe):
    """Count. Reads: nothing. Raises: nothing. Source: none."""

    def run(self) -> Table:
        return Table({{"n": [START]}})
'''


def package(folder: Path, name: str, text: str, file: str) -> Path:
    target = folder / name / file
    target.parent.mkdir(parents=True, exist_ok=True)
    for parent in [target.parent, *target.parent.parents]:
        if parent == folder:
            break
        (parent / "__init__.py").touch()
    target.write_text(text, "utf-8")
    return target


def test_listing_names_imports_nothing(tmp_path: Path) -> None:
    package(tmp_path, "broken_pkg", "raise SystemExit", "probes/bad.py")
    registry = Registry([Root("broken_pkg", tmp_path / "broken_pkg")])
    assert "bad" in registry.names("probes")
    assert not any(name.startswith("broken_pkg") for name in sys.modules)


def test_a_project_is_the_nearest_folder_with_a_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", "utf-8")
    inner = tmp_path / "specs" / "deep"
    inner.mkdir(parents=True)
    assert find_project(inner / "a.toml") == tmp_path
    assert project_roots(tmp_path) == []


def test_a_plugin_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = '[tool.runner]\nplugins = ["no_such"]\n'
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match="no_such"):
        project_roots(tmp_path)


def test_a_file_holds_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package(tmp_path, "empty_pkg", '"""Nothing."""', "probes/none.py")
    with pytest.raises(PluginError, match="exactly one Probe"):
        Registry([Root("empty_pkg", tmp_path / "empty_pkg")]).load("probes", "none")


def test_the_code_of_a_plugin_from_another_distribution_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = PROBE.format(n=1)
    package(tmp_path, "outside_1", text, "plugs/probes/count.py")
    numbers = package(tmp_path, "outside_1", "START = 1\n", "numbers.py")
    spec = tmp_path / "study.toml"
    spec.write_text('[probes.count]\nuse = "count"\n', "utf-8")

    def key() -> str:
        registry = Registry([])
        registry.__dict__["_outside"] = [Root("outside_1.plugs", tmp_path / "outside_1" / "plugs")]
        assert use_of(registry.load("probes", "count")) == "count"
        plan = check(load(spec), registry)
        assign(plan, registry)
        return next(plan.nodes()).key

    before = key()
    numbers.write_text("START = 2\n", "utf-8")
    assert key() != before
