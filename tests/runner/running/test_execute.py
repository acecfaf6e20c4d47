"""The loop: what fails blocks what needs it, the rest goes on, and a death costs one try."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HEAD = '''"""A plugin of a test."""
from __future__ import annotations
from collections.abc import Iterator, Sequence
from typing import ClassVar
from pydantic import Field
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Circumstance, Table
from ..maths.tally import note
'''
CHAIN = """
title = "t"
[axes]
k = [1, 2, 3]
[probes.fails]
use = "fails"
k = "$k"
at = 2
[probes.average]
use = "average"
table = "@fails"
[probes.whole]
use = "average"
table = "@fails"
over = ["k"]
[renderers.page]
use = "page"
table = "@whole"
path = "p.txt"
[renderers.each]
use = "page"
table = "@average"
path = "{k}.txt"
per = ["k"]
"""


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_blocks_what_needs_it_and_nothing_else(world: Any, workers: int) -> None:
    done = world.run_cli("run", world.spec(CHAIN), "-n", workers)
    assert done.code == 1
    assert world.statuses() == {
        "fails[k=1]": "passed", "fails[k=2]": "failed", "fails[k=3]": "passed",
        "average[k=1]": "passed", "average[k=2]": "blocked", "average[k=3]": "passed",
        "whole": "blocked", "page": "blocked",
        "each[k=1]": "passed", "each[k=2]": "blocked", "each[k=3]": "passed",
    }  # fmt: skip
    assert "fails[k=2] failed after" in done.out
    assert "ValueError: k is 2; choose another" in done.out
    assert "4 nodes wait for what failed" in done.out
    assert "6 passed, 1 failed, 4 blocked in" in done.out
    views = {p.name for p in (world.artifacts / "study").glob("*.txt")}
    assert views == {"1.txt", "3.txt"}


def test_a_failure_is_tried_again_and_never_cached(world: Any) -> None:
    spec = world.spec(CHAIN)
    world.cli("run", spec, "-n", 1)
    world.calls()
    assert world.cli("run", spec, "-n", 1).code == 1
    assert world.calls() == ["fails 2"]
    done = world.cli("run", spec, "-n", 1, "--set", "probes.fails.at=99")
    assert done.code == 0


@pytest.mark.parametrize("flags", [["-x"], ["--maxfail", "1"], ["--maxfail", "2"]])
def test_it_stops_after_as_many_failures_as_it_is_told(world: Any, flags: list[str]) -> None:
    limit = int(flags[-1]) if flags[-1].isdigit() else 1
    text = """
title = "t"
[axes]
k = [1, 2, 3, 4, 5]
[probes.fails]
use = "fails"
k = "$k"
at = "$k"
"""
    done = world.cli("run", world.spec(text), "-n", 1, *flags)
    assert done.code == 1
    assert len(world.calls()) == limit
    found = list(world.statuses().values())
    assert found.count("failed") == limit
    assert found.count("not run") == 5 - limit
    assert f"{limit} failed, {5 - limit} not run" in done.out


def test_no_flag_means_no_limit(world: Any) -> None:
    text = CHAIN.replace("at = 2", 'at = "$k"')
    assert world.cli("run", world.spec(text), "-n", 1).code == 1
    assert sum(call.startswith("fails") for call in world.calls()) == 3


CHECKS = """
title = "t"
[axes]
k = [1, 2, 3]
[probes.value]
use = "value"
k = "$k"
[expect.small]
table = "@value"
check = "max(value) < LIMIT"
[hypotheses.rising]
table = "@value"
check = "min(value) > CLAIM"
requires = ["small"]
"""


def checks(limit: float, claim: float) -> str:
    return CHECKS.replace("LIMIT", str(limit)).replace("CLAIM", str(claim))


def test_an_expectation_that_does_not_hold_fails_the_run_and_is_not_cached(world: Any) -> None:
    spec = world.spec(checks(2.5, 0))
    for _ in range(2):
        done = world.cli("run", spec, "-n", 1)
        assert done.code == 1
        assert "expectation small does not hold\n>     max(value) < 2.5\n" in done.out
        assert "k=3" in done.out
        assert world.statuses()["small"] == "failed"
        assert world.statuses()["rising"] == "not run"
        assert "hypothesis rising: not run" in done.out


@pytest.mark.parametrize(("claim", "word"), [(0, "supported"), (5, "refuted")])
def test_a_hypothesis_is_an_answer_either_way(world: Any, claim: int, word: str) -> None:
    spec = world.spec(checks(9, claim))
    for status in ("passed", "cached"):
        done = world.cli("run", spec, "-n", 1)
        assert done.code == 0
        assert f"hypothesis rising: {word}" in done.out
        assert "expectation small: holds" in done.out
        assert world.statuses()["rising"] == status


def test_a_cached_verdict_does_not_outlive_the_check_that_it_requires(world: Any) -> None:
    assert world.cli("run", world.spec(checks(9, 0)), "-n", 1).code == 0
    done = world.cli("run", world.spec(checks(2, 0)), "-n", 1)
    assert done.code == 1
    assert "hypothesis rising: not run" in done.out
    assert "supported" not in done.out


def test_a_hypothesis_whose_requirement_could_not_be_computed_is_not_run(world: Any) -> None:
    text = """
