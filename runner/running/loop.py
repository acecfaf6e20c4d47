"""The loop: ready -> submit, done -> readers go on, failed -> readers blocked, the rest goes on."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from runner.computing.batch import FULL
from runner.computing.contents import Contents
from runner.computing.executors import Place, Pool, PoolError, WorkerLost, open_pool, settled
from runner.computing.parcels import Group, Pace, groups, identified, parcel
from runner.computing.results import as_done
from runner.computing.work import Done, Parcel
from runner.errors import Failure
from runner.planning.plan import Node, sources
from runner.running.beat import Beat
from runner.running.outcome import BLOCKED, CACHED, NOT_RUN, PASSED

if TYPE_CHECKING:
    from runner.running.execute import Run

LOOK_AGAIN = 0.3  # seconds between looks at what other runs are computing


class Loop:
    """Submits groups whose inputs are there, as many as the pool has room for."""

    def __init__(self, run: Run, missing: dict[str, Node]) -> None:
        self.run = run
        self.missing = missing
        self.failures = 0
        self.looked = 0.0  # when it was last seen what other runs are at
        self.full = False  # whether there is no space left to store results in
        self.contents = Contents(run.plan, run.store)
        self.pace = Pace()
        self.ready: list[tuple[int, Group]] = []  # a heap
        self.alike: Counter[str] = Counter()  # how many of them each step has
        self.waiting: dict[int, set[str]] = {}
        self.elsewhere: dict[int, Group] = {}  # what other runs are computing
        self.holders: Counter[str] = Counter()  # how many of those nodes each of them holds
        self.readers: dict[str, list[int]] = {}
        self.tries: dict[int, int] = {}
        self.groups = dict(enumerate(_urgent_first(groups(run.plan, missing), run.first, missing)))
        self.running: dict[Future[list[Done]], tuple[int, ...]] = {}
        self.beat = Beat(lambda groups: run.tick(groups, run.progress, {}))
        for number, group in self.groups.items():
            needs = {n.key for node in group.nodes for n in _needs(node, missing)}
            needs -= {node.key for node in group.nodes}
            self.waiting[number] = needs
            for key in needs:
                self.readers.setdefault(key, []).append(number)
            if not needs:
                self._push(number, group)

    def _push(self, number: int, group: Group) -> None:
        heapq.heappush(self.ready, (number, group))
        self.alike[group.step] += 1

    def _pop(self) -> tuple[int, Group]:
        number, group = heapq.heappop(self.ready)
        self.alike[group.step] -= 1
        return number, group

    @cached_property
    def pool(self) -> Pool:
        """Where groups are computed; opened for the first one."""
        run = self.run
        place = Place(run.store.folder, run.registry, run.token, run.progress)
        pool = open_pool(run.options.workers, place, run.options.dask)
        run.where = pool.describe()
        return pool

    def work(self) -> None:
        """Run until nothing is ready or running, enough has failed, or the disk is full.

        Raises: PoolError when nothing can be computed any more.
        """
        limit = self.run.options.stop_after
        while self.ready or self.running or self.elsewhere:
            if limit is not None and self.failures >= limit:
                return
            if self.full:
                return
            self._submit()
            if self.running or self.ready:
                for future in settled(self.running, 0.2):
                    self._finish(future)
            elif self.elsewhere:
                time.sleep(0.1)
            if self.elsewhere:
                self._look_elsewhere()
            self._tell()

    def _tell(self) -> None:
        running = {str(n): self.groups[n] for numbers in self.running.values() for n in numbers}
        waiting = {} if self.ready or not self.elsewhere else self.holders
        self.run.tick(running, self.run.progress, waiting)

    def stop(self) -> None:
        """End the workers."""
        if "pool" in self.__dict__:
            self.pool.stop()
        self.beat.stop()

    # -- handing over --------------------------------------------------------------------------

    def _submit(self) -> None:
        """Submit what there is room for; what needs a GPU does not hold up what needs none."""
        full: list[tuple[int, Group]] = []
        refused: set[tuple[int, int, bool]] = set()
        while self.ready:
            number, group = self.ready[0]
            alone = number in self.tries
            needs = (group.threads, group.gpu, alone)
            if needs in refused or not self.pool.room(*needs):
                refused.add(needs)
                full.append(self._pop())
                if group.gpu == 0 and not alone:
                    break  # what asks for least has no room
                continue
            numbers, handed = self._next(alone)
            if handed is not None:
                self.running[self._hand_in(handed, numbers, alone)] = numbers
        for item in full:
            self._push(*item)

    def _hand_in(self, handed: Parcel, numbers: tuple[int, ...], alone: bool) -> Future[list[Done]]:
        """Submit a parcel; where that is to compute it, it is told of meanwhile."""
        gpu = self.groups[numbers[0]].gpu
        if not self.pool.computes_here:
            return self.pool.submit(handed, gpu, alone)
        with self.beat.during({str(number): self.groups[number] for number in numbers}):
            return self.pool.submit(handed, gpu, alone)

    def _next(self, alone: bool) -> tuple[tuple[int, ...], Parcel | None]:
        """Take what is handed over next: a group, or several of one step whose nodes are quick."""
        number, group = self._pop()
        numbers = [number]
        if not (alone or group.fused or self.run.options.stop_after is not None):
            alike = self.alike[group.step] + 1
            size = self.pace.bundle(group.step, alike, self.pool.capacity())
            while len(numbers) < size and self.ready and self.ready[0][1].step == group.step:
                if self.ready[0][0] in self.tries:
                    break
                numbers.append(self._pop()[0])
        nodes = tuple(node for n in numbers for node in self.groups[n].nodes)
        self._fetch(nodes)
        whole = replace(group, nodes=nodes)
        handed = parcel(whole, self.run.plan, self.contents, self.run.options.device)
        known = self._known(handed)
        rest = tuple(work for work in handed.works if work.key not in known)
        return tuple(numbers), replace(handed, works=rest) if rest else None

    def _fetch(self, nodes: Iterable[Node]) -> None:
        """Bring what nodes read from the shared store, if there is one and it is not here yet."""
        store = self.run.store
        if self.run.shared is None or not store.far:
            return
        read = {source.key for node in nodes for source in sources(node)}
        objects: dict[str, int] = {}
        for key in read:
            objects |= store.records.objects(key) or {}
        self.run.shared.fetch({d: s for d, s in objects.items() if not store.is_here(d, s)})

    def _known(self, handed: Parcel) -> set[str]:
        """Note the nodes whose inputs have the content of a stored node's; return their keys."""
        store = self.run.store
        same = []
        for work in handed.works:
            known = work.key
            if not store.has(known) and work.content:
                known = store.records.of_content(work.content) or ""
            if store.has(known):
                same.append((work, known))
        store.adopt([(identified(work), known) for work, known in same if known != work.key])
        for work, known in same:
            node = self.missing[work.key]
            if known == work.key:  # another run stored it meanwhile
                self._note(node, as_done(store, known))
            else:
                self.run.note_cached(node)
                self.failures += self.run.fails(self.run.results[work.key])
                self._settled(work.key)
        return {work.key for work, _ in same}

    def _finish(self, future: Future[list[Done]]) -> None:
        numbers = self.running.pop(future)
        try:
            dones = future.result()
        except PoolError:
            raise
        except WorkerLost as error:
            self._lost(numbers, error)
        except Exception as error:
            for number in numbers:
                self._fail(number, type(error).__name__, f"{error}")
        else:
            outcomes = {done.key: done for done in dones}
            seconds = [done.seconds for done in dones if done.entry]
            self.pace.note(self.groups[numbers[0]].step, seconds)
            for number in numbers:
                self._end(number, outcomes)

    def _end(self, number: int, outcomes: dict[str, Done]) -> None:
        left = []
        for node in self.groups[number].nodes:
            done = outcomes.get(node.key)
            if done is None:  # adopted when it was handed over, or the disk is full
                continue
            if done.entry is None and done.failure is None:
                left.append(node)
                continue
            self._note(node, done)
        if left:
            self.elsewhere[number] = replace(self.groups[number], nodes=tuple(left))

    def _note(self, node: Node, done: Done) -> None:
        if done.entry is not None:
            self.run.store.records.add(done.key, done.entry)
            if self.run.shared is not None:
                self.run.shared.offer()
        elif done.failure is not None and done.failure.kind == FULL:
            self.full = True
        self.run.note_done(node, done)
        self.failures += self.run.fails(self.run.results[node.key])
        self._settled(node.key)

    def _look_elsewhere(self) -> None:
        """Take what other runs finished; take over what they let go of."""
        if time.monotonic() - self.looked < LOOK_AGAIN:
            return
        self.looked = time.monotonic()
        store = self.run.store
        store.refresh()
        self.holders = Counter()
        for number, group in list(self.elsewhere.items()):
            there = [node for node in group.nodes if store.has(node.key)]
            rest = tuple(node for node in group.nodes if node not in there)
            owners = [store.claims.holder(node.key) for node in rest]
            self.holders.update(store.claims.told(owner) for owner in owners if owner is not None)
            free = None in owners
            del self.elsewhere[number]
            self.groups[number] = replace(group, nodes=rest)
            if rest and free:
                self._push(number, self.groups[number])
            elif rest:
                self.elsewhere[number] = self.groups[number]
            for node in there:
                self._note(node, as_done(store, node.key))

    # -- trouble -------------------------------------------------------------------------------

    def _lost(self, numbers: tuple[int, ...], error: WorkerLost) -> None:
        """Try groups again whose worker died, else count them as failed."""
        self.run.store.refresh()
        for number in numbers:
            self.tries[number] = self.tries.get(number, 0) + 1
            self._keep_stored(number)
            if not self.groups[number].nodes:
                continue
            if self.tries[number] < self.pool.tries:
                self._push(number, self.groups[number])
            else:
                message = f"{error}; it was tried {self.tries[number]} times"
                self._fail(number, type(error).__name__, message)

    def _keep_stored(self, number: int) -> None:
        """Note the nodes of a group that their worker had stored before it died."""
        group = self.groups[number]
        store = self.run.store
        stored = [n for n in group.nodes if n.key not in self.run.results and store.has(n.key)]
        rest = tuple(n for n in group.nodes if n not in stored and n.key not in self.run.results)
        self.groups[number] = replace(group, nodes=rest)
        for node in stored:
            self._note(node, as_done(store, node.key))

    def _fail(self, number: int, kind: str, message: str) -> None:
        for node in self.groups[number].nodes:
            if node.key not in self.run.results:
                self._note(node, Done(node.key, None, Failure(kind, message)))

    def _settled(self, key: str) -> None:
        """Let the groups that waited for a node go on, or block them when it failed."""
        failed = self.run.results[key].status not in (PASSED, CACHED)
        for number in self.readers.get(key, ()):
            if failed:
                self._block(number, key)
            elif number in self.waiting:
                self.waiting[number].discard(key)
                if not self.waiting[number]:
                    self._push(number, self.groups[number])
                    del self.waiting[number]

    def _block(self, number: int, key: str) -> None:
        """Note the group's nodes that need `key` as blocked; the rest of it goes on."""
        if number not in self.waiting:
            return
        group = self.groups[number]
        lost = [n for n in group.nodes if any(m.key == key for m in _needs(n, self.missing))]
        rest = tuple(node for node in group.nodes if node not in lost)
        self.groups[number] = replace(group, nodes=rest)
        self.waiting[number].discard(key)
        if not rest:
            del self.waiting[number]
        elif not self.waiting[number]:
            self._push(number, self.groups[number])
            del self.waiting[number]
        for node in lost:
            claim = node.family == "hypotheses" and any(r.key == key for r in node.requires)
            self.run.note_blocked(node, NOT_RUN if claim else BLOCKED)
        for node in lost:
            self._settled(node.key)


def _needs(node: Node, missing: dict[str, Node]) -> list[Node]:
    """Return the missing nodes that must be stored before a node can be computed."""
    return [source for source in sources(node) if source.key in missing]


def _urgent_first(
    found: Iterable[Group], first: frozenset[str], missing: dict[str, Node]
) -> list[Group]:
    """Return the groups with those in front that hold, or are needed by, a node of `first`."""
    urgent = set(first)
    for node in reversed(missing.values()):  # readers before what they read
        if node.key in urgent:
            urgent.update(source.key for source in _needs(node, missing))
    return sorted(found, key=lambda group: not any(node.key in urgent for node in group.nodes))
