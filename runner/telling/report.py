"""The end of a run: failures with their cure, and what each check says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runner.planning.plan import Node, Plan, Rows, shown
from runner.running.execute import Run
from runner.running.journey import Journey
from runner.running.outcome import BLOCKED, FAILED, NOT_RUN, PASSED, Result
from runner.telling.leave import failure_file
from runner.telling.wording import near_path
from runner.types import Verdict

LOG_LINES = 10  # of a failed node's output that are shown
_CHECK = {"expect": "expectation", "hypotheses": "hypothesis"}


@dataclass(frozen=True)
class Telling:
    """How a report is written: in colour or not, and with which options a run is repeated."""

    colour: bool = False
    options: tuple[str, ...] = ()  # of the command line, as words
    strict: bool = False

    def paint(self, text: str, colour: str) -> str:
        """Return text in a colour, or as it is."""
        if not self.colour:
            return text
        import click

        return click.style(text, fg=colour)

    def command(self, journey: Journey, node: Node) -> str:
        """Return the command that runs a node alone, to be pasted into a shell."""
        target = f"{near_path(journey.spec.path)}::{node.label}"
        return shlex.join(["runner", "run", *self.options, target])


PLAIN = Telling()


def failures(journey: Journey, run: Run, telling: Telling = PLAIN) -> Iterator[str]:
    """Yield the lines that tell of failed and blocked nodes."""
    alike: dict[tuple[str, str, str], list[Result]] = {}
    for result in run.results.values():
        if result.status == FAILED and result.failure is not None:
            reason = result.failure.kind, result.failure.message
            alike.setdefault((result.node.step, *reason), []).append(result)
    for results in alike.values():
        first = results[0]
        yield ""
        if first.verdict is not None:
            head = f"expectation {first.node.label} does not hold"
            yield from _broken(journey, first, first.verdict, head, telling)
        else:
            yield from _failed(journey, first, telling)
        if len(results) > 1:
            more = _nodes(len(results) - 1, " more")
            yield f"  {more} of {first.node.step} failed in the same way"
    blocked = [r.node.label for r in run.results.values() if r.status == BLOCKED]
    if blocked:
        names = ", ".join(blocked[:3]) + (" ..." if len(blocked) > 3 else "")
        waits = "waits" if len(blocked) == 1 else "wait"
        yield f"  {_nodes(len(blocked))} {waits} for what failed: {names}"


def _nodes(count: int, more: str = "") -> str:
    return f"{count}{more} node{'s' if count > 1 else ''}"


def _failed(journey: Journey, result: Result, telling: Telling) -> Iterator[str]:
    failure = result.failure
    if failure is None:
        return
    what = f"failed after {result.seconds:.1f} s: {failure.kind}: {failure.message}"
    yield telling.paint(f"{result.node.label} {what}", "red")
    lines = result.log.rstrip().splitlines()
    if lines:
        count = f"last {LOG_LINES} of {len(lines)} lines" if len(lines) > LOG_LINES else "all of it"
        yield f"  its output ({count}):"
        yield from (f"    | {line}" for line in lines[-LOG_LINES:])
    if failure.traceback:
        yield f"  traceback and log: {near_path(failure_file(journey, result))}"
    yield f"  alone: {telling.command(journey, result.node)}"


def _broken(
    journey: Journey, result: Result, verdict: Verdict, head: str, telling: Telling
) -> Iterator[str]:
    yield telling.paint(head, "red" if result.status == FAILED or telling.strict else "yellow")
    yield f">     {verdict.check}"
    yield telling.paint(f"E     {verdict.detail}", "red")
    if claim := getattr(result.node.plugin, "claim", ""):
        yield f"  claim: {claim}"
    for text in slices(journey.plan, result.node):
        yield f"  slice: {text}"
    if verdict.worst:
        yield f"  worst: {worst(journey.plan, verdict)}"
    yield f"  alone: {telling.command(journey, result.node)}"


def slices(plan: Plan, node: Node) -> list[str]:
    """Return what each table of a check holds: `si = @llc where sampler = sisgld (64 cells)`."""
    bound = plan.steps[node.step].bound
    here = dict(zip(node.axes, node.cell, strict=True))
    texts = []
    for name, binding in node.ports.items():
        if not isinstance(binding, Rows):
            continue
        filled = bound.ports[name]
        axes = {axis for part in binding.parts for axis in part.axes}
        only: dict[str, Any] = {axis: value for axis, value in here.items() if axis in axes}
        only |= bound.where if name == "table" else filled.where
        where = " and ".join(f"{key} = {_value(value)}" for key, value in only.items())
        count = max(len(part.members) for part in binding.parts)
        source = " with ".join(reference.text for reference in filled.references)
        text = f"{source}{f' where {where}' if where else ''} ({count} cell{'s' * (count != 1)})"
        texts.append(text if name == "table" else f"{name} = {text}")
    return texts


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " or ".join(shown(one) for one in value)
    return shown(value)


def worst(plan: Plan, verdict: Verdict) -> str:
    """Return the row that decides a check: its coordinates, then the columns the check reads."""
    from runner.language.expression import parse

    read = {column or name for name, column in parse(verdict.check).names}
    axes = {k: v for k, v in verdict.worst.items() if k in plan.spec.axes}
    rest = {k: v for k, v in verdict.worst.items() if k not in axes}
    rest = {k: v for k, v in rest.items() if k in read} or rest
    parts = [", ".join(f"{k}={shown(v)}" for k, v in part.items()) for part in (axes, rest)]
    return ": ".join(part for part in parts if part)


def verdicts(
    run: Run, journey: Journey | None = None, telling: Telling = PLAIN, quiet: bool = False
) -> Iterator[str]:
    """Yield what each expectation that holds and each hypothesis says.

    With the journey, what is refuted is told like a failed assertion. When quiet, only what makes
    the run fail is told.
    """
    for result in run.results.values():
        if result.node.family not in _CHECK or result.status == FAILED:
            continue
        word = outcome(result)
        name = f"{_CHECK[result.node.family]} {result.node.label}"
        verdict = result.verdict
        if verdict is None:
            if word == NOT_RUN and not quiet:
                yield f"{name}: {word}"
        elif word == "refuted" and journey is not None:
            if run.options.strict or not quiet:
                strict = ", and the run is --strict" if run.options.strict else ""
                yield from _broken(journey, result, verdict, f"{name}: refuted{strict}", telling)
        elif not quiet:
            colour = {"supported": "green", "holds": "green"}.get(word, "yellow")
            yield f"{name}: {telling.paint(word, colour)} ({verdict.detail})"


def outcome(result: Result) -> str:
    """Return what came of a check in a word; of other nodes, their status."""
    verdict = result.verdict
    if result.node.family == "hypotheses":
        if verdict is None:
            return result.status if result.status in (FAILED, PASSED) else NOT_RUN
        if not verdict.judged:
            return NOT_RUN
        return "supported" if verdict.holds else "refuted"
    if result.node.family == "expect" and verdict is not None:
        return "holds" if verdict.holds else "broken"
    return result.status


def slowest(runs: Sequence[Run], count: int) -> Iterator[str]:
    """Yield the nodes that took longest in these runs, all of them where `count` is 0."""
    done = [r for run in runs for r in run.results.values() if r.status in (PASSED, FAILED)]
    done.sort(key=lambda result: -result.seconds)
    shown_ones = done[:count] if count else done
    if shown_ones:
        yield ""
        yield f"slowest {_nodes(len(shown_ones))}:"
    for result in shown_ones:
        yield f"  {result.seconds:8.2f} s  {result.node.label}"
