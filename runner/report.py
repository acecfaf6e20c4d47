"""The end of a run: failures with their cure, and what each check says."""

from __future__ import annotations

from collections.abc import Iterator

from runner.execute import BLOCKED, FAILED, NOT_RUN, Result, Run
from runner.journey import Journey, failure_file
from runner.types import Verdict
from runner.wording import near_path


def failures(journey: Journey, run: Run) -> Iterator[str]:
    """Yield the lines that tell of failed and blocked nodes."""
    alike: dict[tuple[str, str, str], list[Result]] = {}
    for result in run.results.values():
        if result.status == FAILED and result.failure is not None:
            reason = result.failure.kind, result.failure.message
            alike.setdefault((result.node.step, *reason), []).append(result)
    for (_, kind, message), results in alike.items():
        first = results[0]
        yield ""
        if first.verdict is not None:
            yield from _broken_expectation(first, first.verdict)
            continue
        yield f"{first.node.label} failed after {first.seconds:.1f} s: {kind}: {message}"
        if len(results) > 1:
            more = _nodes(len(results) - 1, " more")
            yield f"  {more} of {first.node.step} failed in the same way"
        if first.failure is not None and first.failure.traceback:
            yield f"  traceback and log: {near_path(failure_file(journey, first))}"
    blocked = [r.node.label for r in run.results.values() if r.status == BLOCKED]
    if blocked:
        shown = ", ".join(blocked[:3]) + (" ..." if len(blocked) > 3 else "")
        waits = "waits" if len(blocked) == 1 else "wait"
        yield f"  {_nodes(len(blocked))} {waits} for what failed: {shown}"


def _nodes(count: int, more: str = "") -> str:
    return f"{count}{more} node{'s' if count > 1 else ''}"


def _broken_expectation(result: Result, verdict: Verdict) -> Iterator[str]:
    yield f"expectation {result.node.label} does not hold: {verdict.check}"
    yield f"  values: {verdict.detail}"
    if verdict.worst:
        yield f"  worst:  {_row(verdict)}"


def _row(verdict: Verdict) -> str:
    return ", ".join(
        f"{k}={v:.6g}" if isinstance(v, float) else f"{k}={v}" for k, v in verdict.worst.items()
    )


def verdicts(run: Run) -> Iterator[str]:
    """Yield a line for each expectation that holds and each hypothesis."""
    results = [r for r in run.results.values() if r.node.family in ("expect", "hypotheses")]
    for result in results:
        claim = result.node.family == "hypotheses"
        if result.verdict is None:
            if claim and result.status == NOT_RUN:
                yield f"hypothesis {result.node.label}: not run"
            continue
        if claim:
            word = "supported" if result.verdict.holds else "refuted"
            word = word if result.verdict.judged else "not run"
            yield f"hypothesis {result.node.label}: {word} ({result.verdict.detail})"
        elif result.verdict.holds:
            yield f"expectation {result.node.label}: holds ({result.verdict.detail})"
