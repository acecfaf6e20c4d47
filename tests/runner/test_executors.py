"""In this process or in workers: parcels are computed, deaths are survived, nothing lingers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from runner.executors import InProcess, executor, stop


def fail() -> None:
    raise ValueError("no")


def interrupt() -> None:
    raise KeyboardInterrupt


def test_one_worker_is_this_process() -> None:
    pool = executor(1)
    assert isinstance(pool, InProcess)
    future: Future[int] = pool.submit(os.getpid)
    assert future.done()
    assert future.result() == os.getpid()
    stop(pool)


def test_an_error_is_in_the_future_and_an_interrupt_is_not() -> None:
    pool = executor(1)
    with pytest.raises(ValueError, match="no"):
        pool.submit(fail).result()
    with pytest.raises(KeyboardInterrupt):
        pool.submit(interrupt)


CODE = """
import os, signal, sys, time
from concurrent.futures import wait
from runner.executors import executor, stop
pool = executor(2)
def about():
    return [os.getpid(), os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"],
            signal.getsignal(signal.SIGINT) == signal.SIG_IGN]
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE + code], capture_output=True, text=True, timeout=60,
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "7"}, check=False,
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
    done = python("print(*pool.submit(about).result()); stop(pool)")
    pid, omp, mkl, ignores = done.stdout.split()
    assert (omp, mkl, ignores) == ("1", "1", "True"), done.stderr
    assert gone(int(pid))


def test_a_worker_ends_soon_after_its_runner_was_killed() -> None:
    done = python(
        "print(pool.submit(about).result()[0], flush=True)\n"
        "pool.submit(time.sleep, 60); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


@pytest.mark.slow
def test_a_worker_that_grows_is_not_replaced() -> None:
    """Importing torch grows a worker by more than the limit at which loky restarts one."""
    done = python(
        "def grow():\n    import os; globals()['x'] = b'1' * 400_000_000; return os.getpid()\n"
        "def same():\n    import os, gc; gc.collect(); return os.getpid()\n"
        "a = pool.submit(grow).result(); time.sleep(2.2)\n"
        "b = {pool.submit(same).result() for _ in range(20)}; print(a in b); stop(pool)"
    )
    assert done.stdout.split() == ["True"], done.stderr
    assert "leak" not in done.stderr