title = "t"
[probes.fails]
use = "fails"
at = 0
[probes.value]
use = "value"
[expect.fine]
table = "@fails"
check = "value == 0"
[hypotheses.claim]
table = "@value"
check = "value == 0"
requires = ["fine"]
"""
    done = world.cli("run", world.spec(text), "-n", 1)
    assert done.code == 1
    assert world.statuses() == {
        "fails": "failed", "value": "passed", "fine": "blocked", "claim": "not run",
    }  # fmt: skip


# -- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_step_computes_with_the_threads_it_asks_for_whatever_the_workers(
    world: Any, workers: int
) -> None:
    """Also the first one of a process, whose libraries read the number as they load."""
    source = (
        HEAD
        + '''
class Threads(Probe):
    """How many threads."""
    columns: ClassVar[dict[str, str]] = {"torch": "threads", "here": "threads"}
    k: int = Field(0, description="which")
    tag: int = Field(0, description="keeps two steps apart: threads are in no key")

    def run(self, here: Circumstance) -> Table:
        import torch
        return Table({"torch": [torch.get_num_threads()], "here": [here.threads]})
'''
    )
    world.plugin("probes/threads", source)
    text = """
title = "t"
[axes]
k = [1, 2]
[probes.two]
use = "threads"
k = "$k"
tag = 1
resources = { threads = 2 }
[probes.one]
use = "threads"
k = "$k"
[renderers.page]
use = "page"
table = ["@one", "@two"]
path = "p.txt"
"""
    spec = world.spec(text)
    done = world.run_cli("run", spec, "-n", workers)
    assert done.code == 0, done.out + done.err
    page = (world.artifacts / "study" / "p.txt").read_text("utf-8").splitlines()
    names, *rows = (line.split() for line in page[1:])
    for row in rows:
        found = dict(zip(names, row, strict=True))
        assert (found["two_torch"], found["two_here"]) == ("2", "2")
        assert (found["one_torch"], found["one_here"]) == ("1", "1")


# -- killed workers ------------------------------------------------------------------------------

KILLER = (
    HEAD
    + '''
class Killer(Probe):
    """Kills its process the first `times` times."""
    columns: ClassVar[dict[str, str]] = {"value": "k"}
    k: int = Field(0, description="which")
    times: int = Field(0, description="how often it kills")
    sleep: Real = Field(0.0, description="s before it ends")

    def run(self) -> Table:
        import os, time
        from pathlib import Path
        note(f"killer {self.k}")
        marker = Path(os.environ["TINY_CALLS"]).with_name(f"marker{self.k}")
        count = int(marker.read_text()) if marker.exists() else 0
        if count < self.times:
            marker.write_text(str(count + 1))
            time.sleep(0.3)
            os.kill(os.getpid(), 9)
        time.sleep(self.sleep)
        return Table({"value": [self.k]})
'''
)
KILLED = """
title = "t"
[axes]
k = [1, 2, 3, 4]
[probes.calm]
use = "killer"
k = "$k"
sleep = 0.5
[probes.wild]
use = "killer"
k = 9
times = TIMES
[renderers.page]
use = "page"
table = "@calm"
path = "p.txt"
[renderers.wilder]
use = "page"
table = "@wild"
path = "w.txt"
"""


@pytest.mark.parametrize("times", [1, 2])
def test_a_killed_worker_is_replaced_and_its_mates_are_innocent(world: Any, times: int) -> None:
    """Both workers' futures break at once; the one who killed is found by running it alone."""
    world.plugin("probes/killer", KILLER)
    text = KILLED.replace("TIMES", str(times))
    done = world.run_cli("run", world.spec(text), "-n", 2)
    found = world.statuses()
    calm = {label: status for label, status in found.items() if label.startswith("calm")}
    assert set(calm.values()) == {"passed"}, done.out + done.err
    assert found["page"] == "passed"
    if times == 1:
        assert done.code == 0
        assert found["wild"] == "passed"
    else:
        assert done.code == 1
        assert found["wild"] == "failed"
        assert found["wilder"] == "blocked"
        assert "its worker process died (out of memory?)" in done.out
        assert world.run_cli("run", world.spec(text), "-n", 1).code == 0


