"""A Dask cluster as a pool: real workers, killed, refused, called off, and always an answer."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.computing import dask_worker
from runner.computing.dask_pool import DaskPool
from runner.computing.dask_roster import Roster
from runner.computing.executors import Place, PoolError, Unmet, WorkerLost
from runner.computing.work import Parcel
from runner.registry import Registry, Root

pytest.importorskip("distributed")

FAR = '''
"""What workers compute: the expression in the parcel's `use`."""

import os, signal, sys, time, threading
from pathlib import Path

def compute(parcel, place):
    return eval(parcel.use)
'''
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A store whose project has one package, `faraway`, that only its folder's path leads to."""
    package = tmp_path / "project" / "faraway"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAR, "utf-8")
    monkeypatch.syspath_prepend(package.parent)
    sys.modules.pop("faraway", None)
    return Place(tmp_path, Registry([Root("faraway", package)]), "run", tmp_path / "progress")


def parcel(use: str, threads: int = 1, device: str = "cpu") -> Parcel:
    return Parcel((), fused=False, code={}, use=use, threads=threads, device=device)


def opened(text: str, place: Place, told: list[str] | None = None) -> DaskPool:
    compute = importlib.import_module("faraway").compute
    return DaskPool(text, place, compute, (told if told is not None else []).append)


def submit(pool: DaskPool, use: str, threads: int = 1) -> Any:
    """Submit as the loop does: when there is room."""
    deadline = time.monotonic() + 60
    while not pool.room(threads):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return pool.submit(parcel(use, threads))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler with two workers that is not the runner's; the second has a GPU, it says."""
    from distributed import Nanny, Scheduler, SpecCluster

    gpu = {"nthreads": 1, "resources": {"GPU": 1}}
    options = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "port": 0}
    with SpecCluster(
        scheduler={"cls": Scheduler, "options": options},
        workers={n: {"cls": Nanny, "options": o} for n, o in enumerate([{"nthreads": 1}, gpu])},
        silence_logs=logging.CRITICAL,
    ) as made:
        yield made


@pytest.fixture
def pool(place: Place, cluster: Any) -> Iterator[DaskPool]:
    pool = opened(cluster.scheduler_address, place)
    both_there(pool)
    yield pool
    pool.stop()


def own(place: Place) -> DaskPool:
    pool = opened("local:2", place)
    both_there(pool)
    return pool


def both_there(pool: DaskPool) -> None:
    deadline = time.monotonic() + 60
    while len(pool.roster.hands) < 2:
        pool.room(1)  # raises what is wrong
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_own_workers_have_one_thread_each_leave_interrupts_alone_and_are_ended(
    place: Place,
) -> None:
    pool = own(place)
    about = (
        "time.sleep(0.3) or [os.getpid(), os.environ['OMP_NUM_THREADS'],"
        " signal.getsignal(signal.SIGINT) == signal.SIG_IGN, os.environ['MALLOC_ARENA_MAX'],"
        " __import__('dask').config.get('distributed.worker.profile.enabled'),"
        " __import__('dask').config.get('distributed.admin.tick.interval')]"
    )
    made = [submit(pool, about) for _ in range(4)]
    pids = {future.result(20)[0] for future in made}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert {tuple(future.result()[1:]) for future in made} == {("1", True, "1", False, "1s")}
    assert pool.describe() == "2 Dask workers at this machine"
    slow = [submit(pool, "time.sleep(60)") for _ in range(2)]
    started = time.monotonic()
    pool.stop()
    assert all(future.cancelled() for future in slow)
    assert time.monotonic() - started < 30  # not the parcels' minute
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
def test_own_workers_share_the_threads_and_gpus_of_this_machine(place: Place) -> None:
    pool = own(place)
    try:
        pool._gpus.count = lambda: 1
        wide = submit(pool, "time.sleep(0.5) or [parcel.threads]", threads=2)
        assert not pool.room(1)
        assert wide.result(20) == [2]
        assert pool.room(9)  # as many as there are, at most
        error = pool.submit(parcel("[]", device="cuda"), gpu=2).exception(20)
        assert isinstance(error, Unmet)
        assert "this machine has 1" in str(error)
        first = pool.submit(parcel("time.sleep(0.5) or [parcel.device]", device="cuda"), gpu=1)
        assert pool.room(1)
        assert not pool.room(1, gpu=1)
        assert first.result(20) == ["cuda:0"]
        assert pool.room(1, gpu=1)
    finally:
        pool.stop()


def test_a_killed_worker_takes_only_its_own_parcel_along(pool: DaskPool) -> None:
    beside = submit(pool, "time.sleep(1.5) or ['beside']")
    killed = submit(pool, KILL)
    after = [submit(pool, f"[{n}]") for n in range(3)]
    with pytest.raises(WorkerLost, match=r"Dask worker tcp://.* died"):
        killed.result(20)
    assert beside.result(20) == ["beside"]
    assert [future.result(20) for future in after] == [[0], [1], [2]]


def test_what_waited_behind_a_parcel_that_kills_is_sent_elsewhere(pool: DaskPool) -> None:
    for _ in range(20):  # quick ones: from now on parcels may wait at a worker
        submit(pool, "[0]").result(20)
    made = [submit(pool, "time.sleep(0.4) or " + KILL) for _ in range(2)]
    assert pool.room(1)
    behind = [submit(pool, "['behind']") for _ in range(2)]
    assert [type(future.exception(20)) for future in made] == [WorkerLost, WorkerLost]
    assert [future.result(20) for future in behind] == [["behind"], ["behind"]]


def test_an_error_is_the_parcels_own(pool: DaskPool) -> None:
    assert isinstance(submit(pool, "1 / 0").exception(20), ZeroDivisionError)
    assert submit(pool, "[1]").result(20) == [1]


def test_a_parcel_that_asks_for_a_gpu_goes_where_one_is(pool: DaskPool) -> None:
    with_gpu = next(hand for hand in pool.roster.hands.values() if hand.gpus)
    asked = "[__import__('distributed').get_worker().address]"
    for _ in range(4):
        future = pool.submit(parcel(asked, device="cuda"), gpu=1)
        assert future.result(20) == [with_gpu.address]
    assert "--device cuda" in str(pool.submit(parcel("[]"), gpu=1).exception(20))


def test_what_no_worker_has_is_waited_for_and_then_an_error(pool: DaskPool) -> None:
    pool.patience = 0.5
    assert pool.room(3)
    first = pool.submit(parcel("[]", threads=3))
    assert not pool.room(3)  # one waits; the rest follows when it is known what comes of it
    assert pool.room(1)
    error = first.exception(20)
    assert isinstance(error, Unmet)
    assert "threads = 3" in str(error)
    assert "at most 1 threads" in str(error)
    assert "--nthreads 3" in str(error)
    assert pool.room(3)
    assert isinstance(pool.submit(parcel("[]", threads=3)).exception(1), Unmet)


def test_what_a_stopped_run_computes_is_interrupted(
    place: Place, cluster: Any, tmp_path: Path
) -> None:
    """Dask lets a cancelled call run on; here a worker that is not ours is free again at once."""
    pool = opened(cluster.scheduler_address, place)
    mark = tmp_path / "mark"
    loop = f"[Path({str(mark)!r}).write_text('') or time.sleep(0.05) for _ in range(10_000)]"
    future = submit(pool, loop)
    while not mark.exists():
        time.sleep(0.05)
    pool.stop()
    assert future.cancelled()
    time.sleep(2)
    mark.unlink()
    time.sleep(0.5)
    assert not mark.exists()


def test_a_worker_that_sees_another_store_is_refused(
    place: Place, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roster, "_made_passport", lambda roster: dask_worker.Passport(
        "run", str(place.progress / "nowhere"), "token", (), (), patience=0.0))  # fmt: skip
    pool = opened(cluster.scheduler_address, place)
    try:
        with pytest.raises(PoolError, match=r"does not see the store: .* file system that .*share"):
            submit(pool, "[]")
    finally:
        pool.stop()


@pytest.mark.slow
def test_a_scheduler_that_goes_away_ends_all_with_a_clear_error(
    place: Place, tmp_path: Path
) -> None:
    """Found by its file, as batch scripts leave one, then killed."""
    file = str(tmp_path / "scheduler.json")
    dask = [sys.executable, "-m", "distributed.cli."]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    started = [
        subprocess.Popen([*dask[:-1], dask[-1] + name, "--scheduler-file", file, *options], **quiet)
        for name, *options in (
            ("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            ("dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard"),
        )
    ]
    try:
        while not Path(file).exists():
            time.sleep(0.1)
        pool = opened(file, place)
        future = submit(pool, "time.sleep(60)")
        started[0].kill()
        error = future.exception(20)
        assert isinstance(error, PoolError)
        assert "is gone" in str(error)
        assert "nothing done is lost" in str(error)
        with pytest.raises(PoolError, match="is gone"):
            pool.room(1)
        pool.stop()
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_edited_plugins_are_loaded_anew_by_a_worker_that_served_before(
    place: Place, cluster: Any
) -> None:
    pool = opened(cluster.scheduler_address, place)
    assert submit(pool, "'edited' in __import__('inspect').getsource(compute)").result(20) is False
    pool.stop()
    file = place.registry.roots[0].folder / "__init__.py"
    file.write_text(FAR.replace("return eval", "edited = parcel.use; return eval"), "utf-8")
    sys.modules.pop("faraway")
    later = Place(place.store, place.registry, "run 2", place.progress)
    pool = opened(cluster.scheduler_address, later)
    asked = "compute.__code__.co_nlocals"
    assert {submit(pool, asked).result(20) for _ in range(4)} == {3}
    pool.stop()
