"""What a run shows while it goes: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from runner.execute import CACHED, FAILED, PASSED, Result
from runner.parcels import Group
from runner.plan import Node, Plan

HEARTBEAT = 15.0  # seconds between plain lines while nothing finishes


class Watch(Protocol):
    """What a run tells whoever watches it."""

    def begin(self, nodes: Iterable[Node]) -> None:
        """A run of these nodes begins."""

    def result(self, result: Result) -> None:
        """A node ended."""

    def tick(self, running: dict[str, Group], progress: Path) -> None:
        """Some time went by."""

    def close(self) -> None:
        """The run ended."""


def watcher(plan: Plan, quiet: bool, verbose: bool) -> Watch:
    """Return bars for a terminal, else plain lines; nothing when quiet."""
    if quiet:
        return Silent()
    if sys.stdout.isatty():
        return Bars(plan, verbose)
    return Lines(plan, verbose)


def colours() -> bool:
    """Whether the output takes colour: a terminal does, NO_COLOR and FORCE_COLOR overrule."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


class Silent:
    """Shows nothing."""

    def begin(self, nodes: Iterable[Node]) -> None:
        """Ignore the beginning."""

    def result(self, result: Result) -> None:
        """Ignore a result."""

    def tick(self, running: dict[str, Group], progress: Path) -> None:
        """Ignore time."""

    def close(self) -> None:
        """Do nothing."""


class _Counts:
    """How many nodes of each step have ended, and how."""

    def __init__(self, plan: Plan) -> None:
        self.total: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.states: dict[str, Counter[str]] = {name: Counter() for name in plan.steps}
        self.seconds: Counter[str] = Counter()
        self.expect(node for node in plan.nodes() if node.plugin.persist)

    def expect(self, nodes: Iterable[Node]) -> None:
        """Count the nodes that will end."""
        self.total = Counter(node.step for node in nodes)

    def add(self, result: Result) -> None:
        step = result.node.step
        self.ended[step] += 1
        self.states[step][result.status] += 1
        if result.status in (PASSED, FAILED):
            self.seconds[step] += result.seconds  # type: ignore[assignment]

    def line(self, step: str) -> str:
        shown = ", ".join(f"{n} {state}" for state, n in self.states[step].items())
        seconds = self.seconds[step]
        return f"{step}: {shown}" + (f" ({seconds:.1f} s of work)" if seconds else "")


class Lines:
    """One line for each step that is through, and a sign of life in between."""

    def __init__(self, plan: Plan, verbose: bool) -> None:
        self.counts = _Counts(plan)
        self.verbose = verbose
        self.last = time.monotonic()

    def begin(self, nodes: Iterable[Node]) -> None:
        """Note how many nodes of each step there are to wait for."""
        self.counts.expect(nodes)

    def result(self, result: Result) -> None:
        """Print a step's line when its last node has ended."""
        self.counts.add(result)
        step = result.node.step
        if self.verbose and result.status != CACHED:
            self._print(f"{result.node.label}: {result.status} ({result.seconds:.2f} s)")
        if self.counts.ended[step] == self.counts.total[step]:
            self._print(self.counts.line(step))

    def tick(self, running: dict[str, Group], progress: Path) -> None:
        """Print what is running when nothing was printed for a while."""
        if time.monotonic() - self.last > HEARTBEAT and running:
            reports = [
                f"{report['label']} {report['done']:.0f}/{report['total']:.0f} {report['unit']}"
                for report in read_progress(progress)
            ]
            steps = {group.step for group in running.values()}
            shown = [f"{s} {self.counts.ended[s]}/{self.counts.total[s]}" for s in sorted(steps)]
            self._print(f"  running: {'; '.join(shown + reports)}")

    def close(self) -> None:
        """Do nothing."""

    def _print(self, text: str) -> None:
        self.last = time.monotonic()
        print(text, flush=True)  # noqa: T201  # this is the output


class Bars:
    """A bar for each step at work and one for each long node, with rate and time left."""

    def __init__(self, plan: Plan, verbose: bool) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.counts = _Counts(plan)
        self.verbose = verbose
        self.bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self.steps: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.bars.start()

    def begin(self, nodes: Iterable[Node]) -> None:
        """Note how many nodes of each step there are to wait for."""
        self.counts.expect(nodes)

    def result(self, result: Result) -> None:
        """Advance the step's bar; print its line when it is through."""
        self.counts.add(result)
        step = result.node.step
        if self.verbose and result.status != CACHED:
            self.bars.console.print(
                f"{result.node.label}: {result.status}", highlight=False, markup=False
            )
        if step in self.steps:
            self.bars.update(self.steps[step], completed=self.counts.ended[step])
        if self.counts.ended[step] == self.counts.total[step]:
            self.bars.console.print(self.counts.line(step), highlight=False, markup=False)
            if step in self.steps:
                self.bars.remove_task(self.steps.pop(step))

    def tick(self, running: dict[str, Group], progress: Path) -> None:
        """Draw what is running and how far long nodes are."""
        for group in running.values():
            if group.step not in self.steps:
                total, done = self.counts.total[group.step], self.counts.ended[group.step]
                task = self.bars.add_task(group.step, total=total, completed=done, rate="")
                self.steps[group.step] = task
        labels = set()
        for report in read_progress(progress):
            label = report["label"]
            labels.add(label)
            if label not in self.nodes:
                self.nodes[label] = self.bars.add_task(f"  {label}", total=report["total"], rate="")
            task = self.nodes[label]
            self.bars.update(task, completed=report["done"], total=report["total"])
            speed = self.bars.tasks[self.bars.task_ids.index(task)].speed
            self.bars.update(task, rate=f"{speed:.0f} {report['unit']}/s" if speed else "")
        for label in set(self.nodes) - labels:
            self.bars.remove_task(self.nodes.pop(label))

    def close(self) -> None:
        """Take the bars away."""
        self.bars.stop()


def read_progress(folder: Path) -> list[dict[str, Any]]:
    """Return the fresh progress reports of a run's workers."""
    reports = []
    with suppress(OSError):
        for file in sorted(folder.glob("*.json")):
            with suppress(OSError, ValueError):
                if time.time() - file.stat().st_mtime < 3:
                    reports.append(json.loads(file.read_text("utf-8")))
    return reports
