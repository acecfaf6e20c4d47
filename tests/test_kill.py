"""kill -9 at any moment costs what was in flight, and nothing else, ever."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.storage.records import entries_of
from runner.storage.store import Store

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


KILL_AT = Path(__file__).parent / "worlds" / "kill_at.py"
KEPT_EMPTY = ("aside", "alive", "claims", "progress", "scratch")


@pytest.fixture
def study(world: Any) -> Any:
    for name, source in PLUGINS.items():
        world.plugin(name, source)
    world.spec(SPEC)
    return world


def killed(
    world: Any, points: Sequence[float], who: str = "run", workers: int = 1, start: str = ""
) -> list[dict[str, Any]]:
    """Run the study once for each point, killed there, then to its end; see `kill_at`."""
    order = {
        "who": who,
        "workers": workers,
        "points": list(points),
        "start": start,
        "name": "round",
    }
    done = subprocess.run(
        [sys.executable, KILL_AT, json.dumps(order)], cwd=world.folder, text=True,
        env=world.env(), capture_output=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


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
    for log in (world.folder / artifacts / ".store" / "records").glob("*.log"):
        for line in log.read_bytes().split(b"\n")[:-1]:
            for _, (_, rest) in entries_of(line) or []:
                times[json.loads(rest.split(b" ", 3)[3])["label"]] += 1
    return times


def check(world: Any, told: dict[str, Any], calm: dict[str, Any], code: int) -> None:
    """What was killed and finished is as if undisturbed, and nothing was computed in vain."""
    name = told["name"]
    assert (told["killed"], told["finished"]) == (code, 0), texts(world, name)
    assert contents(world, name) == calm, told
    assert left_over(world, name) == [], told
    times = finished(world, name)
    assert set(times) == set(calm) - {"view"}, told
    assert max(times.values()) == 1, told
    before, noted = (lines_of(world, f"{name}-{part}.txt") for part in ("first", "then"))
    stored = finished(world, f"{name}-killed")
    assert not computed_again(noted, stored), told
    check_resumed(before, noted, stored)


def lines_of(world: Any, name: str) -> list[str]:
    return list((world.folder / name).read_text("utf-8").splitlines())


def texts(world: Any, name: str) -> str:
    return "\n".join(p.read_text("utf-8") for p in world.folder.glob(f"{name}-*.out"))


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


@pytest.fixture
def brisk(study: Any) -> Any:
    """Return the study without the time it takes: its calls are what is killed at."""
    for name, source in PLUGINS.items():
        study.plugin(name, re.sub(r"time\.sleep\(.*\)", "pass", source))
    return study


@pytest.fixture
def armed(brisk: Any) -> Any:
    """Return the study whose workers kill themselves when they are told to."""
    text = "import sys\nsys.path.append({!r})\nfrom kill_at import arm_worker\narm_worker()\n"
    tally = brisk.plugins / "maths" / "tally.py"
    brisk.plugin("maths/tally", tally.read_text("utf-8") + text.format(str(KILL_AT.parent)))
    return brisk


def rounds(world: Any, calm: dict[str, Any], told: list[dict[str, Any]], most: int = 0) -> int:
    """Check each round; return how many were killed. Beyond `most` calls a run has ended."""
    kills = 0
    for one in told:
        ended = one["killed"] == 0 and (not most or one["point"] > most)
        check(world, one, calm, 0 if ended else -signal.SIGKILL)
        kills += not ended
    return kills


# -- at any change of a file -----------------------------------------------------------------------

CALLS = 230  # of a run of the study with one worker, more or less


def test_a_run_killed_at_a_change_of_a_file_goes_on_and_ends_as_if_undisturbed(
    brisk: Any,
) -> None:
    finish(brisk, "calm")
    calm = contents(brisk, "calm")
    told = killed(brisk, [0, *range(5, CALLS, 37)])
    assert abs(int(lines_of(brisk, "round0-first.count")[0]) - CALLS) < 20
    check(brisk, told[0], calm, 0)
    assert rounds(brisk, calm, told[1:], CALLS - 12) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_run_killed_at_every_change_of_a_file(brisk: Any, part: int) -> None:
    finish(brisk, "calm")
    told = killed(brisk, list(range(1 + part, CALLS + 12, 4)))
    assert rounds(brisk, contents(brisk, "calm"), told, CALLS - 12) >= 48


@pytest.mark.slow
@pytest.mark.parametrize("who", ["run", "group"])
def test_a_run_with_workers_killed_at_a_change_of_a_file(brisk: Any, who: str) -> None:
    finish(brisk, "calm")
    told = killed(brisk, list(range(1, 60, 3)), who, 2)
    assert rounds(brisk, contents(brisk, "calm"), told, 1) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_a_worker_killed_at_a_change_of_a_file_is_made_up_for(armed: Any, part: int) -> None:
    finish(armed, "calm")
    calm = contents(armed, "calm")
    told = killed(armed, list(range(1 + part, 130, 6)), "worker", 2)
    for one in told:
        check(armed, one, calm, 0)
    assert sum((armed.folder / f"{one['name']}-once").exists() for one in told) >= 15


@pytest.mark.slow
def test_a_run_killed_while_it_takes_over_equal_results(brisk: Any) -> None:
    """Other code that comes to the same: nodes are adopted, in lines of many nodes at once."""
    finish(brisk, "old")
    old = contents(brisk, "old")
    brisk.edit("probes/fit", 'step, total = int(step), float(total)',
               'step, total = int(step), 1 * float(total)')  # fmt: skip
    shutil.copytree(brisk.folder / "old", brisk.folder / "calm")
    finish(brisk, "calm")
    calm = contents(brisk, "calm")
    assert {label: entry[1:] for label, entry in calm.items() if label != "view"} == {
        label: entry[1:] for label, entry in old.items() if label != "view"
    }
    told = killed(brisk, list(range(1, 70)), start="old")
    kills = 0
    for one in told:
        assert one["finished"] == 0
        assert contents(brisk, one["name"]) == calm
        assert left_over(brisk, one["name"]) == []
        noted = [lines_of(brisk, f"{one['name']}-{part}.txt") for part in ("first", "then")]
        assert not any(
            word in line for lines in noted for line in lines for word in ("many", "one")
        )
        kills += one["killed"] != 0
    assert kills >= 40


# -- a change of a file that fails, or is interrupted ----------------------------------------------


def failing(world: Any, how: str, points: Sequence[int]) -> None:
    """Let one call of each run fail; what is told is no traceback, and the next run mends it."""
    finish(world, "calm")
    calm = contents(world, "calm")
    for told in killed(world, points, how):
        said = texts(world, told["name"])
        assert "Traceback" not in said, (told, said)
        assert told["killed"] in ((130, 0) if how == "interrupt" else (0, 1)), (told, said)
        if how == "ENOSPC" and told["killed"]:
            assert "free some space" in said, (told, said)
        check(world, told, calm, told["killed"])


@pytest.mark.parametrize("how", ["ENOSPC", "interrupt"])
def test_a_change_of_a_file_that_fails_is_told_and_the_next_run_goes_on(
    brisk: Any, how: str
) -> None:
    failing(brisk, how, [20, 200])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS", "interrupt"])
@pytest.mark.parametrize("part", range(2))
def test_any_change_of_a_file_may_fail(brisk: Any, how: str, part: int) -> None:
    failing(brisk, how, range(1 + part, CALLS + 12, 4))


# -- at any moment ---------------------------------------------------------------------------------


def moments(count: int, seed: int, whole: float) -> list[float]:
    """Return moments spread over the seconds that a run takes."""
    draw = random.Random(seed)
    return [whole * (number + draw.random()) / count for number in range(count)]


@pytest.mark.parametrize(("who", "workers"), [("group", 1), ("worker", 2)])
def test_a_run_killed_at_any_moment_goes_on_and_ends_as_if_undisturbed(
    study: Any, undisturbed: dict[str, Any], who: str, workers: int
) -> None:
    told = killed(study, moments(1, 1, 0.5), who, workers)
    for one in told:
        check(study, one, undisturbed, 0 if who == "worker" or not one["killed"] else -9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("case", ["run 1 20", "run 2 10", "group 2 10", "worker 2 10"])
def test_a_run_killed_at_many_moments(
    study: Any, undisturbed: dict[str, Any], case: str, seed: int
) -> None:
    who, workers, count = (int(word) if word.isdigit() else word for word in case.split())
    told = killed(study, moments(count, seed, 0.7), who, workers)
    for one in told:
        check(study, one, undisturbed, 0 if who == "worker" or not one["killed"] else -9)
    assert who == "worker" or sum(one["killed"] != 0 for one in told) > count // 2


@pytest.mark.slow
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
