"""What a Dask worker refuses: other Pythons, other code, stores it does not see."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.computing import dask_worker
from runner.computing.dask_worker import Passport, admit, modules_of
from runner.computing.executors import PoolError
from runner.computing.work import Fresh, Gathered, Stored, Work
from runner.planning.code import CodeReader
from runner.registry import Registry, Root


@pytest.fixture
def passport(tmp_path: Path) -> Passport:
    seen = tmp_path / "seen"
    seen.write_text("token", "utf-8")
    return Passport("a run", str(seen), "token", (), (), patience=0.0)


@pytest.fixture(autouse=True)
def nothing_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_worker, "_admitted", set())
    monkeypatch.setattr(dask_worker, "_checked", set())
    monkeypatch.setattr(sys, "path", list(sys.path))


def wrong(passport: Passport, **other: Any) -> str:
    before = signal.getsignal(signal.SIGINT)
    try:
        return asyncio.run(admit(dataclasses.replace(passport, **other))).wrong
    finally:  # a worker of the runner's own leaves Ctrl-C to it; this process does not
        signal.signal(signal.SIGINT, before)


def test_a_worker_that_agrees_is_admitted_and_tells_its_libraries(passport: Passport) -> None:
    answer = asyncio.run(admit(passport))
    assert answer.wrong == ""
    assert "numpy" in answer.libraries
    assert dask_worker._admitted == {"a run"}
    assert sorted(p.name for p in Path(passport.seen).parent.iterdir()) == ["seen"]


def test_another_python_or_another_runner_is_refused(passport: Passport) -> None:
    assert "the runner 2.7; start it from the same" in wrong(passport, python=(2, 7))
    assert "restart it" in wrong(passport, engine="other")
    assert wrong(passport, engine="other", own=True) == ""  # it was started from the same files
    assert dask_worker._admitted == {"a run"}


def test_another_store_is_refused(passport: Passport, tmp_path: Path) -> None:
    assert "does not see the store" in wrong(passport, seen=str(tmp_path / "not there"))
    assert "sees another store" in wrong(passport, words="others")
    assert dask_worker._admitted == set()


def test_a_parcel_of_a_run_that_was_not_admitted_is_sent_back() -> None:
    with pytest.raises(dask_worker.NotAdmitted):
        dask_worker.compute_there(b"", "a run")


def test_other_plugin_code_ends_the_run_and_names_the_file(tmp_path: Path) -> None:
    package = tmp_path / "far_plugins"
    package.mkdir()
    (package / "__init__.py").write_text("", "utf-8")
    (package / "one.py").write_text("x = 1\n", "utf-8")
    registry = Registry([Root("far_plugins", package)])
    planned = CodeReader({"far_plugins": package}).reach("far_plugins.one")
    code = {"far_plugins.one": planned}
    dask_worker._check_code(registry, code, "run 1")
    (package / "one.py").write_text("x = 1  # the same\n", "utf-8")
    dask_worker._check_code(registry, code, "run 2")
    (package / "one.py").write_text("x = 2\n", "utf-8")
    dask_worker._check_code(registry, code, "run 1")  # looked at, and loaded, before the edit
    with pytest.raises(PoolError, match=r"other code than .*: far_plugins/one\.py \(another"):
        dask_worker._check_code(registry, code, "run 3")


def test_the_code_of_what_is_made_on_the_way_counts_too() -> None:
    class Above:
        __module__ = "plugins.perturbations.above"

    class Below:
        __module__ = "plugins.probes.below"

    def work(plugin: Any, **ports: Any) -> Work:
        return Work("label", "key", "recipe", plugin, ports, None, {})

    fresh = Fresh(work(Above()))
    stored = Stored("key", {})
    gathered = Gathered((("step", (), (((), fresh), ((), stored))),), {}, {})
    assert modules_of([work(Below(), table=gathered)]) == {Above.__module__, Below.__module__}
    assert modules_of([work(Below(), table=stored)]) == {Below.__module__}
