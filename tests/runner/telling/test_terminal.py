"""What a run shows: plain lines where nobody watches, bars on a terminal, silence when asked."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runner.computing.parcels import Group
from runner.running.outcome import CACHED, FAILED, PASSED, Result
from runner.telling import terminal
from runner.telling.terminal import Bars, Lines, Silent, read_progress, watcher

SPEC = """
title = "t"
[axes]
k = [1, 2]
[probes.value]
use = "value"
k = "$k"
[renderers.page]
use = "page"
table = "@value"
path = "p.txt"
"""


@pytest.fixture
def plan(shared_world: Any) -> Any:
    return shared_world.plan(SPEC)


def node(plan: Any, label: str) -> Any:
    return next(n for n in plan.nodes() if n.label == label)


def test_a_step_gets_its_line_when_its_last_node_has_ended(
    plan: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(plan, verbose=False)
    lines.result(Result(node(plan, "value[k=1]"), PASSED, 1.5))
    assert capsys.readouterr().out == ""
    lines.result(Result(node(plan, "value[k=2]"), FAILED, 0.5))
    assert capsys.readouterr().out == "value: 1 passed, 1 failed (2.0 s of work)\n"
    lines.result(Result(node(plan, "page"), CACHED))
    assert capsys.readouterr().out == "page: 1 cached\n"


def test_verbose_tells_of_every_node_that_ran(
    plan: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(plan, verbose=True)
    lines.result(Result(node(plan, "value[k=1]"), PASSED, 1.5))
    lines.result(Result(node(plan, "page"), CACHED))
    assert capsys.readouterr().out.splitlines() == ["value[k=1]: passed (1.50 s)", "page: 1 cached"]


def test_a_long_silence_is_broken_by_what_is_running(
    plan: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Lines(plan, verbose=False)
    report = {"label": "value[k=1]", "done": 3.0, "total": 9.0, "unit": "steps"}
    (tmp_path / "1.json").write_text(json.dumps(report), "utf-8")
    running = {"0": Group("value", (node(plan, "value[k=1]"),), False, 1)}
    lines.tick(running, tmp_path, {})
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(terminal, "HEARTBEAT", -1.0)
    lines.tick(running, tmp_path, {})
    assert capsys.readouterr().out == "  running: value 0/2; value[k=1] 3/9 steps\n"


def test_that_another_run_is_waited_for_is_told_at_once_and_then_at_times(
    plan: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines = Lines(plan, verbose=False)
    waiting = {"process 17 on host": 3, "process 18 on host": 1}
    lines.tick({}, tmp_path, waiting)
    assert capsys.readouterr().out == ""
    now += terminal.PATIENCE + 0.1
    told = "  waiting for process 17 on host (3 nodes)\n  waiting for process 18 on host (1 node)\n"
    lines.tick({}, tmp_path, waiting)
    assert capsys.readouterr().out == told
    now += terminal.HEARTBEAT - 0.1
    lines.tick({}, tmp_path, waiting)
    assert capsys.readouterr().out == ""
    now += 0.2
    lines.tick({}, tmp_path, waiting)
    assert capsys.readouterr().out == told


def test_bars_show_which_runs_are_waited_for(plan: Any, tmp_path: Path) -> None:
    bars = Bars(plan, verbose=False)
    try:
        for count in (3, 2):
            bars.tick({}, tmp_path, {"process 17 on host": count})
            shown = [task.description for task in bars.bars.tasks]
            assert shown == [f"waiting for process 17 on host ({count} nodes)"]
        bars.tick({}, tmp_path, {})
        assert bars.bars.tasks == []
    finally:
        bars.close()


def test_old_and_damaged_progress_is_left_out(tmp_path: Path) -> None:
    report = {"label": "a", "done": 1, "total": 2, "unit": "steps"}
    (tmp_path / "1.json").write_text(json.dumps(report), "utf-8")
    (tmp_path / "2.json").write_text("{", "utf-8")
    (tmp_path / "3.json").write_text(json.dumps(report), "utf-8")
    long_ago = time.time() - 60
    os.utime(tmp_path / "3.json", (long_ago, long_ago))
    assert read_progress(tmp_path) == [report]
    assert read_progress(tmp_path / "none") == []


def test_quiet_is_silent_and_a_pipe_gets_lines(plan: Any) -> None:
    assert isinstance(watcher(plan, quiet=True, verbose=False), Silent)
    assert isinstance(watcher(plan, quiet=False, verbose=False), Lines)


def test_bars_follow_steps_and_long_nodes(plan: Any, tmp_path: Path) -> None:
    bars = Bars(plan, verbose=True)
    try:
        running = {"0": Group("value", (node(plan, "value[k=1]"),), False, 1)}
        report = {"label": "value[k=1]", "done": 3.0, "total": 9.0, "unit": "steps"}
        (tmp_path / "1.json").write_text(json.dumps(report), "utf-8")
        bars.tick(running, tmp_path, {})
        assert {t.description.strip() for t in bars.bars.tasks} == {"value", "value[k=1]"}
        bars.result(Result(node(plan, "value[k=1]"), PASSED, 1.0))
        bars.result(Result(node(plan, "value[k=2]"), PASSED, 1.0))
        (tmp_path / "1.json").unlink()
        bars.tick({}, tmp_path, {})
        assert bars.bars.tasks == []
    finally:
        bars.close()


def test_quiet_runs_say_how_it_ended_and_no_more(world: Any) -> None:
    done = world.cli("run", world.spec(SPEC), "-n", 1, "-q")
    assert done.out.startswith("3 passed in ")
    assert len(done.out.splitlines()) == 1
    done = world.cli("run", world.spec(SPEC.replace("value", "fails")), "-n", 1, "-q")
    assert done.code == 0


def test_a_terminal_sees_every_line_of_a_run(world: Any) -> None:
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "run", str(world.spec(SPEC)), "-n", "1"],
        cwd=world.folder, env=world.env(TERM="xterm", COLUMNS="100"), stdout=other, stderr=other,
    )  # fmt: skip
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # how Linux tells that the other end was closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait() == 0
    text = shown.decode()
    assert "value: 2 passed" in text
    assert "page: 1 passed" in text
    assert "3 passed in" in text
    assert "Traceback" not in text
