"""In this process or in workers: parcels are computed, deaths are survived, nothing lingers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from runner.computing.executors import InProcess, Place, Unmet, open_pool, settled
from runner.computing.work import Parcel
from runner.registry import Registry


def parcel(device: str = "cpu", threads: int = 1) -> Parcel:
    return Parcel((), fused=False, code={}, use="", threads=threads, device=device)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, Registry([]), "run", tmp_path)


def fail(parcel: Parcel, place: Place) -> Any:
    raise ValueError("no")


def interrupt(parcel: Parcel, place: Place) -> Any:
    raise KeyboardInterrupt


def where(parcel: Parcel, place: Place) -> Any:
    return [os.getpid(), parcel.device]


def test_one_worker_is_this_process(place: Place) -> None:
    pool = open_pool(1, place, compute=where)
    future = pool.submit(parcel())
    assert future.done()
    assert future.result() == [os.getpid(), "cpu"]
    assert pool.describe() == "in this process"
    pool.stop()


def test_an_error_is_in_the_future_and_an_interrupt_is_not(place: Place) -> None:
    with pytest.raises(ValueError, match="no"):
        InProcess(place, fail).submit(parcel()).result()
    with pytest.raises(KeyboardInterrupt):
        InProcess(place, interrupt).submit(parcel())


def test_in_process_the_loop_looks_at_each_result_before_it_submits_more(place: Place) -> None:
    pool = InProcess(place, where)
    assert pool.room(1)
    pool.submit(parcel())
    assert not pool.room(1)
    assert pool.room(1)


def test_waiting_for_nothing_takes_a_moment_and_gives_nothing() -> None:
    done: Future[Any] = Future()
    done.set_result([])
    assert settled([], 0.01) == set()
    assert settled([done, Future()], 5) == {done}


@pytest.mark.parametrize(("gpus", "device", "asked", "told"), [
    (1, "cpu", 1, "computes on cpu; add --device cuda"),
    (1, "cuda", 2, "asks for 2 GPUs .* this machine has 1"),
    (0, "cuda:1", 1, "this machine has 0"),
])  # fmt: skip
def test_gpus_that_will_never_be_there_are_an_error_not_a_wait(
    place: Place, gpus: int, device: str, asked: int, told: str
) -> None:
    pool = InProcess(place, where, gpus=lambda: gpus)
    with pytest.raises(Unmet, match=told):
        pool.submit(parcel(device), gpu=asked).result()


def test_without_gpus_asked_for_nothing_counts_them(place: Place) -> None:
    def never() -> int:
        raise AssertionError

    assert InProcess(place, where, gpus=never).submit(parcel("cuda")).result()[1] == "cuda"


CODE = """
import os, signal, sys, time, threading
from concurrent.futures import wait
from pathlib import Path
from runner.computing.executors import Place, Unmet, WorkerLost, open_pool, settled
from runner.computing.loky_pool import LokyPool
from runner.registry import Registry
from runner.computing.work import Parcel

place = Place(Path(), Registry([]), "run", Path())

def parcel(threads=1, device="cpu", use=""):
    return Parcel((), fused=False, code={}, use=use, threads=threads, device=device)

def compute(parcel, place):  # what it does is in `use`
    names = {"os": os, "time": time, "signal": signal, "parcel": parcel}
    return eval(parcel.use, globals() | names)

ABOUT = '''[os.getpid(), os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"],
            signal.getsignal(signal.SIGINT) == signal.SIG_IGN]'''
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
"""
OPEN = "pool = open_pool(2, place, compute=compute)\n"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE + code], capture_output=True, text=True, timeout=60,
        cwd=Path(__file__).parents[3], env={**os.environ, "OMP_NUM_THREADS": "7"}, check=False,
    )  # fmt: skip


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_workers_count_one_thread_ignore_interrupts_and_end_with_the_pool() -> None:
    done = python(
        f"{OPEN}print(*pool.submit(parcel(use=ABOUT)).result())\n"
        "slow = pool.submit(parcel(use='time.sleep(60)'))\n"
        "pool.stop(); print(slow.cancelled(), pool.describe())"
    )
    first, second = done.stdout.splitlines()
    pid, omp, mkl, ignores = first.split()
    assert (omp, mkl, ignores) == ("1", "1", "True"), done.stderr
    assert second == "True 2 worker processes"
    assert gone(int(pid))


def test_a_worker_ends_soon_after_its_runner_was_killed() -> None:
    done = python(
        f"{OPEN}print(pool.submit(parcel(use=ABOUT)).result()[0], flush=True)\n"
        "pool.submit(parcel(use='time.sleep(60)')); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def test_a_killed_worker_is_lost_to_all_in_flight_and_the_pool_mends_itself() -> None:
    done = python(
        f"{OPEN}killed = pool.submit(parcel(use=KILL))\n"
        "beside = pool.submit(parcel(use='time.sleep(60)'))\n"
        "for lost in (killed, beside):\n"
        "    print(type(lost.exception(20)).__name__, 'fewer workers' in str(lost.exception()))\n"
        "print(pool.room(1, alone=True))\n"
        "alone = pool.submit(parcel(use='[1]'), alone=True)\n"
        "print(pool.room(1) and not alone.done(), alone.result(), pool.room(1)); pool.stop()"
    )
    expected = ["WorkerLost True", "WorkerLost True", "True", "False [1] True"]
    assert done.stdout.splitlines() == expected, done.stderr


def test_room_is_counted_in_threads_and_one_parcel_waits_at_each_worker() -> None:
    done = python(
        f"{OPEN}slow = 'time.sleep(60)'\n"
        "print(pool.room(9)); a = pool.submit(parcel(2, use=slow)); print(pool.room(1))\n"
        "pool.stop()\n"
        "for _ in range(4): print(pool.room(1)); pool.submit(parcel(use=slow))\n"
        "print(pool.room(1), pool.room(2)); pool.stop()"
    )
    assert done.stdout.split() == ["True", "False", *["True"] * 4, "False", "False"], done.stderr


def test_never_more_gpu_parcels_at_once_than_gpus_each_on_its_own() -> None:
    done = python(
        "pool = LokyPool(4, place, compute, gpus=lambda: 2)\n"
        "slow = 'time.sleep(1) or [parcel.device]'\n"
        "made = []\n"
        "while pool.room(1, 1): made.append(pool.submit(parcel(1, 'cuda', slow), 1))\n"
        "print(len(made), pool.room(1), pool.room(1, 3))\n"
        "print(*sorted(f.result()[0] for f in made))\n"
        "print(pool.submit(parcel(1, 'cuda', slow), 3).exception())\n"
        "print(pool.submit(parcel(1, 'cuda', '[parcel.device]'), 2).result()[0]); pool.stop()"
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["2 True True", "cuda:0 cuda:1"], done.stderr
    assert "asks for 3 GPUs" in lines[2]
    assert lines[3] == "cuda:0"


@pytest.mark.slow
def test_a_worker_that_grows_is_not_replaced() -> None:
    """Importing torch grows a worker by more than the limit at which loky restarts one."""
    done = python(
        f"{OPEN}grow = \"globals().update(x=b'1' * 400_000_000) or [os.getpid()]\"\n"
        "same = \"__import__('gc').collect() * 0 or [os.getpid()]\"\n"
        "a = pool.submit(parcel(use=grow)).result(); time.sleep(2.2)\n"
        "b = [pool.submit(parcel(use=same)).result() for _ in range(20)]\n"
        "print(a in b); pool.stop()"
    )
    assert done.stdout.split() == ["True"], done.stderr
    assert "leak" not in done.stderr
