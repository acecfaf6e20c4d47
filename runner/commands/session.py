"""`runner run`: specs one after the other, what is told of each, and the exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from runner.commands.travel import travel
from runner.errors import RunnerError
from runner.running.execute import Run
from runner.running.journey import Journey
from runner.running.outcome import CACHED, PASSED, Options, elapsed
from runner.running.select import Choice
from runner.telling.ledger import Ended, write_json, write_junit
from runner.telling.report import PLAIN, Telling, failures, slowest, verdicts
from runner.telling.terminal import watcher
from runner.telling.wording import near_path, span, summary

EXIT_FAILED, EXIT_TIME, EXIT_NOTHING, EXIT_INTERRUPTED = 1, 3, 5, 130
Found = Sequence[tuple[Journey, Choice]]


@dataclass(frozen=True)
class Manner:
    """How a run is told."""

    verbose: bool = False
    quiet: bool = False
    durations: int | None = None  # how many of the slowest nodes to name; 0: all
    telling: Telling = PLAIN
    junit: Path | None = None
    json: Path | None = None


def said(wish: Mapping[str, Any], device: str, dask: str | None = None) -> tuple[str, ...]:
    """Return the words of the command line that say how specs are read and run."""
    words: list[str] = []
    for option, key in (("profile", "profile"), ("set", "sets"), ("sweep", "sweeps"),
                        ("artifacts", "artifacts"), ("allow-stale", "allow_stale"),
                        ("store", "store")):  # fmt: skip
        given = wish.get(key) or ()
        for value in given if isinstance(given, tuple) else (given,):
            words += [f"--{option}", str(value)]
    words += ["--dask", dask] if dask else []
    return (*words, "--device", device) if device != "cpu" else tuple(words)


def chosen_of(found: Found) -> Found:
    """Return the specs in which something is selected, and those that hold nothing at all."""
    return [(journey, choice) for journey, choice in found if choice.nodes or not choice.total]


def tell_nothing(found: Found) -> int:
    """Say why nothing is selected; return the exit code, 0 where all of it is stored."""
    stored = sum(choice.stored for _, choice in found)
    if stored:
        click.echo(f"nothing is missing: {_counted(stored, 'node')} stored")
        return 0
    click.echo(f"nothing selected: {sum(c.total for _, c in found)} deselected", err=True)
    return EXIT_NOTHING


def collect(found: Found, manner: Manner) -> int:
    """List what is selected and run nothing; the reports hold no node then, as in pytest."""
    code = 0
    if chosen_of(found):
        for line in collected(found):
            click.echo(line)
    else:
        code = tell_nothing(found)
    return max(code, _write([Ended(j, c, None, 0.0) for j, c in found], code, manner))


def run_all(found: Found, options: Options, manner: Manner) -> int:
    """Run the chosen nodes of specs; return the exit code."""
    chosen = chosen_of(found)
    if not chosen:
        return collect(found, manner)
    code = failed = 0
    ended: list[Ended] = []
    started = time.monotonic()
    for position, (journey, choice) in enumerate(chosen):
        rest = options
        if options.stop_after is not None:
            if failed >= options.stop_after:
                left = len(chosen) - position
                specs = f"{_counted(left, 'spec')} {'were' if left > 1 else 'was'}"
                click.echo(f"stopped after {_counted(failed, 'failure')}: {specs} not run")
                break
            rest = replace(rest, stop_after=options.stop_after - failed)
        if options.time_limit is not None:
            left_over = options.time_limit - (time.monotonic() - started)
            rest = replace(rest, time_limit=max(0.01, left_over))
        if len(chosen) > 1 or not manner.quiet:
            click.echo(f"{near_path(journey.spec.path)}: {journey.spec.title}")
        if choice.note and not manner.quiet:
            click.echo(choice.note)
        one, run_code = _run_one(journey, choice, rest, manner)
        code = max(code, run_code)
        ended.append(one)
        results = one.run.results.values() if one.run else []
        failed += sum(one.run is not None and one.run.fails(result) for result in results)
        failed += one.run is None
        if one.run and one.run.timed_out:
            limit = f"the time limit of {span(options.time_limit or 0)} is reached"
            click.echo(f"{limit}; run the same command again to go on", err=True)
            break
        if code == EXIT_INTERRUPTED:
            break
    if manner.durations is not None:
        for line in slowest([one.run for one in ended if one.run], manner.durations):
            click.echo(line)
    return max(code, _write(ended, code, manner))


def _write(ended: Sequence[Ended], code: int, manner: Manner) -> int:
    """Write the reports that were asked for; return the exit code this gives."""
    try:
        if manner.junit is not None:
            write_junit(manner.junit, ended, manner.telling)
        if manner.json is not None:
            write_json(manner.json, ended, code, manner.telling)
    except OSError as error:
        click.echo(f"error: cannot write {error.filename}: {error.strerror}", err=True)
        return EXIT_FAILED
    return 0


def collected(found: Found) -> Iterator[str]:
    """Yield the ids of the chosen nodes and how many there are."""
    for journey, choice in found:
        for node in choice.nodes:
            yield f"{near_path(journey.spec.path)}::{node.label}"
    count = sum(len(choice.nodes) for _, choice in found)
    out = sum(choice.deselected for _, choice in found)
    yield f"{_counted(count, 'node')} selected" + (f", {out} deselected" if out else "")


def _run_one(
    journey: Journey, choice: Choice, options: Options, manner: Manner
) -> tuple[Ended, int]:
    started = time.monotonic()
    try:
        run = travel(journey, options, watcher(journey.plan, manner.quiet, manner.verbose), choice)
    except RunnerError as error:
        click.echo(f"error: {error}", err=True)
        return Ended(journey, choice, None, time.monotonic() - started, str(error)), EXIT_FAILED
    ended = Ended(journey, choice, run, time.monotonic() - started)
    telling = manner.telling
    for line in [*failures(journey, run, telling), *verdicts(run, journey, telling, manner.quiet)]:
        click.echo(line)
    if not manner.quiet:
        _echo_views(journey, run)
    for path in sorted(set(journey.store.damaged)):
        click.echo(f"warning: a damaged line in {path}; its nodes are computed again", err=True)
    for warning in journey.shared.remote.take_warnings() if journey.shared else ():
        click.echo(f"warning: {warning}", err=True)
    if run.unwritten:
        old = "views, run.json and the report are those of an earlier run, if there was one"
        click.echo(f"warning: {run.unwritten}; {old}", err=True)
    failed = any(map(run.fails, run.results.values()))
    line = summary(run.results.values(), elapsed(started), choice)
    click.echo(telling.paint(line, "red" if failed else "green"))
    if run.timed_out:
        return ended, EXIT_FAILED if failed else EXIT_TIME
    if run.interrupted:
        click.echo("interrupted; run the same command again to go on", err=True)
        return ended, EXIT_INTERRUPTED
    return ended, EXIT_FAILED if failed else 0


def _echo_views(journey: Journey, run: Run) -> None:
    done = [r for r in run.results.values() if r.status in (PASSED, CACHED)]
    views = [view for result in done for view in result.node.views]
    if views:
        click.echo(f"{_counted(len(views), 'view')} in {near_path(journey.views)}/")
    for partial in run.partial:
        click.echo(f"drawn with holes: {partial}")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"
