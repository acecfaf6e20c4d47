"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner import cli_tools
from runner.errors import RunnerError, SpecError, UsageError

if TYPE_CHECKING:
    from runner.execute import Run
    from runner.journey import Journey

EXIT_FAILED, EXIT_WRONG, EXIT_NOTHING, EXIT_INTERRUPTED = 1, 2, 5, 130
F = TypeVar("F", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="runner")
def cli() -> None:
    """Experiments in deep-learning geometry, each one a TOML file."""


def _spec_options(command: F) -> F:
    options = [
        click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path)),
        click.option("--profile", metavar="NAME", help="Merge [profiles.NAME] into the spec."),
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE",
                     help="Override one value, e.g. probes.llc.steps=200."),
        click.option("--sweep", "sweeps", multiple=True, metavar="PARAM=A,B,C",
                     help="Turn a parameter of [params] into an axis."),
        click.option("--artifacts", type=click.Path(path_type=Path), metavar="DIR",
                     help="Where results go (default: artifacts/ of the project)."),
        click.option("--allow-stale", multiple=True, metavar="STEP",
                     help="Use what other code made of this step, on purpose."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@_spec_options
@click.option("-n", "workers", type=click.IntRange(1), metavar="N",
              help="Worker processes (default: the number of cores).")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Where numerics run: cpu, cuda.")
@click.option("-x", "first", is_flag=True, help="Stop at the first failure.")
@click.option("--maxfail", type=click.IntRange(1), metavar="N", help="Stop after N failures.")
@click.option("-v", "--verbose", is_flag=True, help="A line for each node.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures and the last line.")
def run(  # noqa: PLR0917  # one argument for each option
    specs: tuple[Path, ...],
    workers: int | None,
    device: str,
    first: bool,
    maxfail: int | None,
    verbose: bool,
    quiet: bool,
    **wish: Any,
) -> None:
    """Compute what is missing of one or more SPECS (files or folders) and draw their views."""
    from runner.execute import Options

    limit = 1 if first else maxfail
    options = Options(workers or os.cpu_count() or 1, device, limit)
    _check_device(device)
    signal.signal(signal.SIGTERM, _as_interrupt)
    code = 0
    try:
        for journey in _prepared(specs, **wish):
            if len(specs) > 1 or not quiet:
                click.echo(f"{_near(journey.spec.path)}: {journey.spec.title}")
            code = max(code, _run_one(journey, options, verbose, quiet))
            if code == EXIT_INTERRUPTED:
                break
    except KeyboardInterrupt:  # while planning or drawing; nothing stored is lost
        click.echo("interrupted; run the same command again to go on", err=True)
        code = EXIT_INTERRUPTED
    sys.exit(code)


def _run_one(journey: Journey, options: Any, verbose: bool, quiet: bool) -> int:
    import time

    from runner.execute import FAILED, elapsed
    from runner.journey import travel
    from runner.report import failures, verdicts
    from runner.terminal import watcher
    from runner.wording import summary

    started = time.monotonic()
    try:
        run = travel(journey, options, watcher(journey.plan, quiet, verbose))
    except RunnerError as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_FAILED
    for line in failures(journey, run):
        click.echo(line)
    if not quiet:
        for line in verdicts(run):
            click.echo(line)
        _echo_views(journey, run)
    for path in sorted(set(journey.store.damaged)):
        click.echo(f"warning: a damaged line in {path}; its nodes are computed again", err=True)
    click.echo(summary(run.results.values(), elapsed(started)))
    if run.interrupted:
        click.echo("interrupted; run the same command again to go on", err=True)
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(r.status == FAILED for r in run.results.values()) else 0


def _echo_views(journey: Journey, run: Run) -> None:
    from runner.execute import CACHED, PASSED

    done = [r for r in run.results.values() if r.status in (PASSED, CACHED)]
    views = [view for result in done for view in result.node.views]
    if views:
        click.echo(f"{len(views)} view{'s' if len(views) > 1 else ''} in {_near(journey.views)}/")


@cli.command()
@_spec_options
@click.option("-v", "--verbose", is_flag=True, help="A line for each node.")
def plan(specs: tuple[Path, ...], verbose: bool, **wish: Any) -> None:
    """Tell what `run` would do with SPECS, and why; compute nothing."""
    from runner.wording import plan_lines, version_warnings

    for journey in _prepared(specs, **wish):
        click.echo(f"{_near(journey.spec.path)}: {journey.spec.title}")
        try:
            journey.store.refresh()
        except RunnerError as error:
            _fail(error)
        for line in plan_lines(journey.plan, journey.store, verbose):
            click.echo(line)
        for line in version_warnings(journey.plan, journey.store):
            click.echo(line, err=True)


@cli.command()
@_spec_options
@click.option("--format", "form", type=click.Choice(["text", "github", "json"]), default="text",
              help="How problems are told: to people, as GitHub annotations, as JSON.")  # fmt: skip
def validate(specs: tuple[Path, ...], form: str, **wish: Any) -> None:
    """Check SPECS (files or folders) without computing anything; exit code 2 if one is wrong."""
    if form != "text":
        from runner.cli_tools import tell_faults

        sys.exit(EXIT_WRONG if tell_faults(_files(specs), form, wish) else 0)
    for journey in _prepared(specs, keyed=False, **wish):
        nodes = sum(len(planned.nodes) for planned in journey.plan.steps.values())
        steps = len(journey.plan.steps)
        click.echo(f"{_near(journey.spec.path)}: ok ({steps} steps, {nodes} nodes)")


@cli.command("list")
@click.argument("family", required=False)
@click.option("--project", type=click.Path(path_type=Path), default=Path(), help="Project folder.")
def list_plugins(family: str | None, project: Path) -> None:
    """List the plugins, of one FAMILY or of all; nothing is imported."""
    from runner.catalogue import listing

    _print(lambda: listing(project, family))


@cli.command()
@click.argument("plugin")
@click.option("--project", type=click.Path(path_type=Path), default=Path(), help="Project folder.")
def show(plugin: str, project: Path) -> None:
    """Show a PLUGIN (`llc` or `probes/llc`): parameters, ports, output, columns, source."""
    from runner.catalogue import description

    _print(lambda: description(project, plugin))


def _print(lines: Callable[[], Sequence[str]]) -> None:
    try:
        for line in lines():
            click.echo(line)
    except RunnerError as error:
        _fail(error)


def _prepared(specs: Sequence[Path], keyed: bool = True, **wish: Any) -> list[Journey]:
    """Return the specs planned; print every problem of all of them and exit when there is one."""
    from runner.journey import Wish, prepare

    journeys = []
    wrong = 0
    for path in _files(specs):
        try:
            journeys.append(prepare(Wish(path, **wish), keyed))
        except SpecError as error:
            wrong += len(error.problems)
            _print_problems(error, path)
        except RunnerError as error:
            wrong += 1
            click.echo(f"{_near(path)}: {error}", err=True)
    if wrong:
        click.echo(f"{wrong} problem{'s' if wrong > 1 else ''}", err=True)
        sys.exit(EXIT_WRONG)
    return journeys


def _files(specs: Sequence[Path]) -> list[Path]:
    files = []
    for path in specs:
        if path.is_dir():
            found = sorted(path.rglob("*.toml"))
            if not found:
                _fail(UsageError(f"{path}: no *.toml below this folder"))
            files += found
        else:
            files.append(path)
    return files


def _print_problems(error: SpecError, path: Path) -> None:
    from runner.wording import problems

    for line in problems(error, path):
        click.echo(line, err=True)


def _check_device(device: str) -> None:
    name = device.partition(":")[0]
    if name not in ("cpu", "cuda"):
        _fail(UsageError(f'--device {device}: no such device; use "cpu" or "cuda"'))
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            _fail(UsageError("--device cuda: torch finds no CUDA device; use --device cpu"))


def _fail(error: RunnerError) -> None:
    click.echo(f"error: {error}", err=True)
    sys.exit(EXIT_WRONG)


def _as_interrupt(signum: int, frame: Any) -> None:
    del signum, frame
    raise KeyboardInterrupt


def _near(path: Path) -> str:
    from runner.wording import near_path

    return near_path(path)


cli.add_command(cli_tools.schema)
