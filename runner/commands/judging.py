"""A spec as a test suite sees it: is it valid, does each check hold, does the whole of it run."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from runner.commands.session import said
from runner.commands.travel import travel
from runner.errors import RunnerError
from runner.language.faults import faults, near_path
from runner.language.places import Places
from runner.language.spec import CHECK_KEYS
from runner.planning.plan import Node, sources
from runner.running.execute import Run
from runner.running.journey import Journey, Wish, prepare
from runner.running.outcome import BLOCKED, FAILED, NOT_RUN, Options, Result
from runner.telling.report import Telling, failures, verdicts
from runner.telling.terminal import watcher

HOLDS, BROKEN, REFUTED, NOT_JUDGED = "holds", "broken", "refuted", "not judged"


@dataclass(frozen=True)
class Judged:
    """What became of a check, and the text that `runner` shows of it."""

    outcome: str
    text: str = ""


@dataclass
class Study:
    """A spec with its plan, or with what is wrong with it, as `runner validate` says it."""

    wish: Wish
    workers: int
    strict: bool = False
    wrong: list[str] = field(default_factory=list)
    journey: Journey | None = None
    failed: dict[str, Result] = field(default_factory=dict)  # nodes, checks apart, by key

    @classmethod
    def of(cls, wish: Wish, workers: int | None = None, strict: bool = False) -> Study:
        """Return the study of a spec; nothing is computed.

        Workers are as many as there are cores, but one where pytest-xdist has its own. When strict,
        a refuted hypothesis is broken like an expectation.
        """
        if workers is None:
            workers = 1 if "PYTEST_XDIST_WORKER" in os.environ else os.cpu_count() or 1
        try:
            return cls(wish, workers, strict, journey=prepare(wish))
        except RunnerError as error:
            found = [fault.text for fault in faults(error, wish.path)]
            return cls(wish, workers, strict, found)

    def checks(self) -> list[Node]:
        """Return the expectations and hypotheses, one node for each of their cells."""
        steps = self.journey.plan.steps.values() if self.journey else ()
        return [n for s in steps if s.bound.is_check for n in s.nodes.values()]

    def line(self, node: Node) -> int:
        """Return the line of the spec, counted from 1, where a check begins; 1 if elsewhere."""
        origin = self._planned().spec.layers.origin((node.family, node.step))
        if self._places is None or origin.file != self._planned().spec.path:
            return 1
        return self._places.find(origin.where, "table")[0]

    @cached_property
    def _places(self) -> Places | None:
        try:
            return Places(self.wish.path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):  # it was there a moment ago
            return None

    def judge(self, node: Node, compute: bool) -> Judged:
        """Judge a check by what is stored; what it needs is computed only where asked to.

        What failed once is not tried again: every check that needs it names it.

        Raises: StoreError.
        """
        journey = self._planned()
        journey.store.refresh()
        own = list(_lacking(node.inputs(), journey))
        lacking = {n.key: n for n in [*own, *_lacking(node.requires, journey)]}
        if lacking and not compute:
            first, more = next(iter(lacking.values())), len(lacking) - 1
            text = f"{first.label}{f' and {more} more' if more else ''} not stored"
            return Judged(NOT_JUDGED, f"{text}: {self._command}, or pytest --specs-run")
        if known := [self.failed[key] for key in lacking if key in self.failed]:
            blocked = any(n.key in self.failed for n in own) or node.family == "expect"
            return self._waits(node, known, BROKEN if blocked else NOT_JUDGED)
        options = Options(self.workers if lacking else 1, strict=self.strict)
        run = Run(journey.plan, journey.store, journey.registry, options)
        run.selected = frozenset([node.key])
        with _plain_warnings():
            run.execute()
        told = self._judged(run, run.results[node.key])
        self._ended(run)
        return told

    def run(self) -> str:
        """Compute the whole spec and place its views; return how nodes failed, checks apart.

        Raises: RunnerError.
        """
        journey = self._planned()
        watch = watcher(journey.plan, quiet=True, verbose=False)
        with _plain_warnings():
            run = travel(journey, Options(self.workers), watch)
        self._ended(run)
        bad = [r for r in run.results.values() if r.status in (FAILED, BLOCKED)]
        return self._told(run) if any(r.node.family not in CHECK_KEYS for r in bad) else ""

    def _ended(self, run: Run) -> None:
        """Remember what failed, without the traceback: that is told once."""
        if run.interrupted:
            raise KeyboardInterrupt
        for key, result in run.results.items():
            if result.failure and result.node.family not in CHECK_KEYS:
                failure = replace(result.failure, traceback="")
                self.failed[key] = replace(result, failure=failure)

    def _waits(self, node: Node, known: list[Result], outcome: str) -> Judged:
        journey = self._planned()
        run = Run(journey.plan, journey.store, journey.registry, Options())
        run.results = {r.node.key: r for r in [*known, Result(node, BLOCKED)]}
        return Judged(outcome, self._told(run))

    def _judged(self, run: Run, result: Result) -> Judged:
        if result.status in (FAILED, BLOCKED):
            return Judged(BROKEN, self._told(run))
        verdict = result.verdict
        refuted = verdict is not None and verdict.judged and not verdict.holds
        whole = self._planned() if refuted and self.strict else None  # as a failed assertion
        alone = replace(run, results={result.node.key: result})
        text = "\n".join(verdicts(alone, whole, self._telling))
        if refuted:
            return Judged(BROKEN if self.strict else REFUTED, text)
        judged = result.status != NOT_RUN and verdict is not None and verdict.judged
        return Judged(HOLDS if judged else NOT_JUDGED, text)

    def _told(self, run: Run) -> str:
        """Return what `runner run` shows of failures, with tracebacks instead of their places."""
        told = failures(self._planned(), run, self._telling)
        lines = [line for line in told if "traceback and log:" not in line]
        for result in run.results.values():
            if result.failure and result.failure.traceback and result.verdict is None:
                log = result.log.rstrip()
                lines += ["", result.node.label, result.failure.traceback.rstrip(), log]
        return "\n".join(lines).strip("\n")

    @property
    def _command(self) -> str:
        return shlex.join(["runner", "run", *self._telling.options, near_path(self.wish.path)])

    @property
    def _telling(self) -> Telling:
        options = said({"profile": self.wish.profile, "artifacts": self.wish.artifacts}, "cpu")
        return Telling(options=options, strict=self.strict)

    def _planned(self) -> Journey:
        if self.journey is None:
            raise RunnerError("\n".join(self.wrong))
        return self.journey


def _lacking(nodes: Iterable[Node], journey: Journey) -> Iterator[Node]:
    """Yield what must be computed of these nodes; checks among them are judged as well."""
    for node in nodes:
        if not node.plugin.persist:
            yield from _lacking(sources(node), journey)
        elif journey.store.get(node.key) is None:
            if node.family in CHECK_KEYS:
                yield from _lacking(sources(node), journey)
            else:
                yield node


def _plain_warnings() -> warnings.catch_warnings[None]:
    """Keep the test suite's `filterwarnings = error` away from what specs compute."""
    return warnings.catch_warnings(action="default")
