"""Commands for editors and CI: problems told to programs, the schema of specs, a first spec.

Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


def tell_faults(files: Sequence[Path], form: str, wish: Mapping[str, Any]) -> bool:
    """Print what is wrong with specs as GitHub annotations or as JSON; return whether anything is.

    GitHub reads annotations from the output, and whoever reads JSON reads it there too.
    """
    from runner.errors import RunnerError
    from runner.faults import as_github, as_json, faults
    from runner.journey import Wish, prepare

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
