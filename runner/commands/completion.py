"""Shell completion: the names that click's own scripts ask for while a command is typed.

Everything heavy is imported by the function that needs it: a key press waits for the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]
SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_RUNNER_COMPLETE"  # as click derives it from the name of the command


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, plugins, specs and steps."""
    cls = get_completion_class(shell)
    if cls is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(cls(root, {}, "runner", _VARIABLE).source())


def _quiet(names: Callable[[click.Context, str], Iterable[str]]) -> Complete:
    """Make a completer of click: a spec or a folder that cannot be read completes to nothing."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from runner.errors import RunnerError

        del param
        try:
            return [CompletionItem(name) for name in names(ctx, incomplete)]
        except (RunnerError, OSError):
            return []

    return complete


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


# -- plugins ---------------------------------------------------------------------------------------


def _by_family(ctx: click.Context) -> dict[str, list[str]]:
    from runner.registry import FAMILY_KEYS, Registry, find_project

    registry = Registry.of(find_project(ctx.params.get("project") or Path()))
    return {family: sorted(registry.names(family)) for family in FAMILY_KEYS}


@_quiet
def plugins(ctx: click.Context, incomplete: str) -> list[str]:
    """Complete `llc` where one family has the name, `probes/llc` always."""
    found = _by_family(ctx)
    count = Counter(name for names in found.values() for name in names)
    short = [name for name in sorted(count) if count[name] == 1]
    return _starting(
        [*short, *(f"{f}/{n}" for f, names in found.items() for n in names)], incomplete
    )


@_quiet
def families(ctx: click.Context, incomplete: str) -> list[str]:
    """Complete `probes`."""
    from runner.registry import FAMILY_KEYS

    del ctx
    return _starting(FAMILY_KEYS, incomplete)


def plugins_of(family: str) -> Complete:
    """Return the completer of the plugins of one family."""
    return _quiet(lambda ctx, incomplete: _starting(_by_family(ctx)[family], incomplete))


# -- specs, their steps and profiles ---------------------------------------------------------------


@_quiet
def specs(ctx: click.Context, incomplete: str) -> list[str]:
    """Complete folders and *.toml."""
    del ctx
    return _paths(incomplete)


@_quiet
def nodes(ctx: click.Context, incomplete: str) -> list[str]:
    """Complete folders and *.toml, and after `spec.toml::` the steps of the spec.

    bash breaks words at colons: then `::` and the step come alone, after the spec.
    """
    words = _words(ctx)
    path, mark, step = incomplete.partition("::")
    if path and mark:
        return [f"{path}::{name}" for name in _starting(_steps(Path(path)), step)]
    if mark and words:
        return _starting(_steps(Path(words[-1])), step)
    if len(words) > 1 and words[-1] == "::":
        return _starting(_steps(Path(words[-2])), incomplete)
    return _paths(incomplete)


@_quiet
def steps(ctx: click.Context, incomplete: str) -> list[str]:
    """Complete the steps of the specs that stand on the line already."""
    found = [name for path in _specs_on_line(ctx) for name in _steps(path)]
    return _starting(dict.fromkeys(found), incomplete)


@_quiet
def profiles(ctx: click.Context, incomplete: str) -> list[str]:
    """Complete the profiles of the specs that stand on the line already."""
    from runner.language.layers import profile_names

    found = [name for path in _specs_on_line(ctx) for name in profile_names(path)]
    return _starting(dict.fromkeys(found), incomplete)


class OneNode(click.Command):
    """A command of one node, which bash hands over in three words: spec, `::`, step."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the step too, where click has the spec for a whole argument."""
        if incomplete.startswith("::") or ctx.args[-1:] == ["::"]:
            return nodes(ctx, self.params[0], incomplete)
        return super().shell_complete(ctx, incomplete)


def _words(ctx: click.Context) -> list[str]:
    """Return the arguments so far; those that click has not placed yet are in `args`."""
    given: Any = ctx.params.get("specs") or ctx.params.get("node") or ()
    placed = given if isinstance(given, tuple) else (given,)
    return [str(word) for word in (*placed, *ctx.args)]


def _specs_on_line(ctx: click.Context) -> list[Path]:
    from runner.errors import RunnerError
    from runner.language.files import spec_files

    found = []
    for word in _words(ctx):
        with suppress(RunnerError):  # an empty folder has nothing to offer
            found += spec_files([Path(word.partition("::")[0])])
    return [file for file in found if file.is_file()]


def _steps(path: Path) -> list[str]:
    from runner.language.layers import read
    from runner.language.spec import CHECK_KEYS
    from runner.registry import FAMILY_KEYS

    tables = (read(path).data.get(family) for family in (*FAMILY_KEYS, *CHECK_KEYS))
    return [name for table in tables if isinstance(table, dict) for name in table]


def _paths(incomplete: str) -> list[str]:
    """Return the specs and folders that begin so; of a folder that is alone, what it holds too."""
    head, slash, start = incomplete.rpartition("/")
    found = []
    for path in sorted(Path(f"{head}{slash}" or ".").expanduser().iterdir()):
        if path.name.startswith(start) and (start or not path.name.startswith(".")):
            name = f"{head}{slash}{path.name}"
            if path.is_dir():
                found.append(f"{name}/")
            elif path.suffix == ".toml":
                found.append(name)
    if len(found) == 1 and found[0].endswith(
        "/"
    ):  # two answers keep the shell from ending the word
        found += _paths(found[0])
    return found
