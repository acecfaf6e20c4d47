"""Commands that tell of past runs. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from runner.errors import RunnerError

_ARTIFACTS = click.option(
    "--artifacts", type=click.Path(path_type=Path), metavar="DIR",
    help="Where results are (default: artifacts/ of the project).",
)  # fmt: skip


def told(lines: Callable[[], Iterable[str]]) -> None:
    """Print lines; a mistake ends as a message and exit code 2."""
    try:
        for line in lines():
            click.echo(line)
    except RunnerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


@click.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path))
@_ARTIFACTS
def report(specs: tuple[Path, ...], artifacts: Path | None) -> None:
    """Write report.html and report.md of the last run of SPECS."""
    from runner.wording import near_path
    from runner.worklog import again

    told(lambda: [near_path(path) for spec in specs for path in again(spec, artifacts)])
