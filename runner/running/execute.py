"""One execution of a plan: what is stored is passed over, what is missing goes through the loop."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runner.computing.compute import Workshop
from runner.computing.contents import Contents
from runner.computing.parcels import Group, handed
from runner.computing.results import as_done, verdict_of
from runner.computing.work import Done
from runner.errors import Failure, StoreReadOnlyError
from runner.planning.plan import Node, Plan
from runner.registry import Registry
from runner.running.limit import limited
from runner.running.loop import Loop
from runner.running.outcome import CACHED, FAILED, NOT_RUN, PASSED, Options, Result
from runner.running.select import needed
from runner.storage.store import Store
from runner.storage.view import Partial
from runner.types import Verdict

if TYPE_CHECKING:
    from runner.sharing.shared import Shared

# What runs, the folder of progress files, and how many nodes are waited for of whom.
Tick = Callable[[Mapping[str, Group], Path, Mapping[str, int]], None]


@dataclass
class Run:
    """One execution of a plan."""

    plan: Plan
    store: Store
    registry: Registry
    options: Options
    watch: Callable[[Result], None] = lambda result: None  # noqa: ARG005
    tick: Tick = lambda running, progress, waiting: None  # noqa: ARG005
    selected: frozenset[str] | None = None  # keys; None: all nodes
    first: frozenset[str] = frozenset()  # keys of what is computed before the rest
    shared: Shared | None = None  # the store behind the local one
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    results: dict[str, Result] = field(default_factory=dict)
    where: str = ""  # nodes were computed, for people; empty: none was
    interrupted: bool = False
    timed_out: bool = False  # whether it was the time limit that interrupted
    partial: list[Partial] = field(default_factory=list)  # views drawn with holes
    unwritten: str = ""  # why views and manifest are those of an earlier run, if they are

    @cached_property
    def progress(self) -> Path:
        """The folder of this run's progress files."""
        return self.store.progress(self.token)

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The nodes this run is about: the selected ones, and what they need that is missing."""
        self.store.refresh()
        nodes = needed(self.plan, self.store, self.selected)
        if self.shared is None or all(self.store.has(key) for key in nodes):
            return nodes
        self.shared.pull()
        self.shared.bring(needed(self.plan, self.store, self.selected).values())
        nodes = needed(self.plan, self.store, self.selected)
        self.shared.keep(nodes.values())
        return nodes

    def execute(self) -> list[Result]:
        """Compute what is missing; return one result for each node that is stored or failed."""
        try:
            return self._executed()
        finally:
            self.store.close()

    def _executed(self) -> list[Result]:
        missing = self._look_up()
        self.store.clean()
        if missing:
            if self.shared is not None:
                self.shared.begin()
            loop = Loop(self, missing)
            try:
                with limited(self.options.time_limit, self._time_is_up):
                    loop.work()
            except KeyboardInterrupt:
                self.interrupted = True
            except StoreReadOnlyError:
                if not self._judged(missing.values()):
                    raise
            finally:
                loop.stop()
                if "progress" in self.__dict__:
                    shutil.rmtree(self.progress, ignore_errors=True)
                self.store.clean()  # what a killed worker left
            self.store.refresh()  # a worker may have stored a node just before it was ended
            for node in missing.values():
                if node.key in self.results:
                    continue
                if self.store.has(node.key):
                    self.note_done(node, as_done(self.store, node.key))
                else:
                    self._note(Result(node, NOT_RUN))
        return list(self.results.values())

    def _judged(self, missing: Iterable[Node]) -> bool:
        """Judge in memory, where nothing may be written; return whether no more is missing.

        An expectation that did not hold is judged by every run, for it is no result.
        """
        nodes = sorted(missing, key=lambda node: node.family)  # "expect" before "hypotheses"
        if any(node.family not in ("expect", "hypotheses") for node in nodes):
            return False
        workshop = Workshop(self.store, self.registry, self.token)
        contents = Contents(self.plan, self.store)
        for node in nodes:
            required = [self.results[s.key] for s in node.requires if s.key in self.results]
            if any(map(self.fails, required)):
                self.note_blocked(node, NOT_RUN)
                continue
            verdict = workshop.drawn(handed(node, contents))
            if not isinstance(verdict, Verdict):
                return False
            failure = None
            if node.family == "expect" and not verdict.holds:
                failure = Failure("expectation", f"{verdict.check}: {verdict.detail}")
            status = PASSED if failure is None else FAILED
            self._note(Result(node, status, failure=failure, verdict=verdict))
        return True

    def _time_is_up(self) -> None:
        self.timed_out = True

    def _look_up(self) -> dict[str, Node]:
        missing = {}
        for node in self.nodes.values():
            if self.store.has(node.key):
                self.note_cached(node)
            else:
                missing[node.key] = node
        return missing

    def note_cached(self, node: Node) -> None:
        """Note that a node is stored already."""
        is_check = node.family in ("expect", "hypotheses")
        verdict = verdict_of(self.store.records[node.key]) if is_check else None
        self._note(Result(node, CACHED, verdict=verdict))

    def _note(self, result: Result) -> None:
        self.results[result.node.key] = result
        self.watch(result)

    def fails(self, result: Result) -> bool:
        """Whether a result makes the run fail."""
        refuted = (
            result.node.family == "hypotheses"
            and result.verdict is not None
            and result.verdict.judged
            and not result.verdict.holds
        )
        return result.status == FAILED or (self.options.strict and refuted)

    def note_done(self, node: Node, done: Done) -> None:
        """Note what a worker reported of a node; what another run computed is cached here."""
        if done.run not in ("", self.token):
            self._note(Result(node, CACHED, verdict=done.verdict))
            return
        status = PASSED if done.entry is not None else FAILED
        self._note(Result(node, status, done.seconds, done.failure, done.verdict, done.log))

    def note_blocked(self, node: Node, status: str) -> None:
        """Note that a node cannot be computed because of another."""
        self._note(Result(node, status))
