"""A Dask cluster as a pool: each parcel is sent to one worker, so that it is known who died of it.

When a worker is gone, the parcel that it computed is lost, those that waited behind that one are
sent to others, and nothing else is touched.
"""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runner.computing.clusters import connect
from runner.computing.dask_roster import Hand, Roster, gone
from runner.computing.dask_worker import compute_there, dismiss, modules_of
from runner.computing.executors import Compute, Place, PoolError, Unmet, WorkerLost, call_off, give
from runner.computing.gpus import Gpus, cuda_devices, gpu_on
from runner.computing.work import Done, Parcel
from runner.errors import RunnerError
from runner.planning.code import CodeReader

_QUICK = 0.5  # seconds; parcels that take less may wait at a worker, so that it does not idle


@dataclass(eq=False)
class _Sent:
    """A parcel in flight."""

    payload: bytes
    label: str
    threads: int
    gpu: int
    future: Future[list[Done]]
    since: float
    hand: Hand | None = None
    remote: Any = None  # Dask's future
    gpus: tuple[int, ...] = ()


def _say(text: str) -> None:
    import click

    click.echo(text, err=True)


class DaskPool:
    """Parcels on Dask workers."""

    tries = 3
    computes_here = False

    def __init__(
        self, text: str, place: Place, compute: Compute, say: Callable[[str], None] = _say
    ) -> None:
        import dask

        self.place = place
        self.compute = compute
        self.cluster = connect(text)
        self.patience = float(dask.utils.parse_timedelta(dask.config.get("runner.patience", "60s")))
        self._lock = threading.RLock()  # callbacks come in Dask's own threads
        self._waiting: list[_Sent] = []  # for a worker that can take them
        self._sent: set[_Sent] = set()
        self._code: dict[str, dict[str, str]] = {}
        self._gpus = Gpus(cuda_devices)
        self._unmet: dict[tuple[int, int], float] = {}  # needs -> since when no worker meets them
        self._seconds = 60.0  # that a parcel took, on the whole, of late
        self._wrong: PoolError | None = None
        self.roster = Roster(
            self.cluster, place, say, self._lock,
            came=self._send_waiting, left=self._lose, wrong=self._break,
        )  # fmt: skip
        try:
            self.roster.open()
        except BaseException:
            self.cluster.end()
            raise

    # -- the loop's side -----------------------------------------------------------------------

    def room(self, threads: int, gpu: int = 0, alone: bool = False) -> bool:
        """Return whether a worker is free for a parcel with these needs.

        A parcel that no worker can take has room too: it waits for one, and fails in the end.
        """
        del alone  # it is known which parcel a worker died of
        with self._lock:
            if self._wrong is not None:
                raise self._wrong
            if not self.roster.hands:
                return False
            if self._fitting(threads, gpu):
                return self._free(threads, gpu) is not None
            return not self._waiting or self._given_up(threads, gpu)

    def submit(self, parcel: Parcel, gpu: int = 0, alone: bool = False) -> Future[list[Done]]:
        """Send a parcel to the worker with the least to do."""
        del alone
        future: Future[list[Done]] = Future()
        if wrong := gpu_on(parcel.device, gpu):
            future.set_exception(Unmet(wrong))
            return future
        gpus: tuple[int, ...] = ()
        if self.cluster.threads and gpu:
            with self._lock:
                gpus = tuple(self._gpus.take(gpu))
            if gpus and parcel.device == "cuda":
                parcel = replace(parcel, device=f"cuda:{gpus[0]}")
        sent = _Sent(
            self._payload(parcel), parcel.works[0].label if parcel.works else "parcel",
            self._need(parcel.threads), gpu, future, time.monotonic(), gpus=gpus,
        )  # fmt: skip
        with self._lock:
            self._sent.add(sent)
            self._waiting.append(sent)
        self._send_waiting()
        return future

    def capacity(self) -> int:
        """Return how many workers compute parcels now; one where they are yet to come."""
        return max(1, len(self.roster.hands))

    def describe(self) -> str:
        """Return where parcels are computed, for people."""
        count = len(self.roster.hands)
        return f"{count} Dask worker{'s' if count != 1 else ''} at {self.cluster.name}"

    def stop(self) -> None:
        """Call off what is in flight; leave the cluster, and end one that was started here."""
        self.roster.over.set()
        with self._lock:
            sent, self._sent = list(self._sent), set()
            self._waiting.clear()
            addresses = list(self.roster.hands)
        for one in sent:
            call_off(one.future)
        if not self.cluster.threads and self._wrong is None:
            with suppress(Exception):
                self.cluster.client.cancel([s.remote for s in sent if s.remote], force=True)
                self.cluster.client.run(dismiss, self.place.run, workers=addresses, wait=False)
        self.cluster.end()

    # -- which worker --------------------------------------------------------------------------

    def _need(self, threads: int) -> int:
        return min(threads, self.cluster.threads or threads)

    def _fitting(self, threads: int, gpu: int) -> list[Hand]:
        """Return the workers that could ever take a parcel with these needs."""
        if self.cluster.threads:  # one machine: what its workers share is counted, not theirs
            there = self._gpus.total if gpu else 0
            return list(self.roster.hands.values()) if gpu <= there else []
        return [h for h in self.roster.hands.values() if h.threads >= threads and h.gpus >= gpu]

    def _free(self, threads: int, gpu: int) -> Hand | None:
        """Return the worker to take a parcel with these needs now, if there is one."""
        need = self._need(threads)
        busy = sum(sent.threads for hand in self.roster.hands.values() for sent in hand.load)
        single = need == 1 and not gpu and self._seconds < _QUICK
        if self.cluster.threads:
            if gpu and len(self._gpus.free()) < gpu:
                return None
            if busy + need > self.cluster.threads and not (single and busy == len(self._sent)):
                return None
        hand = min(self._fitting(threads, gpu), key=lambda h: len(h.load), default=None)
        if hand is None or not hand.load:
            return hand
        deep = single and (hand.threads == 1 or bool(self.cluster.threads))
        return hand if deep and len(hand.load) < 2 else None

    def _send_waiting(self) -> None:
        """Send what waits and can be taken; fail what nobody will take in time."""
        failed: list[tuple[_Sent, RunnerError]] = []
        with self._lock:
            for sent in list(self._waiting):
                if self._wrong is not None:
                    failed.append((sent, self._wrong))
                    continue
                fitting = self._fitting(sent.threads, sent.gpu)
                if fitting:
                    self._unmet.pop((sent.threads, sent.gpu), None)
                    self._send(sent, min(fitting, key=lambda hand: len(hand.load)))
                elif self.roster.hands and self._given_up(sent.threads, sent.gpu):
                    failed.append((sent, Unmet(self._lacking(sent.threads, sent.gpu))))
        for sent, error in failed:
            self._settle(sent, None, error)

    def _given_up(self, threads: int, gpu: int) -> bool:
        since = self._unmet.setdefault((threads, gpu), time.monotonic())
        patience = 0.0 if self.cluster.threads else self.patience
        return time.monotonic() - since >= patience

    def _lacking(self, threads: int, gpu: int) -> str:
        if self.cluster.threads:
            return self._gpus.unmet("cuda", gpu)
        there = self.roster.hands.values()
        most = max(hand.threads for hand in there)
        gpus = max(hand.gpus for hand in there)
        return (
            f"asks for threads = {threads}, gpu = {gpu}, and of the {len(there)} workers at "
            f"{self.cluster.name} none has that (at most {most} threads, {gpus} GPUs); start some "
            f'with `dask worker --nthreads {threads} --resources "GPU={gpu}"`'
        )

    def _send(self, sent: _Sent, hand: Hand) -> None:
        """Hand a parcel to a worker. The lock is held."""
        self._waiting.remove(sent)
        sent.hand = hand
        hand.load.append(sent)
        asks = {"GPU": sent.gpu} if sent.gpu and not self.cluster.threads else None
        try:
            sent.remote = self.cluster.client.submit(
                compute_there, sent.payload, self.place.run, pure=False, resources=asks,
                key=f"{sent.label}-{uuid.uuid4().hex[:8]}", workers=[hand.address],
                allow_other_workers=False,
            )  # fmt: skip
            sent.remote.add_done_callback(partial(self._ended, sent))
        except Exception as error:
            self._break(gone(self.cluster.name, f"{error}"))

    def _payload(self, parcel: Parcel) -> bytes:
        code = {module: self._code_of(module) for module in modules_of(parcel.works)}
        if parcel.works and (own := type(parcel.works[0].plugin).__module__) in code:
            code[own] = dict(parcel.code)  # as it was planned with
        return pickle.dumps((self.compute, parcel, self.place, code))

    def _code_of(self, module: str) -> dict[str, str]:
        if module not in self._code:
            self._code[module] = CodeReader(self.place.registry.packages([module])).reach(module)
        return self._code[module]

    # -- what became of it ---------------------------------------------------------------------

    def _ended(self, sent: _Sent, remote: Any) -> None:
        """Take what a worker reported. Runs in Dask's callback thread."""
        if remote is not sent.remote or self.roster.over.is_set():
            return
        if remote.status == "finished":
            try:
                result = remote.result(timeout=60)
            except Exception:
                self._lose(sent.hand)  # the worker died with the answer; the nodes are stored
            else:
                self._settle(sent, result)
        elif remote.status == "error":
            error = remote.exception()
            if isinstance(error, PoolError):
                self._break(error)
            elif type(error).__name__ in ("KilledWorker", "NotAdmitted"):
                self._lose(sent.hand)
            else:
                self._settle(sent, None, error)
        else:
            self._break(gone(self.cluster.name, "the connection was lost"))

    def _settle(
        self, sent: _Sent, result: list[Done] | None, error: BaseException | None = None
    ) -> None:
        with self._lock:
            self._sent.discard(sent)
            if sent in self._waiting:
                self._waiting.remove(sent)
            if sent.hand is not None and sent in sent.hand.load:
                sent.hand.load.remove(sent)
            self._gpus.give_back(sent.gpus)
            sent.remote = None  # Dask forgets it
            if error is None:
                self._seconds += 0.3 * (time.monotonic() - sent.since - self._seconds)
        give(sent.future, result, error)

    def _lose(self, hand: Hand | None) -> None:
        """Note that a worker is gone: what it computed is lost, the rest is sent elsewhere."""
        with self._lock:
            if hand is None or not self.roster.drop(hand):
                return
            lost = list(hand.load)
            hand.load.clear()
            remotes = [sent.remote for sent in lost if sent.remote is not None]
            for sent in lost:
                sent.hand = sent.remote = None
            self._waiting += lost[1:]
        with suppress(Exception):
            self.cluster.client.cancel(remotes, force=True)
        if lost:
            cause = "killed, out of memory, or at the end of its time"
            error = WorkerLost(f"its Dask worker {hand.address} died ({cause})")
            self._settle(lost[0], None, error)
        self._send_waiting()

    def _break(self, error: PoolError) -> None:
        """End all that is in flight: no parcel can be computed any more."""
        if self.roster.over.is_set():
            return
        with self._lock:
            self._wrong = self._wrong or error
            sent = list(self._sent)
        for one in sent:
            self._settle(one, None, self._wrong)