def test_what_a_worker_stored_before_it_died_is_not_computed_again(world: Any) -> None:
    source = (
        HEAD
        + '''
class Late(Probe):
    """Kills its process right after the node was stored."""
    columns: ClassVar[dict[str, str]] = {"value": "a number"}

    def run(self) -> Table:
        import os, threading, time
        note("late")
        store = self.store_folder()

        def kill() -> None:
            while not any(b"\\"late\\"" in log.read_bytes() for log in store.glob("*.log")):
                time.sleep(0.001)
            os.kill(os.getpid(), 9)

        threading.Thread(target=kill, daemon=True).start()
        return Table({"value": list(range(30))})

    def store_folder(self):
        import os
        from pathlib import Path
        return Path(os.environ["TINY_CALLS"]).parent / "artifacts" / ".store" / "records"
'''
    )
    world.plugin("probes/late", source)
    text = """
title = "t"
[probes.late]
use = "late"
[renderers.page]
use = "page"
table = "@late"
path = "p.txt"
"""
    done = world.run_cli("run", world.spec(text), "-n", 2)
    assert done.code == 0, done.out + done.err
    assert world.calls() == ["late", "page p.txt"]
    assert world.statuses() == {"late": "passed", "page": "passed"}


# -- interrupts ----------------------------------------------------------------------------------

SLOW = """
title = "t"
[axes]
k = [1, 2, 3, 4]
[probes.calm]
use = "killer"
k = "$k"
sleep = 0.4
[renderers.page]
use = "page"
table = "@calm"
path = "p.txt"
"""


def begun(world: Any, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "run", *map(str, arguments)], cwd=world.folder,
        env=world.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def wait_for_calls(world: Any, count: int) -> None:
    file = Path(world.folder / "calls.txt")
    for _ in range(400):
        if file.exists() and len(file.read_text("utf-8").splitlines()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("it never began")


SIGNALS = [(1, signal.SIGINT, True), (2, signal.SIGINT, False), (2, signal.SIGTERM, True)]
MORE = [(w, s, g) for w in (1, 2) for s in (signal.SIGINT, signal.SIGTERM) for g in (False, True)]


@pytest.mark.parametrize(
    ("workers", "number", "whole_group"),
    [*SIGNALS, *(pytest.param(*m, marks=pytest.mark.slow) for m in MORE if m not in SIGNALS)],
)
def test_an_interrupt_ends_it_with_130_and_the_next_run_goes_on(
    world: Any, workers: int, number: int, whole_group: bool
) -> None:
    world.plugin("probes/killer", KILLER)
    spec = world.spec(SLOW)
    process = begun(world, spec, "-n", workers)
    wait_for_calls(world, 2 if workers == 1 else 3)
    if whole_group:  # as a terminal and as a batch system do it
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "interrupted; run the same command again to go on" in err
    assert "Traceback" not in out + err
    assert world.manifest()["interrupted"]
    finished = {label for label, status in world.statuses().items() if status == "passed"}
    world.calls()
    assert world.run_cli("run", spec, "-n", workers).code == 0
    again = {f"calm[k={call.split()[1]}]" for call in world.calls() if call.startswith("killer")}
    assert not again & finished
    assert len(again | finished) == 4
    left = [
        p
        for p in (world.artifacts / ".store").rglob("*")
        if p.parent.name in ("aside", "progress", "scratch")
    ]
    assert left == []


def test_an_interrupt_while_planning_is_130_too(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runner.running.journey

    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.running.journey, "prepare", interrupt)
    done = world.cli("run", world.spec(SLOW), "-n", 1)
    assert done.code == 130
    assert "interrupted" in done.err


# -- exit codes ----------------------------------------------------------------------------------


def test_exit_codes(world: Any) -> None:
    good = world.spec(checks(9, 0))
    bad = world.spec("title = 3\n", "bad.toml")
    assert world.cli("run", good, "-n", 1).code == 0
    assert world.cli("run", world.spec(checks(1, 0), "fails.toml"), "-n", 1).code == 1
    assert world.cli("run", bad, "-n", 1).code == 2
    assert world.cli("run", "none.toml").code == 2
    assert world.cli("run", good, "-n", 0).code == 2
    assert world.cli("run", good, "--device", "abacus").code == 2
    assert world.cli("run").code == 2


def test_a_wrong_spec_among_good_ones_runs_nothing(world: Any) -> None:
    good = world.spec(checks(9, 0))
    bad = world.spec("title = 3\n", "bad.toml")
    assert world.cli("run", good, bad, "-n", 1).code == 2
    assert world.calls() == []


def test_the_worst_of_many_specs_decides(world: Any) -> None:
    good = world.spec(checks(9, 0), "a.toml")
    fails = world.spec(checks(1, 0), "b.toml")
    assert world.cli("run", fails, good, "-n", 1).code == 1
    assert world.cli("run", good, "-n", 1).code == 0
