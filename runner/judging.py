"""A spec as a test suite sees it: is it valid, does each check hold, does the whole of it run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.errors import RunnerError
from runner.execute import BLOCKED, FAILED, NOT_RUN, Options, Result, Run
from runner.faults import faults, near_path
from runner.journey import Journey, Wish, prepare, travel
from runner.plan import Node, Plan
from runner.report import failures, verdicts
from runner.spec import CHECK_KEYS
from runner.terminal import watcher

HOLDS, BROKEN, REFUTED, NOT_JUDGED = "holds", "broken", "refuted", "not judged"


@dataclass(frozen=True)
class Judged:
    """What became of a check, and the text that `runner` shows of it."""

    outcome: str
    text: str = ""


@dataclass
class Study:
    """A spec with its plan, or with what is wrong with it, as `runner validate` says it."""

    path: Path
    wish: Wish
    workers: int
    wrong: list[str] = field(default_factory=list)
    journey: Journey | None = None

    @classmethod
    def of(cls, wish: Wish, workers: int | None = None) -> Study:
        """Return the study of a spec; nothing is computed.

        Workers are as many as there are cores, but one where pytest-xdist has its own.
        """
        if workers is None:
            workers = 1 if "PYTEST_XDIST_WORKER" in os.environ else os.cpu_count() or 1
        try:
            return cls(wish.path, wish, workers, journey=prepare(wish))
        except RunnerError as error:
            found = [fault.text for fault in faults(error, wish.path)]
            return cls(wish.path, wish, workers, found)

    def checks(self) -> list[Node]:
        """Return the expectations and hypotheses, one node for each of their cells."""
        steps = self.journey.plan.steps.values() if self.journey else ()
        return [n for s in steps if s.bound.is_check for n in s.nodes.values()]

    def judge(self, node: Node, compute: bool) -> Judged:
        """Judge a check by what is stored; what it needs is computed only where asked to.

        Raises: StoreError.
        """
        journey = self._planned()
        journey.store.refresh()
        lacking = list({n.key: n for n in _lacking(node, journey)}.values())
        if lacking and not compute:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            text = f"{lacking[0].label}{more} not stored: {self._command()}, or pytest --specs-run"
            return Judged(NOT_JUDGED, text)
        run = _run(journey, _part(journey.plan, node), self.workers if lacking else 1)
        return _judged(journey, run, run.results[node.key])

    def run(self) -> str:
        """Compute the whole spec and place its views; return how nodes failed, checks apart.

        Raises: RunnerError.
        """
        journey = self._planned()
        with _plain_warnings():
            watch = watcher(journey.plan, quiet=True, verbose=False)
            run = travel(journey, Options(self.workers), watch)
        if run.interrupted:
            raise KeyboardInterrupt
        bad = [r for r in run.results.values() if r.status in (FAILED, BLOCKED)]
        return _told(journey, run) if any(r.node.family not in CHECK_KEYS for r in bad) else ""

    def _planned(self) -> Journey:
        if self.journey is None:
            raise RunnerError("\n".join(self.wrong))
        return self.journey

    def _command(self) -> str:
        profile = f" --profile {self.wish.profile}" if self.wish.profile else ""
        place = f" --artifacts {near_path(self.wish.artifacts)}" if self.wish.artifacts else ""
        return f"runner run {near_path(self.path)}{profile}{place}"


def _lacking(node: Node, journey: Journey) -> Iterator[Node]:
    """Yield the nodes that must be computed before a check can be; other checks are judged too."""
    for source in [*node.inputs(), *node.requires]:
        if source.plugin.persist and journey.store.get(source.key) is not None:
            continue
        if source.plugin.persist and source.family not in CHECK_KEYS:
            yield source
        else:
            yield from _lacking(source, journey)


def _part(plan: Plan, node: Node) -> Plan:
    """Return the plan with a node and all that it reads."""
    keys: set[str] = set()
    todo = [node]
    while todo:
        one = todo.pop()
        if one.key not in keys:
            keys.add(one.key)
            todo += [*one.inputs(), *one.requires]
    steps = {}
    for name, planned in plan.steps.items():
        nodes = {cell: n for cell, n in planned.nodes.items() if n.key in keys}
        if nodes:
            steps[name] = replace(planned, nodes=nodes)
    return Plan(plan.spec, steps)


def _run(journey: Journey, plan: Plan, workers: int) -> Run:
    journey.store.folder.mkdir(parents=True, exist_ok=True)
    run = Run(plan, journey.store, journey.registry, Options(workers))
    with _plain_warnings():
        run.execute()
    if run.interrupted:
        raise KeyboardInterrupt
    return run


def _plain_warnings() -> warnings.catch_warnings[None]:
    """Keep the test suite's `filterwarnings = error` away from what specs compute."""
    return warnings.catch_warnings(action="default")


def _judged(journey: Journey, run: Run, result: Result) -> Judged:
    if result.status in (FAILED, BLOCKED):
        return Judged(BROKEN, _told(journey, run))
    alone = replace(run, results={result.node.key: result})
    text = "\n".join(verdicts(alone))
    verdict = result.verdict
    if result.status == NOT_RUN or verdict is None or not verdict.judged:
        return Judged(NOT_JUDGED, text)
    return Judged(HOLDS if verdict.holds else REFUTED, text)


def _told(journey: Journey, run: Run) -> str:
    """Return what `runner run` shows of failures, with tracebacks in place of where they lie."""
    lines = [line for line in failures(journey, run) if "traceback and log:" not in line]
    for result in run.results.values():
        if result.failure and result.failure.traceback and result.verdict is None:
            lines += ["", result.node.label, result.failure.traceback.rstrip(), result.log.rstrip()]
    return "\n".join(lines).strip("\n")
