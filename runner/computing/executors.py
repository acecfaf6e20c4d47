"""Where parcels run: in this process, in local workers or on a cluster, behind one `Pool`.

The loop asks whether there is room, submits, and gets a `concurrent.futures.Future` that always
settles. What a lost worker takes along, and how the pool mends itself, is the pool's own affair.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.computing.compute import THREAD_VARIABLES, Workshop
from runner.computing.gpus import Gpus, cuda_devices
from runner.computing.work import Done, Parcel
from runner.errors import RunnerError
from runner.registry import Registry
from runner.storage.store import Store


class WorkerLost(Exception):  # noqa: N818  # what happened, not what is wrong
    """The worker that computed a parcel died; the parcel may be submitted again."""


class PoolError(RunnerError):
    """No parcel can be computed any more; the message names the cause and the cure."""


class Unmet(RunnerError):  # noqa: N818  # same
    """A parcel asks for what no worker has, or will have in time."""


@dataclass(frozen=True)
class Place:
    """What a worker must know to open its workshop."""

    store: Path
    registry: Registry
    run: str
    progress: Path  # folder for progress files


Compute = Callable[[Parcel, Place], list[Done]]


class Pool(Protocol):
    """Where parcels of one run are computed."""

    tries: int  # how often a parcel may lose its worker before it counts as failed
    computes_here: bool  # whether `submit` returns only when the parcel is computed

    def room(self, threads: int, gpu: int = 0, alone: bool = False) -> bool:
        """Return whether a parcel with these needs may be submitted now.

        `alone` is said of a parcel that has lost a worker before: where a dying worker takes
        others along, nothing runs beside such a one.

        Raises: PoolError.
        """
        ...

    def submit(self, parcel: Parcel, gpu: int = 0, alone: bool = False) -> Future[list[Done]]:
        """Hand in a parcel that there is room for.

        The future ends in what became of each node, or in WorkerLost, Unmet, PoolError, or what
        else went wrong with this parcel.
        """
        ...

    def capacity(self) -> int:
        """Return how many parcels of one thread are computed at a time, as things stand."""
        ...

    def describe(self) -> str:
        """Return where parcels are computed, for people."""
        ...

    def stop(self) -> None:
        """End at once: cancel what is in flight, end the workers that are the pool's own."""
        ...


def open_pool(workers: int, place: Place, dask: str = "", compute: Compute | None = None) -> Pool:
    """Return the pool for a run: `dask` is the text of `--dask`, else `workers` local ones.

    Raises: PoolError when the cluster cannot be reached or made.
    """
    for name in THREAD_VARIABLES:  # read by libraries when they load: set before anything does
        os.environ.setdefault(name, "1")
    if dask:
        from runner.computing.dask_pool import DaskPool

        return DaskPool(dask, place, compute or compute_here)
    if workers == 1:
        return InProcess(place, compute or compute_here)
    from runner.computing.loky_pool import LokyPool

    return LokyPool(workers, place, compute or compute_here)


def settled(futures: Collection[Future[list[Done]]], seconds: float) -> set[Future[list[Done]]]:
    """Return the futures that have ended, waiting for the first one, at most so long."""
    if not futures:  # nothing could be submitted yet: a cluster may still be without workers
        time.sleep(min(seconds, 0.05))
        return set()
    return wait(futures, timeout=seconds, return_when=FIRST_COMPLETED).done


_HERE: dict[str, Workshop] = {}  # this process's workshop, by run


def compute_here(parcel: Parcel, place: Place) -> list[Done]:
    """Compute a parcel in this process, whose workshop is opened for the first one of a run."""
    if place.run not in _HERE:
        close_here()
        progress = place.progress / f"{socket.gethostname()}-{os.getpid()}.json"
        _HERE[place.run] = Workshop(Store(place.store), place.registry, place.run, progress)
    return _HERE[place.run].compute(parcel)


def close_here() -> None:
    """Close this process's workshop: no log is left open."""
    for workshop in _HERE.values():
        workshop.store.close()
    _HERE.clear()


def give(
    future: Future[list[Done]], result: list[Done] | None, error: BaseException | None = None
) -> None:
    """Settle a future, unless it is settled already: a stopped pool's workers may come late."""
    with suppress(Exception):  # InvalidStateError: whoever was first has said what there is to say
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result([] if result is None else result)


def call_off(future: Future[list[Done]]) -> None:
    """Cancel a future and wake whoever waits for it."""
    if future.cancel():
        future.set_running_or_notify_cancel()


class InProcess:
    """Computes each parcel as it is submitted, in this process."""

    tries = 1
    computes_here = True

    def __init__(
        self, place: Place, compute: Compute, gpus: Callable[[], int] = cuda_devices
    ) -> None:
        self.place = place
        self.compute = compute
        self.gpus = Gpus(gpus)
        self._unread = False  # whether a result is there that nobody has had time to look at

    def room(self, threads: int, gpu: int = 0, alone: bool = False) -> bool:
        """Return whether to submit now: after each parcel the loop looks at its result first."""
        del threads, gpu, alone
        room, self._unread = not self._unread, False
        return room

    def submit(self, parcel: Parcel, gpu: int = 0, alone: bool = False) -> Future[list[Done]]:
        """Compute now; the future is settled when this returns."""
        del alone
        future: Future[list[Done]] = Future()
        self._unread = True
        try:
            if wrong := self.gpus.unmet(parcel.device, gpu):
                raise Unmet(wrong)
            future.set_result(self.compute(parcel, self.place))
        except Exception as error:  # handed to whoever asks for the result
            future.set_exception(error)
        return future

    def capacity(self) -> int:
        """Return how many parcels are computed at a time."""
        return 1

    def describe(self) -> str:
        """Return where parcels are computed, for people."""
        return "in this process"

    def stop(self) -> None:
        """Close this process's workshop: nothing is left running."""
        close_here()
