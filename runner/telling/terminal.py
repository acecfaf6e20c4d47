"""What a run shows while it goes: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from runner.computing.parcels import Group
from runner.planning.plan import Node, Plan
from runner.running.outcome import CACHED, FAILED, PASSED, Result

HEARTBEAT = 15.0  # seconds between plain lines while nothing finishes
PATIENCE = 2.0  # seconds after which it is told that another run is waited for

Running = Mapping[str, Group]  # what is computed, by number


class Watch(Protocol):
    """What a run tells whoever watches it."""

    def begin(self, nodes: Iterable[Node]) -> None:
        """A run of these nodes begins."""

    def result(self, result: Result) -> None:
        """A node ended."""

    def tick(self, running: Running, progress: Path, waiting: Mapping[str, int]) -> None:
        """Some time went by; `waiting` is how many nodes of which other runs are waited for."""

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

    def tick(self, running: Running, progress: Path, waiting: Mapping[str, int]) -> None:
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
        self.out = sys.stdout  # not what a node that is computed here has in its place
        self.waits: list[str] = []  # what was last told of other runs

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

    def tick(self, running: Running, progress: Path, waiting: Mapping[str, int]) -> None:
        """Print what is running, or waited for, when nothing was printed for a while."""
        silence = time.monotonic() - self.last
        if running and silence > HEARTBEAT:
            reports = [
                f"{report['label']} {report['done']:.0f}/{report['total']:.0f} {report['unit']}"
                for report in read_progress(progress)
            ]
            steps = {group.step for group in running.values()}
            shown = [f"{s} {self.counts.ended[s]}/{self.counts.total[s]}" for s in sorted(steps)]
            self._print(f"  running: {'; '.join(shown + reports)}")
        told = [] if running else list(waits(waiting))
        if told and silence > (HEARTBEAT if told == self.waits else PATIENCE):
            for line in told:
                self._print(f"  {line}")
            self.waits = told

    def close(self) -> None:
        """Do nothing."""

    def _print(self, text: str) -> None:
        self.last = time.monotonic()
        print(text, file=self.out, flush=True)


class Bars:
    """A bar for each step at work and one for each long node, with rate and time left."""

    def __init__(self, plan: Plan, verbose: bool) -> None:
        from rich.console import Console
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
            console=Console(file=sys.stdout),  # as it is now: see `Lines`
        )  # fmt: skip
        self.steps: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.waits: dict[str, Any] = {}  # one for each run that is waited for
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

    def tick(self, running: Running, progress: Path, waiting: Mapping[str, int]) -> None:
        """Draw what is running, how far long nodes are, and which other runs are waited for."""
        self._wait(list(waits(waiting)))
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

    def _wait(self, told: list[str]) -> None:
        for line in set(self.waits) - set(told):
            self.bars.remove_task(self.waits.pop(line))
        for line in told:
            if line not in self.waits:
                self.waits[line] = self.bars.add_task(line, total=None, rate="")

    def close(self) -> None:
        """Take the bars away."""
        self.bars.stop()


def waits(waiting: Mapping[str, int]) -> Iterator[str]:
    """Yield `waiting for process 17 on host (3 nodes)` for each run that is waited for."""
    for who, count in sorted(waiting.items()):
        yield f"waiting for {who} ({count} node{'s' if count > 1 else ''})"


def read_progress(folder: Path) -> list[dict[str, Any]]:
    """Return the fresh progress reports of a run's workers."""
    reports = []
    with suppress(OSError):
        for file in sorted(folder.glob("*.json")):
            with suppress(OSError, ValueError):
                if time.time() - file.stat().st_mtime < 3:
                    reports.append(json.loads(file.read_text("utf-8")))
    return reports
