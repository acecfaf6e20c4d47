"""Runs at once on one store compute each node once, all of them end, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runner.storage.records import entries_of
from runner.storage.store import Store

PROBE = '''"""A probe of a test."""
from __future__ import annotations
import os, time
from collections.abc import Iterator, Sequence
from typing import ClassVar
from pydantic import Field
from runner.plugin import Probe
from runner.types import Table
from ..maths.tally import note


class Slow(Probe):
    """Takes its time, alone or with others."""
    varies = ("k",)
    columns: ClassVar[dict[str, str]] = {"v": "a number"}
    k: int = Field(1, description="which")
    seconds: float = Field(0.0, description="how long it takes")
    size: int = Field(1, description="nodes in a batch")
    wrong: int = Field(0, description="the k that fails")

    def batch_size(self) -> int:
        return self.size

    def run(self) -> Table:
        return next(self.run_batch([self]))

    @classmethod
    def run_batch(cls, nodes: Sequence[Slow]) -> Iterator[Table]:
        for node in nodes:
            note(f"slow {node.k} by {os.getpid()}")
            time.sleep(node.seconds)
            if node.k == node.wrong:
                raise ValueError("wrong")
            note(f"done {node.k}")
            yield Table({"v": [1.0 / node.k]})
'''
SPEC = """
title = "t"
[axes]
k = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
[probes.slow]
use = "slow"
k = "$k"
size = 4
seconds = 0.05
[probes.value]
use = "value"
k = "$k"
[renderers.page]
use = "page"
table = "@slow"
path = "p.txt"
[expect.small]
table = "@slow"
check = "max(v) < 2"
"""
NODES = 26


@pytest.fixture
def study(world: Any) -> Any:
    world.plugin("probes/slow", PROBE)
    world.spec(SPEC)
    return world


def begun(world: Any, workers: int = 1, spec: str = "study.toml", first: str = "") -> Any:
    """Begin a run in a process and a group of its own; `first` is done before, in Python."""
    code = f"{first}\nfrom runner.__main__ import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", spec, "-n", str(workers)],
        cwd=world.folder, env=world.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def ended(process: Any, code: int = 0) -> Counter[str]:
    """Return how many nodes came to what in a run, as its last line tells."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    found = re.findall(r"(\d+) (passed|cached|failed|blocked|not run)", out.splitlines()[-1])
    return Counter({word: int(number) for number, word in found})


def wait_for(world: Any, text: str) -> None:
    """Wait until a plugin has noted something."""
    calls = world.folder / "calls.txt"
    deadline = time.monotonic() + 30
    while not (calls.exists() and text in calls.read_text("utf-8")):
        assert time.monotonic() < deadline, f"never saw {text!r}"
        time.sleep(0.01)


def check_store(world: Any, nodes: int) -> None:
    """Each node is stored once, in whole, and nothing is left over."""
    times: Counter[str] = Counter()
    store = Store(world.artifacts / ".store")
    for log in store.logs.folder.glob("*.log"):
        for line in log.read_bytes().splitlines():
            times.update(key for key, _ in entries_of(line) or [])
    assert len(times) == nodes
    assert set(times.values()) == {1}
    store.refresh()
    assert all(store.has(key) for key in times)
    assert store.damaged == []
    for name in ("aside", "alive", "claims", "progress", "scratch"):
        assert list((store.folder / name).glob("*")) == []


def slow_calls(world: Any) -> Counter[str]:
    """Return how often each k was begun."""
    return Counter(line.split()[1] for line in world.calls() if line.startswith("slow"))


@pytest.mark.parametrize(
    "workers",
    [
        (1, 1),
        (2, 1),
        pytest.param((2, 2), marks=pytest.mark.slow),
        pytest.param((1, 1, 1), marks=pytest.mark.slow),
        pytest.param((2, 1, 2), marks=pytest.mark.slow),
    ],
)
def test_runs_at_once_compute_each_node_once_in_all(study: Any, workers: tuple[int, ...]) -> None:
    told = [ended(process) for process in [begun(study, n) for n in workers]]
    assert sum(counts["passed"] for counts in told) == NODES
    assert all(counts["passed"] + counts["cached"] == NODES for counts in told)
    assert set(slow_calls(study).values()) == {1}
    check_store(study, NODES)
    assert (study.artifacts / "study" / "p.txt").read_text("utf-8").count("\n") == 13


