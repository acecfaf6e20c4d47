"""Local worker processes: one thread each unless a step asks for more, ended with their runner."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from runner.computing.compute import THREAD_VARIABLES
from runner.computing.executors import Compute, Place, Unmet, WorkerLost, call_off, give
from runner.computing.gpus import Gpus, cuda_devices
from runner.computing.work import Done, Parcel


@dataclass(frozen=True)
class _Sent:
    """A parcel in flight: what it holds until it has ended."""

    threads: int
    gpus: tuple[int, ...]
    alone: bool


class LokyPool:
    """Worker processes of this machine. When one dies, all in flight is lost and tried again."""

    tries = 2
    computes_here = False

    def __init__(
        self, count: int, place: Place, compute: Compute, gpus: Callable[[], int] = cuda_devices
    ) -> None:
        self.count = count
        self.place = place
        self.compute = compute
        self.gpus = Gpus(gpus)
        self._sent: dict[Future[list[Done]], _Sent] = {}
        self._lock = threading.Lock()  # futures settle in loky's own thread
        self._executor: Any = None
        self._broken = False

    def room(self, threads: int, gpu: int = 0, alone: bool = False) -> bool:
        """Return whether a parcel with these needs may be submitted now.

        One parcel more than it can compute waits at each worker, so that none idles, as long as
        all compute with one thread: which worker takes it is open until one is free.
        """
        with self._lock:
            sent = list(self._sent.values())
            if not sent:
                return True
            if alone or any(other.alone for other in sent):
                return False
            if gpu and len(self.gpus.free()) < gpu <= self.gpus.total:
                return False
            need = min(threads, self.count)
            busy = sum(other.threads for other in sent)
            if busy + need <= self.count:
                return True
            single = need == 1 and not gpu and busy == len(sent)
            return single and len(sent) < 2 * self.count

    def submit(self, parcel: Parcel, gpu: int = 0, alone: bool = False) -> Future[list[Done]]:
        """Hand in a parcel; one that holds GPUs is told the first one's index as its device."""
        future: Future[list[Done]] = Future()
        if wrong := self.gpus.unmet(parcel.device, gpu):
            future.set_exception(Unmet(wrong))
            return future
        with self._lock:
            taken = tuple(self.gpus.take(gpu))
            self._sent[future] = _Sent(min(parcel.threads, self.count), taken, alone)
        if taken and parcel.device == "cuda":
            parcel = replace(parcel, device=f"cuda:{taken[0]}")
        try:
            inner = self._workers().submit(self.compute, parcel, self.place)
        except Exception as error:
            if not _is_loss(error):
                raise
            self._broken = True  # a worker died since the last parcel was handed in
            inner = self._workers().submit(self.compute, parcel, self.place)
        inner.add_done_callback(lambda done: self._ended(future, done))
        return future

    def _workers(self) -> Any:
        if self._broken:
            self._end_workers()
        if self._executor is None:
            from loky import ProcessPoolExecutor

            self._executor = ProcessPoolExecutor(
                self.count,
                initializer=start_worker,
                initargs=(list(sys.path), os.getpid()),
                env=dict.fromkeys(THREAD_VARIABLES, "1"),
            )
        return self._executor

    def _ended(self, future: Future[list[Done]], inner: Future[list[Done]]) -> None:
        """Pass on what became of a parcel."""
        with self._lock:
            sent = self._sent.pop(future, None)
            if sent is not None:
                self.gpus.give_back(sent.gpus)
        if inner.cancelled():
            call_off(future)
        elif (error := inner.exception()) is None:
            give(future, inner.result())
        elif _is_loss(error):
            self._broken = True
            cure = "its worker process died (out of memory?); try fewer workers"
            give(future, None, WorkerLost(cure))
        else:
            give(future, None, error)

    def capacity(self) -> int:
        """Return how many parcels of one thread are computed at a time."""
        return self.count

    def describe(self) -> str:
        """Return where parcels are computed, for people."""
        return f"{self.count} worker processes"

    def stop(self) -> None:
        """End the workers at once and cancel what is in flight."""
        for future in list(self._sent):  # first, so that none ends in how its worker was ended
            call_off(future)
        self._end_workers()
        self._sent.clear()

    def _end_workers(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
        self._executor = None
        self._broken = False


def _is_loss(error: BaseException) -> bool:
    return type(error).__name__ in ("TerminatedWorkerError", "BrokenProcessPool")


def start_worker(paths: list[str], parent: int) -> None:
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
