"""Commands that tell of past runs. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from runner.commands import completion
from runner.errors import RunnerError

_ARTIFACTS = click.option(
    "--artifacts", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
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
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path),
                shell_complete=completion.specs)  # fmt: skip
@_ARTIFACTS
def report(specs: tuple[Path, ...], artifacts: Path | None) -> None:
    """Write report.html and report.md of the last run of SPECS."""
    from runner.telling.wording import near_path
    from runner.telling.worklog import again

    told(lambda: [near_path(path) for spec in specs for path in again(spec, artifacts)])


@click.command("log")
@click.argument("spec", required=False, type=click.Path(path_type=Path),
                shell_complete=completion.specs)  # fmt: skip
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N runs.")
@_ARTIFACTS
def work_log(spec: Path | None, last: int | None, artifacts: Path | None) -> None:
    """List past runs, of one SPEC or of all: date, token, spec, outcome, duration; newest last."""
    from runner.registry import find_project
    from runner.telling.worklog import lines

    folder = (artifacts or find_project(spec or Path()) / "artifacts").resolve()
    told(lambda: lines(folder, spec.stem if spec else None, last))


@click.command(cls=completion.OneNode)
@click.argument("node", metavar="SPEC::NODE", shell_complete=completion.nodes)
@click.option("--profile", metavar="NAME", shell_complete=completion.profiles,
              help="Merge [profiles.NAME] into the spec.")  # fmt: skip
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override one value.")
@_ARTIFACTS
def why(node: str, profile: str | None, sets: tuple[str, ...], artifacts: Path | None) -> None:
    """Tell why a NODE, `spec.toml::step[axis=value]`, is cached, new or stale."""
    from runner.errors import SpecError
    from runner.running.journey import Wish, prepare
    from runner.telling.why import reasons, split
    from runner.telling.wording import problems

    def lines() -> Iterable[str]:
        spec, label = split(node)
        try:
            journey = prepare(Wish(spec, profile, sets, artifacts=artifacts))
        except SpecError as error:
            for line in problems(error, spec):
                click.echo(line, err=True)
            sys.exit(2)
        journey.store.refresh()
        return reasons(journey, label)

    told(lines)


@click.command()
@click.argument("one", metavar="A", shell_complete=completion.specs)
@click.argument("other", metavar="B", shell_complete=completion.specs)
@_ARTIFACTS
def diff(one: str, other: str, artifacts: Path | None) -> None:
    """Compare two runs, A and B: tokens of `runner log`, manifests, or specs (their last runs)."""
    from runner.telling.compare import lines, past

    told(lambda: lines(past(one, artifacts), past(other, artifacts)))
