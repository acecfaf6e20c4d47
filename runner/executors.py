"""Where parcels run: in this process or in local workers, both as concurrent.futures."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.compute import THREAD_VARIABLES, Workshop
from runner.registry import Registry
from runner.store import Store
from runner.work import Done, Parcel


@dataclass(frozen=True)
class Place:
    """What a worker must know to open its workshop."""

    store: Path
    registry: Registry
    run: str
    progress: Path  # folder for progress files


_HERE: dict[str, Workshop] = {}  # this process's workshop, by run


def compute_here(parcel: Parcel, place: Place) -> list[Done]:
    """Compute a parcel in this process, whose workshop is opened for the first one of a run."""
    if place.run not in _HERE:
        _HERE.clear()
        progress = place.progress / f"{os.getpid()}.json"
        _HERE[place.run] = Workshop(Store(place.store), place.registry, place.run, progress)
    return _HERE[place.run].compute(parcel)


class InProcess(Executor):
    """Computes each parcel as it is submitted, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `fn` now; the future is done when this returns."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # handed to whoever asks for the result
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close this process's workshop: nothing is left running, and no log is left open."""
        del wait, cancel_futures
        for workshop in _HERE.values():
            workshop.store.close()
        _HERE.clear()


def executor(count: int) -> Executor:
    """Return an executor for `count` parcels at a time; take a new one when a worker died."""
    for name in THREAD_VARIABLES:  # read by libraries when they load: set before anything does
        os.environ.setdefault(name, "1")
    if count == 1:
        return InProcess()
    from loky import ProcessPoolExecutor

    pool: Executor = ProcessPoolExecutor(
        count,
        initializer=_start_worker,
        initargs=(list(sys.path), os.getpid()),
        env=dict.fromkeys(THREAD_VARIABLES, "1"),
    )
    return pool


def stop(pool: Executor) -> None:
    """End an executor and its workers at once."""
    if isinstance(pool, InProcess):
        pool.shutdown()
        return
    pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]  # loky's own argument


def _start_worker(paths: list[str], parent: int) -> None:
    """Prepare a worker: the parent's module paths; Ctrl-C is the parent's; die when it dies."""
    from loky import process_executor

    sys.path[:] = [*paths, *(p for p in sys.path if p not in paths)]
    # loky restarts a worker that has grown by 300 MB; importing torch alone grows it by more.
    process_executor._MAX_MEMORY_LEAK_SIZE = 1 << 62  # noqa: SLF001  # there is no public switch
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:  # soon enough that the next run meets no survivors
            time.sleep(0.05)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
