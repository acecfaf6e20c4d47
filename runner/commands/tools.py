"""Commands for editors and CI: problems told to programs, the schema of specs, a first spec.

Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from runner.commands.completion import plugins_of
from runner.commands.options import PROJECT, F
from runner.registry import FAMILY_KEYS


def tell_faults(files: Sequence[Path], form: str, wish: Mapping[str, Any]) -> bool:
    """Print what is wrong with specs as GitHub annotations or as JSON; return whether anything is.

    GitHub reads annotations from the output, and whoever reads JSON reads it there too.
    """
    from runner.errors import RunnerError
    from runner.language.faults import as_github, as_json, faults
    from runner.running.journey import Wish, prepare

    found = []
    for path in files:
        try:
            prepare(Wish(path, **wish), keyed=False)
        except RunnerError as error:
            found += faults(error, path)
    if form == "json":
        click.echo(as_json(found))
    else:
        for line in as_github(found):
            click.echo(line)
    return bool(found)


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it there, not to the terminal.")  # fmt: skip
@PROJECT
def schema(out: Path | None, project: Path) -> None:
    """Write the JSON Schema of specs, with every plugin's parameters, for editors."""
    import json

    from runner.errors import RunnerError
    from runner.language.schema import spec_schema

    try:
        text = json.dumps(spec_schema(project), indent=1, ensure_ascii=False)
    except RunnerError as error:
        _fail(str(error))
    if out is None:
        click.echo(text)
        return
    _write(out, f"{text}\n")
    click.echo(f"{out}: written")


def _plugin_options(command: F) -> F:
    for family in reversed(FAMILY_KEYS):
        one = family.removesuffix("s")
        command = click.option(
            f"--{one}", family, multiple=True, metavar="NAME", shell_complete=plugins_of(family),
            help=f"A plugin of {family}, as `runner list` shows them; may be given several times.",
        )(command)  # fmt: skip
    return command


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_plugin_options
def new(file: Path, **chosen: tuple[str, ...]) -> None:
    """Write a spec FILE with a step for each chosen plugin, every parameter told."""
    from runner.commands.scaffold import scaffold
    from runner.errors import RunnerError

    if file.exists():
        _fail(f"{file} is there already; choose another name")
    try:
        text = scaffold(file, chosen)
    except RunnerError as error:
        _fail(str(error))
    _write(file, text)
    click.echo(f"{file}: written; next: runner validate {file}")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        _fail(f"cannot write {file}: {error.strerror}")


def _fail(message: str) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(2)
