"""Which workers of a Dask cluster there are: each is looked over before it is sent anything."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runner.computing.clusters import Cluster
from runner.computing.dask_worker import LIBRARIES, Admission, Passport, admit, libraries
from runner.computing.executors import Place, PoolError

_LOOK = 0.3  # seconds between looks at which workers there are


@dataclass(eq=False)
class Hand:
    """A worker that was looked over, with what it was sent: it computes the first."""

    address: str
    threads: int
    gpus: int
    load: list[Any] = field(default_factory=list)


def gone(name: str, cause: str) -> PoolError:
    """Return the error that ends a run whose scheduler is gone."""
    return PoolError(
        f"the Dask scheduler at {name} is gone ({cause}); start it and run the same command "
        "again: nothing done is lost"
    )


class Roster:
    """The workers that parcels may be sent to, kept up in a thread of its own.

    `came` is called when there may be more to send, `left` with a worker that is gone, `wrong`
    with what ends the run.
    """

    def __init__(
        self,
        cluster: Cluster,
        place: Place,
        say: Callable[[str], None],
        lock: threading.RLock,
        *,
        came: Callable[[], None],
        left: Callable[[Hand], None],
        wrong: Callable[[PoolError], None],
    ) -> None:
        self.cluster = cluster
        self.place = place
        self.say = say
        self.came, self.left, self.wrong = came, left, wrong
        self.hands: dict[str, Hand] = {}
        self.over = threading.Event()
        self._lock = lock
        self._looked_over: set[str] = set()
        self._told: set[str] = set()
        self._passport: Passport

    def open(self) -> None:
        """Look which workers there are, and go on looking until `over` is set.

        Raises: PoolError when the store cannot be written or the scheduler does not answer.
        """
        self._passport = self._made_passport()
        try:
            count = self._look()
        except OSError as error:
            raise gone(self.cluster.name, f"{error}") from error
        if not count:
            self.say(f"no workers yet at {self.cluster.name}; waiting for them (Ctrl-C ends)")
        threading.Thread(target=self._keep_looking, daemon=True).start()

    def drop(self, hand: Hand) -> bool:
        """Strike a worker off; return whether it was still on. The lock is held."""
        if self.hands.get(hand.address) is not hand:
            return False
        del self.hands[hand.address]
        self._looked_over.discard(hand.address)
        return True

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
        while not self.over.wait(_LOOK):
            if self.cluster.client.status != "running":
                self.wrong(gone(self.cluster.name, "the connection was lost"))
                return
            with suppress(Exception):  # seen again at the next look, or by the status
                self._look()
                self.came()

    def _look(self) -> int:
        """Note which workers are there, new and gone; return how many there are."""
        client = self.cluster.client  # its own `scheduler_info` is at times without the workers
        there = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
        with self._lock:
            gone = [hand for address, hand in self.hands.items() if address not in there]
            self._looked_over &= set(there)
            new = {
                address: worker
                for address, worker in there.items()
                if address not in self._looked_over and worker["status"] == "running"
            }
            self._looked_over |= set(new)
        for hand in gone:
            self.left(hand)
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
        if isinstance(answer, OSError) or self.over.is_set():
            with self._lock:
                self._looked_over.discard(address)  # it died, or is being replaced: look again
            return
        if isinstance(answer, BaseException):
            wrong = f"cannot be used ({answer!r}); start it from the runner's environment"
            answer = Admission(wrong, {})
        if answer.wrong:
            self.wrong(PoolError(f"the Dask worker {address} {answer.wrong}"))
            return
        self._compare(address, answer)
        with self._lock:
            gpus = int(worker["resources"].get("GPU", 0))
            self.hands[address] = Hand(address, worker["nthreads"], gpus)
        self.came()

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
