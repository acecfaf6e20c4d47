"""A Dask cluster as a pool: each parcel is sent to one worker, so that it is known who died of it.

A worker is looked over before it is sent anything. When it is gone, the parcel that it computed is
lost, those that waited behind that one are sent to others, and nothing else is touched.
"""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from runner.clusters import connect
from runner.code import CodeReader
from runner.dask_worker import (
    LIBRARIES,
    Admission,
    Passport,
    admit,
    compute_there,
    dismiss,
    libraries,
    modules_of,
)
from runner.errors import RunnerError
from runner.executors import Compute, Place, PoolError, Unmet, WorkerLost, call_off, give
from runner.gpus import Gpus, cuda_devices, gpu_on
from runner.work import Done, Parcel

_LOOK = 0.3  # seconds between looks at which workers there are
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
    hand: _Hand | None = None
    remote: Any = None  # Dask's future
    gpus: tuple[int, ...] = ()


@dataclass(eq=False)
class _Hand:
    """A worker that was looked over, with what it was sent: it computes the first."""

    address: str
    threads: int
    gpus: int
    load: list[_Sent] = field(default_factory=list)


def _say(text: str) -> None:
    import click

    click.echo(text, err=True)


class DaskPool:
    """Parcels on Dask workers."""

    tries = 3

    def __init__(
        self, text: str, place: Place, compute: Compute, say: Callable[[str], None] = _say
    ) -> None:
        import dask

        self.place = place
        self.compute = compute
        self.say = say
        self.cluster = connect(text)
        self.patience = float(dask.utils.parse_timedelta(dask.config.get("runner.patience", "60s")))
        self._lock = threading.RLock()  # callbacks come in Dask's own threads
        self._hands: dict[str, _Hand] = {}
        self._looked_over: set[str] = set()
        self._waiting: list[_Sent] = []  # for a worker that can take them
        self._sent: set[_Sent] = set()
        self._code: dict[str, dict[str, str]] = {}
        self._gpus = Gpus(cuda_devices)
        self._unmet: dict[tuple[int, int], float] = {}  # needs -> since when no worker meets them
        self._told: set[str] = set()
        self._seconds = 60.0  # that a parcel took, on the whole, of late
        self._wrong: PoolError | None = None
        self._over = threading.Event()
        self._passport = self._made_passport()
        self._workers_there = self._look()
        if not self._workers_there:
            self.say(f"no workers yet at {self.cluster.name}; waiting for them (Ctrl-C ends)")
        threading.Thread(target=self._keep_looking, daemon=True).start()

    # -- the loop's side -----------------------------------------------------------------------

    def room(self, threads: int, gpu: int = 0, alone: bool = False) -> bool:
        """Return whether a worker is free for a parcel with these needs.

        A parcel that no worker can take has room too: it waits for one, and fails in the end.
        """
        del alone  # it is known which parcel a worker died of
        with self._lock:
            if self._wrong is not None:
                raise self._wrong
            if not self._hands:
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
        return max(1, len(self._hands))

    def describe(self) -> str:
        """Return where parcels are computed, for people."""
        count = len(self._hands)
        return f"{count} Dask worker{'s' if count != 1 else ''} at {self.cluster.name}"

    def stop(self) -> None:
        """Call off what is in flight; leave the cluster, and end one that was started here."""
        self._over.set()
        with self._lock:
            sent, self._sent = list(self._sent), set()
            self._waiting.clear()
            addresses = list(self._hands)
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

    def _fitting(self, threads: int, gpu: int) -> list[_Hand]:
        """Return the workers that could ever take a parcel with these needs."""
        if self.cluster.threads:  # one machine: what its workers share is counted, not theirs
            there = self._gpus.total if gpu else 0
            return list(self._hands.values()) if gpu <= there else []
        return [h for h in self._hands.values() if h.threads >= threads and h.gpus >= gpu]

    def _free(self, threads: int, gpu: int) -> _Hand | None:
        """Return the worker to take a parcel with these needs now, if there is one."""
        need = self._need(threads)
        busy = sum(sent.threads for hand in self._hands.values() for sent in hand.load)
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
                elif self._hands and self._given_up(sent.threads, sent.gpu):
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
        most = max(hand.threads for hand in self._hands.values())
        gpus = max(hand.gpus for hand in self._hands.values())
        return (
            f"asks for threads = {threads}, gpu = {gpu}, and of the {len(self._hands)} workers at "
            f"{self.cluster.name} none has that (at most {most} threads, {gpus} GPUs); start some "
            f'with `dask worker --nthreads {threads} --resources "GPU={gpu}"`'
        )

    def _send(self, sent: _Sent, hand: _Hand) -> None:
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
            self._break(self._gone(f"{error}"))

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
        if remote is not sent.remote or self._over.is_set():
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
            self._break(self._gone("the connection was lost"))

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

    def _lose(self, hand: _Hand | None) -> None:
        """Note that a worker is gone: what it computed is lost, the rest is sent elsewhere."""
        with self._lock:
            if hand is None or self._hands.get(hand.address) is not hand:
                return
            del self._hands[hand.address]
            self._looked_over.discard(hand.address)
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

    def _gone(self, cause: str) -> PoolError:
        return PoolError(
            f"the Dask scheduler at {self.cluster.name} is gone ({cause}); start it and run the "
            "same command again: nothing done is lost"
        )

    def _break(self, error: PoolError) -> None:
        """End all that is in flight: no parcel can be computed any more."""
        if self._over.is_set():
            return
        with self._lock:
            self._wrong = self._wrong or error
            sent = list(self._sent)
        for one in sent:
            self._settle(one, None, self._wrong)

    # -- looking workers over ------------------------------------------------------------------

    def _made_passport(self) -> Passport:
        seen = self.place.progress / "seen"
        token = uuid.uuid4().hex
        try:
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.write_text(token, "utf-8")
        except OSError as error:
            raise PoolError(f"cannot write {seen}: {error.strerror}") from error
        roots = self.place.registry.roots
        return Passport(
            self.place.run, str(seen.resolve()), token, tuple(str(r.folder.parent) for r in roots),
            tuple(root.package for root in roots), own=bool(self.cluster.threads),
        )  # fmt: skip

    def _keep_looking(self) -> None:
        while not self._over.wait(_LOOK):
            if self.cluster.client.status != "running":
                self._break(self._gone("the connection was lost"))
                return
            with suppress(Exception):  # seen again at the next look, or by the status
                self._look()
                self._send_waiting()

    def _look(self) -> int:
        """Note which workers are there, new and gone; return how many there are."""
        client = self.cluster.client  # its own `scheduler_info` is at times without the workers
        there = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
        with self._lock:
            gone = [hand for address, hand in self._hands.items() if address not in there]
            self._looked_over &= set(there)
            new = {
                address: worker
                for address, worker in there.items()
                if address not in self._looked_over and worker["status"] == "running"
            }
            self._looked_over |= set(new)
        for hand in gone:
            self._lose(hand)
        for address, worker in new.items():
            threading.Thread(target=self._look_over, args=(address, worker), daemon=True).start()
        return len(there)

    def _look_over(self, address: str, worker: dict[str, Any]) -> None:
        """Have a worker looked over; send it parcels from now on, or end the run."""
        try:
            answer = self.cluster.client.run(
                admit, self._passport, workers=[address], on_error="return"
            )[address]
        except Exception as error:
            answer = error
        if isinstance(answer, OSError) or self._over.is_set():
            with self._lock:
                self._looked_over.discard(address)  # it died, or is being replaced: look again
            return
        if isinstance(answer, BaseException):
            wrong = f"cannot be used ({answer!r}); start it from the runner's environment"
            answer = Admission(wrong, {})
        if answer.wrong:
            self._break(PoolError(f"the Dask worker {address} {answer.wrong}"))
            return
        self._compare(address, answer)
        with self._lock:
            gpus = int(worker["resources"].get("GPU", 0))
            self._hands[address] = _Hand(address, worker["nthreads"], gpus)
        self._send_waiting()

    def _compare(self, address: str, answer: Admission) -> None:
        """Warn of other versions of libraries: they are recorded, but numbers may differ."""
        ours, theirs = libraries(), dict(answer.libraries)
        other = [
            f"{name} {theirs.get(name, 'missing')} (here {ours.get(name, 'missing')})"
            for name in LIBRARIES
            if theirs.get(name, "").partition("+")[0] != ours.get(name, "").partition("+")[0]
        ]
        text = ", ".join(other)
        if other and text not in self._told:
            self._told.add(text)
            self.say(f"warning: the Dask worker {address} has other versions: {text}")