def test_specs_that_share_a_part_of_their_batches_compute_it_once(study: Any) -> None:
    """The batches of four are cut elsewhere: each run finds a part of a batch taken."""
    other = SPEC.replace("k = [1, 2, 3, 4, 5,", "k = [15, 14, 13, 3, 4, 5,").replace(
        "p.txt", "q.txt"
    )
    study.spec(other, "other.toml")
    runs = [begun(study, 1), begun(study, 1, "other.toml")]
    told = [ended(process) for process in runs]
    calls = slow_calls(study)
    assert set(calls.values()) == {1}
    assert set(calls) == {str(k) for k in range(1, 16)}
    assert sum(counts["passed"] for counts in told) == 15 + 15 + 2 + 2
    check_store(study, 15 + 15 + 2 + 2)
    assert {p.name for p in study.artifacts.glob("*/?.txt")} == {"p.txt", "q.txt"}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_when_one_of_two_runs_ends_early_the_other_finishes_all(
    study: Any, workers: int, how: str
) -> None:
    study.spec(SPEC.replace("seconds = 0.05", "seconds = 0.2").replace("size = 4", "size = 1"))
    first = begun(study, workers)
    wait_for(study, "slow 1 by")
    second = begun(study, workers)
    wait_for(study, "done 4")
    if how == "kill":
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    else:
        first.send_signal(signal.SIGINT)
        early = ended(first, 130)
        assert early["passed"] >= 1
        assert early["not run"] >= 1
    told = ended(second)
    assert told["passed"] + told["cached"] == NODES
    calls = slow_calls(study)
    assert len(calls) == 12
    assert sum(calls.values()) <= 12 + workers
    check_store(study, NODES)


def test_when_a_node_fails_both_runs_tell_and_the_rest_is_computed_once(study: Any) -> None:
    study.spec(SPEC.replace("size = 4", "size = 4\nwrong = 6"))
    told = [ended(process, 1) for process in [begun(study), begun(study)]]
    for counts in told:
        assert (counts["failed"], counts["blocked"]) == (1, 2)
    assert sum(counts["passed"] for counts in told) == NODES - 3
    check_store(study, NODES - 3)


# -- file systems and machines ---------------------------------------------------------------------

NO_LINKS = """
import errno, os
def link(*names, **options):
    raise OSError(errno.EPERM, "no links here")
os.link = link
"""


def test_without_links_runs_at_once_still_compute_each_node_once(study: Any) -> None:
    runs = [begun(study, first=NO_LINKS), begun(study, first=NO_LINKS)]
    told = [ended(process) for process in runs]
    assert sum(counts["passed"] for counts in told) == NODES
    assert set(slow_calls(study).values()) == {1}
    check_store(study, NODES)


def claim_elsewhere(world: Any, count: int) -> Path:
    """Claim nodes of the study as a run on another machine would; return its sign of life."""
    folder = world.artifacts / ".store"
    for name in ("claims", "alive"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    plan = world.plan(SPEC)
    sign = folder / "alive" / "elsewhere-17-1-abc"
    about = {"host": "elsewhere", "pid": 17, "since": 0}
    sign.write_text(f"{sign.name}\n{json.dumps(about)}\n", "utf-8")
    for node in [n for n in plan.nodes() if n.step == "slow"][:count]:
        (folder / "claims" / node.key).hardlink_to(sign)
    return sign


def test_who_waits_for_another_machine_says_so_and_goes_on_when_it_is_silent(study: Any) -> None:
    """The sign of life beats for a while, then no more."""
    sign = claim_elsewhere(study, 3)
    first = "from runner.storage import claims\nfrom runner.telling import terminal\n"
    first += "claims.SILENCE = 1.5\nterminal.PATIENCE = 0.3\n"
    process = begun(study, first=first)
    try:
        for beat in range(8):
            time.sleep(0.4)
            os.utime(sign, (beat, beat))
            assert process.poll() is None
        assert ended_with(process)["passed"] == NODES
    finally:
        process.kill()
    assert set(slow_calls(study).values()) == {1}
    check_store(study, NODES)


def ended_with(process: Any) -> Counter[str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert out.count("  waiting for process 17 on elsewhere (3 nodes)\n") >= 1
    found = re.findall(r"(\d+) (passed|cached)", out.splitlines()[-1])
    return Counter({word: int(number) for number, word in found})


def test_who_waits_can_be_interrupted(study: Any) -> None:
    claim_elsewhere(study, 3)
    process = begun(study, first="from runner.telling import terminal\nterminal.PATIENCE = 0.1\n")
    line = ""
    while "waiting for" not in line:
        line = process.stdout.readline()
        assert line
    process.send_signal(signal.SIGINT)
    assert ended(process, 130)["not run"] == 5  # three nodes, the page and the expectation
