"""`runner store ...`: looking after the store. Heavy things are imported by what needs them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.commands import completion
from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.sharing.shared import Shared
    from runner.storage.store import Store

EXIT_BAD, EXIT_WRONG = 1, 2
ARTIFACTS = click.option(
    "--artifacts", type=click.Path(path_type=Path), metavar="DIR",
    help="Where results are (default: artifacts/ of the project).",
)  # fmt: skip


@click.group()
def store() -> None:
    """Look after the store: verify it, see what it holds, clean it up, carry studies elsewhere."""


def opened(artifacts: Path | None, new: bool = False) -> Store:
    """Return the store of an artifacts folder, by default of the project around here.

    Raises: UsageError when there is none, unless it may be `new`.
    """
    from runner.errors import UsageError
    from runner.registry import find_project
    from runner.storage.store import Store as Opened

    folder = (artifacts or find_project(Path()) / "artifacts").resolve() / ".store"
    if not (new or folder.is_dir()):
        raise UsageError(f"{folder}: there is no store; name its folder with --artifacts")
    return Opened(folder)


def ending(act: Callable[[], int]) -> None:
    """Do something and exit with its code; a mistake ends as a message and exit code 2."""
    try:
        sys.exit(act())
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
            from runner.storage.upkeep import size_text

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
        from runner.storage.upkeep import size_text
        from runner.storage.verifying import verify as read_all

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

        from runner.storage.upkeep import table, usage

        found = usage(opened(artifacts))
        for line in [json.dumps(found, indent=2)] if as_json else table(found):
            click.echo(line)
        return 0

    ending(act)


@store.command()
@click.argument("specs", nargs=-1, type=click.Path(path_type=Path), shell_complete=completion.specs)
@click.option("--unreachable", is_flag=True,
              help="Nodes that SPECS (or else specs/) do not reach as they are now.")  # fmt: skip
@click.option("--profile", "profiles", multiple=True, metavar="NAME",
              help="Only this profile of SPECS counts, beside the plain one (all).")  # fmt: skip
@click.option("--older-than", metavar="AGE", help="Nodes made longer ago: 30d, 12h.")
@click.option("--larger-than", metavar="SIZE", help="Nodes whose content takes more: 100MB.")
@click.option("--to-size", metavar="SIZE",
              help="The oldest nodes, until what is stored takes no more: 20GB.")  # fmt: skip
@click.option("--damaged", is_flag=True, help="Also what `verify` set aside.")
@click.option("--yes", is_flag=True, help="Remove it; without this, only tell what would go.")
@ARTIFACTS
def gc(  # noqa: PLR0917  # one argument for each option
    specs: tuple[Path, ...],
    unreachable: bool,
    profiles: tuple[str, ...],
    older_than: str | None,
    larger_than: str | None,
    to_size: str | None,
    damaged: bool,
    yes: bool,
    artifacts: Path | None,
) -> None:
    """Remove what no node needs; with options, also nodes: those for which all options hold.

    Without --yes this tells what would go, and why. Views stay. It waits for nobody and touches
    nothing while a run is at work in the store.
    """

    def act() -> int:
        from functools import cache

        from runner.commands.reaching import keys_reached, project_specs
        from runner.errors import UsageError
        from runner.storage.collecting import Criteria, collect, survey, told
        from runner.storage.upkeep import age_of, size_of

        criteria = Criteria(
            unreachable,
            None if older_than is None else age_of(older_than),
            None if larger_than is None else size_of(larger_than),
            None if to_size is None else size_of(to_size),
            damaged,
        )
        kept = specs or project_specs(Path())
        if unreachable and not kept:
            message = "there is no specs/ here: name the specs whose results stay"
            raise UsageError(message)
        reached = cache(lambda: keys_reached(kept, profiles, artifacts)) if kept else None
        opened_store = opened(artifacts)
        if yes:
            sweep = collect(
                opened_store, criteria, reached, lambda text: click.echo(text, err=True)
            )
        else:
            sweep = survey(opened_store, criteria, reached, time.time())
        names = (("larger than ", larger_than), ("older than ", older_than))
        why = [word + value for word, value in names if value]
        why += ["not reached by " + ", ".join(map(str, kept))] if unreachable else []
        why += [f"the oldest, down to {to_size}"] if to_size else []
        for line in told(sweep, " " + ", ".join(why), yes):
            click.echo(line)
        return 0

    ending(act)


@store.command("export")
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path),
                shell_complete=completion.specs)  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE",
              help="study.tar, or study.tar.gz to compress it.")  # fmt: skip
@click.option("--profile", metavar="NAME", shell_complete=completion.profiles,
              help="Merge [profiles.NAME] into the specs.")  # fmt: skip
@ARTIFACTS
def export_command(
    specs: tuple[Path, ...], output: Path, profile: str | None, artifacts: Path | None
) -> None:
    """Write what is stored of SPECS, as they are now, to one file; `import` takes it in."""

    def act() -> int:
        from runner.commands.reaching import planned
        from runner.errors import UsageError
        from runner.storage.archive import export
        from runner.storage.upkeep import size_text

        journeys = planned(specs, profile, artifacts)
        keys = {node.key for j in journeys for node in j.plan.nodes() if node.plugin.persist}
        source = journeys[0].store
        source.refresh()
        stored = [key for key in keys if source.has(key)]
        if not stored:
            raise UsageError("nothing of this is stored; `runner run` computes it")
        done = export(source, stored, [journey.spec.name for journey in journeys], output)
        told = f"{_counted(done.nodes, 'node')} and {_counted(done.objects, 'object')}"
        click.echo(f"{output}: {told}, {size_text(done.size)}")
        if len(stored) < len(keys):
            click.echo(f"{_counted(len(keys) - len(stored), 'node')} of the plan not stored yet")
        return 0

    ending(act)


@store.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@ARTIFACTS
def import_command(file: Path, artifacts: Path | None) -> None:
    """Take what `export` wrote into the store; every object is verified, none is trusted."""

    def act() -> int:
        from runner.storage.unpacking import take_in
        from runner.storage.upkeep import size_text

        target = opened(artifacts, new=True)
        try:
            done = take_in(target, file)
        finally:
            target.close()
        told = f"{_counted(done.nodes, 'node')} and {_counted(done.objects, 'object')}"
        click.echo(f"{told} taken in ({size_text(done.size)})")
        if done.nodes_there or done.objects_there:
            there = f"{_counted(done.nodes_there, 'node')} and "
            click.echo(f"{there}{_counted(done.objects_there, 'object')} were there already")
        return 0

    ending(act)


STORE = click.option(
    "--store", "url", metavar="URL",
    help="The shared store (default: tool.runner.store of pyproject.toml).",
)  # fmt: skip


def _shared(url: str | None, artifacts: Path | None) -> Shared:
    from runner.errors import UsageError
    from runner.registry import find_project
    from runner.sharing.shared import Shared as Behind
    from runner.sharing.shared import url_of

    project = find_project(Path())
    found = url_of(url, project)
    if found is None:
        message = "no shared store is named; give --store URL, or tool.runner.store in "
        raise UsageError(f"{message}{project / 'pyproject.toml'}")
    return Behind(found, opened(artifacts))


@store.command()
@STORE
@ARTIFACTS
def push(url: str | None, artifacts: Path | None) -> None:
    """Send what the shared store has not got yet, also of runs that could not reach it."""

    def act() -> int:
        from runner.storage.upkeep import size_text

        shared = _shared(url, artifacts)
        done = shared.outbox.push()
        _warn(shared)
        if done.busy:
            click.echo("another process is sending at this moment; nothing was done")
            return EXIT_BAD
        told = f"{_counted(done.nodes, 'node')} and {_counted(done.objects, 'object')}"
        click.echo(f"{shared.remote.shown}: {told} sent ({size_text(done.size)} of records)")
        return 0

    ending(act)


@store.command()
@STORE
@ARTIFACTS
def compact(url: str | None, artifacts: Path | None) -> None:
    """Merge the many small files of records in the shared store; safe beside runs that use it."""

    def act() -> int:
        shared = _shared(url, artifacts)
        merged = shared.remote.compact()
        _warn(shared)
        click.echo(f"{shared.remote.shown}: {_counted(merged, 'file')} of records merged")
        return 0

    ending(act)


def _warn(shared: Shared) -> None:
    for warning in shared.remote.take_warnings():
        click.echo(f"warning: {warning}", err=True)
