"""`runner store ...`: looking after the store. Heavy things are imported by what needs them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.store import Store

EXIT_BAD, EXIT_WRONG = 1, 2
ARTIFACTS = click.option(
    "--artifacts", type=click.Path(path_type=Path), metavar="DIR",
    help="Where results are (default: artifacts/ of the project).",
)  # fmt: skip


@click.group()
def store() -> None:
    """Look after the store: verify it, see what it holds, clean it up, carry studies elsewhere."""


def opened(artifacts: Path | None) -> Store:
    """Return the store of an artifacts folder, by default of the project around here.

    Raises: UsageError when there is none.
    """
    from runner.errors import UsageError
    from runner.registry import find_project
    from runner.store import Store as Opened

    folder = (artifacts or find_project(Path()) / "artifacts").resolve() / ".store"
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no store; name its folder with --artifacts")
    return Opened(folder)


def ending(act: Callable[[], int]) -> None:
    """Do something and exit with its code; a mistake ends as a message and exit code 2."""
    from runner.errors import SpecError
    from runner.wording import problems

    try:
        sys.exit(act())
    except SpecError as error:
        for line in problems(error, error.problems[0].file or Path()):
            click.echo(line, err=True)
    except RunnerError as error:
        click.echo(f"error: {error}", err=True)
    sys.exit(EXIT_WRONG)


class Meter:
    """A line on the terminal that tells how much of a number of bytes is done; nowhere else."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.shown = sys.stderr.isatty()
        self.last = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show it, a few times a second."""
        now = time.monotonic()
        if self.shown and (now - self.last > 0.2 or done >= total):
            self.last = now
            from runner.upkeep import size_text

            share = 100 * done // total if total else 100
            click.echo(f"\r{self.word} {share} % of {size_text(total)}\x1b[K", err=True, nl=False)

    def end(self) -> None:
        """Clear the line."""
        if self.shown:
            click.echo("\r\x1b[K", err=True, nl=False)


@store.command()
@click.option("--jobs", type=click.IntRange(1), metavar="N",
              help="Threads that read objects (default: one for each core, up to 8).")  # fmt: skip
@ARTIFACTS
def verify(jobs: int | None, artifacts: Path | None) -> None:
    """Read everything that is stored; set what is damaged aside, so that it is computed anew.

    Nothing is removed: damaged objects and lines of logs go to .store/damaged. Exit code 1 when
    something was bad; the next time all is well.
    """

    def act() -> int:
        from runner.upkeep import size_text
        from runner.verifying import verify as read_all

        meter = Meter("read")
        started = time.monotonic()
        try:
            found = read_all(opened(artifacts), jobs or min(8, os.cpu_count() or 1), meter)
        finally:
            meter.end()
        for line in [*found.problems, *found.notes]:
            click.echo(line)
        read = f"{_counted(found.nodes, 'node')}, {_counted(found.objects, 'object')}"
        took = f"({size_text(found.size)}) in {time.monotonic() - started:.1f} s"
        if not found.problems:
            click.echo(f"{read} {took}: all is well")
            return 0
        lost = f"the next run computes {_counted(len(found.lost), 'node')} anew"
        click.echo(f"{read} {took} are well, {_counted(len(found.problems), 'problem')}; {lost}")
        return EXIT_BAD

    ending(act)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


@store.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, sizes in bytes.")
@ARTIFACTS
def du(as_json: bool, artifacts: Path | None) -> None:
    """Tell what takes how much room: by spec, by plugin, and what no node needs."""

    def act() -> int:
        import json

        from runner.upkeep import table, usage

        found = usage(opened(artifacts))
        for line in [json.dumps(found, indent=2)] if as_json else table(found):
            click.echo(line)
        return 0

    ending(act)
