"""A study on a Dask cluster, through the command line: the same results, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runner.storage.store import Store

pytest.importorskip("distributed")

WORKER = '''"""A plugin of a test."""
from __future__ import annotations
from typing import ClassVar
from pydantic import Field
from runner.plugin import Probe
from runner.types import Seed, Table
from ..maths.tally import note

class Deadly(Probe):
    """Kills its worker, a given number of times."""
    columns: ClassVar[dict[str, str]] = {"value": "a number"}
    k: int = Field(0, description="which")
    times: int = Field(0, description="how often it kills")
    seconds: int = Field(0, description="how long it takes")

    def run(self, seed: Seed) -> Table:
        import os, time
        from pathlib import Path
        note(f"{os.getpid()} deadly {self.k} {self.times}")
        marker = Path(os.environ["TINY_CALLS"]).with_name(f"marker{self.k}")
        count = len(marker.read_text()) if marker.exists() else 0
        if count < self.times and "CALM" not in os.environ:
            marker.write_text("x" * (count + 1))
            os.kill(os.getpid(), 9)
        time.sleep(self.seconds)
        return Table({"value": [float(seed.numpy("noise").normal()) + self.k]})
'''
STUDY = """
title = "On a cluster"
[axes]
k = [1, 2, 3, 4, 5, 6]
[probes.calm]
use = "deadly"
k = "$k"
[probes.wild]
use = "deadly"
k = 9
times = TIMES
[renderers.page]
use = "page"
table = "@calm"
path = "page.txt"
[renderers.late]
use = "page"
table = "@wild"
path = "late.txt"
"""


@pytest.fixture
def cluster(world: Any) -> Any:
    world.plugin("probes/deadly", WORKER)
    return world


def contents(world: Any, artifacts: str) -> dict[str, Any]:
    """Return what each node gave, by label: key, outputs and digests, all of them verified."""
    store = Store(world.folder / artifacts / ".store")
    store.refresh()
    assert store.damaged == []
    for record in store.records.values():
        for digest in record["objects"]:
            store.read(digest)
    return {r["label"]: [r["key"], r["outputs"], r["objects"]] for r in store.records.values()}


def last(outcome: Any) -> str:
    return str(outcome.last)


def test_a_worker_killed_in_the_middle_changes_no_result(cluster: Any) -> None:
    cluster.spec(STUDY.replace("TIMES", "1"))
    alone = cluster.run_cli("run", "-n", 1, "--artifacts", "alone", "study.toml", CALM="1")
    assert last(alone) == "9 passed", alone.err
    cluster.calls()
    killed = cluster.run_cli("run", "--dask", "local:2", "--artifacts", "far", "study.toml")
    assert (killed.code, last(killed)) == (0, "9 passed"), killed.err
    calls = cluster.calls()
    assert sum("deadly 9" in call for call in calls) == 2
    assert len({call.split()[0] for call in calls}) >= 3  # two, and the one that came after
    assert killed.err == ""
    assert contents(cluster, "far") == contents(cluster, "alone")


@pytest.mark.slow
def test_a_node_that_kills_its_workers_fails_alone(cluster: Any) -> None:
    cluster.spec(STUDY.replace("TIMES", "99"))
    ended = cluster.run_cli("run", "--dask", "local:2", "study.toml")
    assert (ended.code, last(ended)) == (1, "7 passed, 1 failed, 1 blocked"), ended.err
    told = " ".join(ended.out.split())
    assert "WorkerLost: its Dask worker tls://" in told, told
    assert "died (killed, out of memory, or at the end of its time)" in told
    assert sum("deadly 9" in call for call in cluster.calls()) == 3


def test_an_interrupt_ends_workers_at_once_and_keeps_what_is_stored(cluster: Any) -> None:
    spec = STUDY.replace("TIMES", "0\nseconds = 60")
    cluster.spec(spec)
    with subprocess.Popen(
        [sys.executable, "-m", "runner", "run", "--dask", "local:2", "study.toml"],
        cwd=cluster.folder, env=cluster.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        calls: list[str] = []
        while not any("deadly 9" in call for call in calls):
            calls += cluster.calls()
            time.sleep(0.1)
            assert process.poll() is None, process.communicate()
        pids = {int(call.split()[0]) for call in calls if call.split()[0].isdigit()}
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: workers get it too
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == "interrupted; run the same command again to go on\n"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert "1 not run" in out or "2 not run" in out


@pytest.mark.parametrize(("words", "told"), [
    (["--dask", "slrum:4"], 'no such cluster; did you mean "slurm"?'),
    (["--dask", "local:2", "-n", "2"], "-n and --dask both say where"),
])  # fmt: skip
def test_a_cluster_that_cannot_be_is_wrong_usage(world: Any, words: list[str], told: str) -> None:
    outcome = world.cli("run", *words, world.spec("title = 'x'\n"))
    assert outcome.code == 2
    assert told in outcome.err
