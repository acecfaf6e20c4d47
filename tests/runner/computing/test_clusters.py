"""What `--dask` names: read early, refused with a cure, and the scripts of batch queues."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.computing import clusters
from runner.computing.clusters import Asked, asked, connect, job_script
from runner.computing.executors import PoolError
from runner.errors import UsageError

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")


@pytest.mark.parametrize(("text", "found"), [
    ("tcp://head:8786", Asked("address", target="tcp://head:8786")),
    ("tls://10.0.0.1:8786", Asked("address", target="tls://10.0.0.1:8786")),
    ("local:4", Asked("local", 4)),
    ("slurm:16", Asked("slurm", 16)),
    ("kubernetes:8", Asked("kubernetes", 8)),
])  # fmt: skip
def test_a_cluster_is_read_from_a_word(text: str, found: Asked) -> None:
    assert asked(text) == found


def test_a_scheduler_file_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    with pytest.raises(UsageError, match="no such scheduler file; is the scheduler running"):
        asked(str(file))
    file.write_text("{}", "utf-8")
    assert asked(str(file)) == Asked("file", target=str(file))


@pytest.mark.parametrize(("text", "cure"), [
    ("head:8786", "write tcp://head:8786"),
    ("slrum:4", 'did you mean "slurm"'),
    ("slurm", "say how many, such as --dask slurm:4"),
    ("local:0", "say how many"),
    ("local:x", "say how many"),
    ("what", "give tcp://HOST:PORT, a scheduler file"),
])  # fmt: skip
def test_what_names_no_cluster_is_refused_with_a_cure(text: str, cure: str) -> None:
    with pytest.raises(UsageError) as error:
        asked(text)
    assert cure in str(error.value)
    assert f"--dask {text}" in str(error.value)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_REACH", 1)
    with pytest.raises(PoolError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        connect("tcp://127.0.0.1:9")


def test_a_scheduler_file_without_an_address_is_told(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text("{}", "utf-8")
    with pytest.raises(PoolError, match=f"--dask {file}: no Dask scheduler answers"):
        connect(str(file))


SLURM = {"cores": 4, "memory": "16GB", "walltime": "02:30:00", "queue": "short",
         "job-script-prologue": ["module load python"], "interface": "lo"}  # fmt: skip


@pytest.fixture
def described() -> Iterator[None]:
    """Dask's configuration as docs/clusters.md has it, with an interface that exists here."""
    clusters._imported("dask_jobqueue", "SLURMCluster", "dask-jobqueue", "slurm")  # its defaults
    with dask.config.set({
        "distributed.scheduler.dashboard.enabled": False,
        "jobqueue.slurm": dask.config.get("jobqueue.slurm") | SLURM,
        "jobqueue.pbs": dask.config.get("jobqueue.pbs") | SLURM | {
            "processes": 2, "resource-spec": "select=1:ncpus=4:mem=16gb"},
    }):  # fmt: skip
        yield


@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")
@pytest.mark.usefixtures("described")
def test_a_slurm_job_starts_one_worker_for_each_core_with_one_thread() -> None:
    script = job_script("slurm")
    assert "#SBATCH --cpus-per-task=4" in script
    assert "#SBATCH -t 02:30:00" in script
    assert "#SBATCH -p short" in script
    lines = script.splitlines()
    start = next(line for line in lines if "dask_worker" in line)
    assert start.startswith(sys.executable)
    assert "--nthreads 1 " in start
    assert "--nworkers 4 " in start
    assert "--nanny" in start
    for before in ("module load python", "export OMP_NUM_THREADS=1", "export MKL_NUM_THREADS=1",
                   "export MALLOC_ARENA_MAX=1",
                   "export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=1s"):  # fmt: skip
        assert lines.index(before) < lines.index(start)


@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")
@pytest.mark.usefixtures("described")
def test_a_pbs_job_has_the_processes_that_are_asked_for_and_their_threads() -> None:
    script = job_script("pbs")
    assert "#PBS -l walltime=02:30:00" in script
    assert "#PBS -l select=1:ncpus=4:mem=16gb" in script
    assert "--nthreads 2 " in script
    assert "--nworkers 2 " in script


def test_a_queue_that_is_not_described_says_what_to_write_where() -> None:
    with pytest.raises(PoolError, match=r"lacks cores and memory .* jobqueue.lsf in .*yaml"):
        job_script("lsf")


@pytest.mark.parametrize(("text", "module", "cure"), [
    ("slurm:2", "dask_jobqueue", "pip install dask-jobqueue"),
    ("kubernetes:2", "dask_kubernetes.operator", "pip install dask-kubernetes"),
    ("tcp://head:1", "distributed", r"pip install 'runner\[dask\]'"),
    ("local:2", "cryptography", r"pip install 'runner\[dask\]'"),
])  # fmt: skip
def test_a_package_that_is_not_installed_is_named(
    text: str, module: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PoolError, match=cure):
        connect(text)


def test_kubernetes_is_asked_for_as_many_workers_as_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No Kubernetes here: what its library is asked for is all that can be seen."""
    operator: Any = types.ModuleType("dask_kubernetes.operator")
    operator.KubeCluster = lambda **asked: asked
    monkeypatch.setitem(sys.modules, "dask_kubernetes", types.ModuleType("dask_kubernetes"))
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", operator)
    assert clusters._kubernetes(8) == {"n_workers": 8}


SBATCH = """#!/bin/sh
cp "$1" "$0.$$"  # it is removed when this returns
setsid sh "$0.$$" > "$0.$$.log" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -9 -- "-$1"
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")
@pytest.mark.usefixtures("described")
def test_jobs_of_a_queue_are_submitted_replaced_when_they_end_and_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of SLURM are stood in for by two that run the job script on this machine."""
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    one = {"cores": 1, "job-script-prologue": []}
    with dask.config.set({"jobqueue.slurm": dask.config.get("jobqueue.slurm") | one}):
        cluster = connect("slurm:2")
    try:
        cluster.client.wait_for_workers(2, timeout=40)
        first = set(cluster.client.run(os.getpid).values())
        (job,) = {os.getpgid(pid) for pid in list(first)[:1]}
        os.killpg(job, signal.SIGKILL)
        now = first
        deadline = time.monotonic() + 60
        while len(now) < 2 or now == first:
            assert time.monotonic() < deadline
            time.sleep(0.5)
            now = set(cluster.client.run(os.getpid, on_error="ignore").values())
    finally:
        cluster.end()
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in now | first):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
