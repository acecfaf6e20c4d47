"""kill -9 at any moment costs what was in flight, and nothing else, ever."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runner.records import entries_of
from runner.store import Store

HEAD = '''"""A plugin of a test."""
from __future__ import annotations
import os, time
from collections.abc import Iterator, Sequence
from typing import ClassVar
from pydantic import Field
from runner.plugin import Probe
from runner.types import Arrays, Circumstance, Seed, Table
from ..maths.tally import note
'''
PLUGINS = {
    "probes/fit": HEAD
    + '''
class Fit(Probe):
    """Goes on from its scratch folder, as a trainer does."""

    def run(self, seed: Seed, here: Circumstance) -> Arrays:
        import numpy as np
        file = here.scratch / "state.txt"
        step, total = file.read_text().split() if file.exists() else ("0", "0.0")
        step, total = int(step), float(total)
        note(f"{os.getpid()} fit from {step}")
        while step < 20:
            time.sleep(0.01)
            total = total / 3 + float(seed.numpy("noise", step).normal())
            step += 1
            if step % 4 == 0:
                aside = here.scratch / "aside.txt"
                aside.write_text(f"{step} {total!r}")
                aside.replace(file)
                note(f"{os.getpid()} fit saved {step}")
        return Arrays({"x": total + np.arange(3000.0)}, {"x": ("i",)})
''',
    "probes/many": HEAD
    + '''
class Many(Probe):
    """Several at once."""
    varies = ("k",)
    columns: ClassVar[dict[str, str]] = {"i": "row", "v": "a number"}
    k: int = Field(0, description="which")

    def batch_size(self) -> int:
        return 3

    def run(self, arrays: Arrays, seed: Seed) -> Table:
        return next(self.run_batch([self], arrays, seed))

    @classmethod
    def run_batch(cls, nodes: Sequence[Many], arrays: Arrays, seed: Seed) -> Iterator[Table]:
        for node in nodes:
            note(f"{os.getpid()} many {node.k}")
            time.sleep(0.02)
            x = arrays["x"][:300] * node.k + seed.numpy("many").normal(size=300)
            yield Table({"i": list(range(300)), "v": x})
''',
    "probes/one": HEAD
    + '''
class One(Probe):
    """One alone."""
    columns: ClassVar[dict[str, str]] = {"sum": "sum of v"}

    def run(self, table: Table) -> Table:
        note(f"{os.getpid()} one {float(table.columns['v'][0])!r}")
        time.sleep(0.02)
        return Table({"sum": [float(sum(table.columns["v"]))]})
''',
}
SPEC = """
title = "t"
seed = 3
[axes]
k = [1, 2, 3, 4, 5, 6, 7]
[probes.fit]
use = "fit"
[probes.many]
use = "many"
arrays = "@fit"
k = "$k"
[probes.one]
use = "one"
table = "@many"
[renderers.page]
use = "page"
table = "@one"
path = "p.txt"
[expect.finite]
table = "@one"
check = "max(abs(sum)) < 1e9"
"""


KEPT_EMPTY = ("aside", "alive", "claims", "progress", "scratch")


@pytest.fixture
def study(world: Any) -> Any:
    for name, source in PLUGINS.items():
        world.plugin(name, source)
    world.spec(SPEC)
    return world


def begun(world: Any, artifacts: str, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "run", "study.toml", "-n", str(workers),
         "--artifacts", artifacts],
        cwd=world.folder, env=world.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def contents(world: Any, artifacts: str) -> dict[str, Any]:
    """Return what each node gave, by label: key, outputs and digests; and the view's bytes."""
    store = Store(world.folder / artifacts / ".store")
    store.refresh()
    assert store.damaged == []
    found: dict[str, Any] = {
        r["label"]: [r["key"], r["outputs"], r["objects"]] for r in store.records.values()
    }
    for record in store.records.values():
        for digest in record["objects"]:
            store.read(digest)
    view = world.folder / artifacts / "study" / "p.txt"
    found["view"] = view.read_bytes() if view.exists() else None
    return found


def left_over(world: Any, artifacts: str) -> list[str]:
    folder = world.folder / artifacts / ".store"
    asides = [p for name in KEPT_EMPTY for p in (folder / name).glob("*")]
    views = list((world.folder / artifacts / "study").glob(".*"))
    return [str(p.relative_to(folder.parent)) for p in [*asides, *views]]


def finished(world: Any, artifacts: str) -> Counter[str]:
    """Return how often each node was stored, over all logs and torn lines left out."""
    times: Counter[str] = Counter()
    for log in (world.folder / artifacts / ".store" / "records").glob("*.jsonl"):
        for line in log.read_bytes().split(b"\n")[:-1]:
            for _, (_, rest) in entries_of(line) or []:
                times[json.loads(rest.split(b" ", 3)[3])["label"]] += 1
    return times


