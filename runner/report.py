"""The end of a run: failures with their cure, and what each check says."""

from __future__ import annotations

from collections.abc import Iterator

from runner.execute import BLOCKED, FAILED, NOT_RUN, Result, Run
from runner.journey import Journey, failure_file
from runner.types import Verdict
from runner.wording import near_path


def failures(journey: Journey, run: Run) -> Iterator[str]:
    """Yield the lines that tell of failed and blocked nodes."""
    failed = [r for r in run.results.values() if r.status == FAILED]
    for result in failed:
        assert result.failure is not None  # noqa: S101  # a failed result has its failure
        yield ""
        if result.verdict is not None:
            yield from _broken_expectation(result, result.verdict)
            continue
        kind, message = result.failure.kind, result.failure.message
        yield f"{result.node.label} failed after {result.seconds:.1f} s: {kind}: {message}"
        if result.failure.traceback:
            yield f"  traceback and log: {near_path(failure_file(journey, result))}"
    blocked = [r.node.label for r in run.results.values() if r.status == BLOCKED]
    if blocked:
        shown = ", ".join(blocked[:3]) + (" ..." if len(blocked) > 3 else "")
        yield f"  {len(blocked)} nodes wait for what failed: {shown}"


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
            yield f"hypothesis {result.node.label}: {word} ({result.verdict.detail})"
        elif result.verdict.holds:
            yield f"expectation {result.node.label}: holds ({result.verdict.detail})"
