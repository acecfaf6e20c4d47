"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from runner.commands import completion

F = TypeVar("F", bound=Callable[..., Any])
PROJECT = click.option(
    "--project", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path(),
    metavar="DIR", help="Project folder.",
)  # fmt: skip


def spec_options(command: F) -> F:
    """Give a command specs and how they are read."""
    specs = click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path),
                           shell_complete=completion.specs)  # fmt: skip
    return specs(_wish_options(command))


def _wish_options(command: F) -> F:
    options = [
        click.option("--profile", metavar="NAME", shell_complete=completion.profiles,
                     help="Merge [profiles.NAME] into the spec."),
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE",
                     help="Override one value, e.g. probes.llc.steps=200."),
        click.option("--sweep", "sweeps", multiple=True, metavar="PARAM=A,B,C",
                     help="Turn a parameter of [params] into an axis."),
        click.option("--artifacts", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
                     help="Where results go (default: artifacts/ of the project)."),
        click.option("--allow-stale", multiple=True, metavar="STEP",
                     shell_complete=completion.steps,
                     help="Use what other code made of this step, on purpose."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def node_options(command: F) -> F:
    """Give a command specs, nodes of them, and how they are read."""
    options = [
        click.argument("specs", nargs=-1, required=True, metavar="SPEC[::NODE]...",
                       shell_complete=completion.nodes),
        click.option("-k", "keyword", metavar="EXPR",
                     help="Only nodes whose file.toml::step[axis=value] holds these words, "
                     "e.g. -k 'drift and not task=add'."),
        click.option("-m", "marker", metavar="EXPR",
                     help="Only nodes of steps so marked, e.g. -m 'quick or nightly'."),
        click.option("--only-missing", is_flag=True,
                     help="Only nodes that are not stored yet; nothing else is judged."),
        click.option("--store", metavar="URL",
                     help="A shared store behind the local one, s3://bucket/prefix ... (default: "
                     "tool.runner.store of pyproject.toml; none: no shared store)."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return _wish_options(command)