def kill_and_finish(world: Any, moment: float, workers: int, worker_only: bool, n: str) -> None:
    """Kill a run (or a worker of it) `moment` seconds after its first node began; then finish."""
    calls = world.folder / "calls.txt"
    calls.unlink(missing_ok=True)
    process = begun(world, n, workers)
    deadline = time.monotonic() + 30
    while not calls.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(moment)
    if worker_only:
        pids = {int(line.split()[0]) for line in calls.read_text("utf-8").splitlines()
                if line.split()[0].isdigit()} - {process.pid}  # fmt: skip
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            break
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    else:
        process.kill()
        process.communicate()
        wait_for_death(calls)
    stored = finished(world, n)
    before = calls.read_text("utf-8").splitlines()
    finish(world, n)
    noted = calls.read_text("utf-8").splitlines()[len(before) :]
    assert not computed_again(noted, stored)
    check_resumed(before, noted, stored)
    assert left_over(world, n) == []


def wait_for_death(calls: Path) -> None:
    """Wait until the workers of a killed run, who noted their ids, are gone."""
    words = {line.split()[0] for line in calls.read_text("utf-8").splitlines()}
    pids = [word for word in words if word.isdigit()]
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.005)


def finish(world: Any, artifacts: str) -> None:
    """Run the study to its end, in this process: that is quicker."""
    done = world.cli("run", "study.toml", "-n", 1, "--artifacts", artifacts)
    assert done.code == 0, done.out + done.err
    assert "damaged" not in done.err


def computed_again(noted: list[str], stored: Counter[str]) -> list[str]:
    """Return the calls of the second run for nodes that the first one had stored."""
    labels = {f"many[k={k}]" for k in range(1, 8)} & set(stored)
    done = {re.sub(r"many\[k=(\d)\]", r"many \1", label) for label in labels}
    if "fit" in stored:
        done.add("fit from")
    if "page" in stored:
        done.add("page p.txt")
    return [line for line in noted if any(word in line for word in done)]


def check_resumed(before: list[str], noted: list[str], stored: Counter[str]) -> None:
    """A trainer that was killed goes on where it last saved itself."""
    if "fit" in stored:
        return
    saved = [int(line.split()[-1]) for line in before if "fit saved" in line]
    (start,) = [int(line.split()[-1]) for line in noted if "fit from" in line]
    # The note follows the file: one more may have been saved than was noted.
    assert start in {max(saved, default=0), max(saved, default=0) + 4}


@pytest.fixture
def undisturbed(study: Any) -> dict[str, Any]:
    finish(study, "calm")
    assert left_over(study, "calm") == []
    return contents(study, "calm")


def points(count: int, seed: int) -> list[tuple[float, int, bool]]:
    """Return moments over the whole of a run, workers, and whether a worker alone is killed."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        moment = 0.9 * (number + draw.random()) / count
        found.append((moment, 1, False) if number % 3 else (moment, 2, number % 2 == 1))
    return found


def rounds(study: Any, calm: dict[str, Any], cases: list[tuple[float, int, bool]]) -> None:
    for number, (moment, workers, worker_only) in enumerate(cases):
        name = f"round{number}"
        kill_and_finish(study, moment, workers, worker_only, name)
        assert contents(study, name) == calm, (moment, workers, worker_only)
        assert set(finished(study, name)) == set(calm) - {"view"}
        assert max(finished(study, name).values()) == 1, (moment, workers, worker_only)


def test_a_run_killed_at_any_moment_goes_on_and_ends_as_if_undisturbed(
    study: Any, undisturbed: dict[str, Any]
) -> None:
    rounds(study, undisturbed, points(12, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_run_killed_at_ten_more_moments(
    study: Any, undisturbed: dict[str, Any], seed: int
) -> None:
    rounds(study, undisturbed, points(10, seed=seed))


def test_a_run_killed_again_and_again_arrives(study: Any, undisturbed: dict[str, Any]) -> None:
    draw = random.Random(5)
    calls = Path(study.folder / "calls.txt")
    kills = 0
    for attempt in range(40):
        count = len(calls.read_text("utf-8").splitlines())
        process = begun(study, "stubborn", 1)
        deadline = time.monotonic() + 30
        while (
            process.poll() is None
            and len(calls.read_text("utf-8").splitlines()) == count
            and time.monotonic() < deadline
        ):
            time.sleep(0.002)
        try:
            process.wait(timeout=0.3 * (attempt + 1) * draw.random())
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert kills >= 1
    assert contents(study, "stubborn") == undisturbed
    assert max(finished(study, "stubborn").values()) == 1
    assert left_over(study, "stubborn") == []


def test_two_runs_at_once_share_no_scratch_and_compute_a_node_once(
    study: Any, undisturbed: dict[str, Any]
) -> None:
    calls = Path(study.folder / "calls.txt")
    before = len(calls.read_text("utf-8").splitlines())
    runs = [begun(study, "both", 1) for _ in range(2)]
    for process in runs:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    noted = calls.read_text("utf-8").splitlines()[before:]
    assert [line.split()[1:] for line in noted].count(["fit", "from", "0"]) == 1
    assert sum("fit from" in line for line in noted) == 1
    assert contents(study, "both") == undisturbed
    assert max(finished(study, "both").values()) == 1
    assert left_over(study, "both") == []
