"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runner.commands import completion, reports, store, tools
from runner.commands.options import PROJECT, node_options, spec_options
from runner.errors import RunnerError, SpecError, UsageError

if TYPE_CHECKING:
    from runner.running.journey import Journey
    from runner.running.select import Choice

EXIT_WRONG, EXIT_INTERRUPTED = 2, 130


class _Commands(click.Group):
    """Commands that end with 130 when they are interrupted, with 2 and a message for an error."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except RunnerError as error:  # a store that is damaged shows wherever it is read
            click.echo(f"error: {error}", err=True)
            ctx.exit(EXIT_WRONG)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="runner")
def cli() -> None:
    """Experiments in deep-learning geometry, each one a TOML file."""


@cli.command()
@node_options
@click.option("--lf", "--last-failed", "last_failed", is_flag=True,
              help="Only nodes that failed when last run (all if none did).")  # fmt: skip
@click.option("--ff", "--failed-first", "failed_first", is_flag=True,
              help="All nodes, those that failed when last run first.")  # fmt: skip
@click.option("--co", "--collect-only", "collect_only", is_flag=True,
              help="List the ids of the selected nodes; run nothing.")  # fmt: skip
@click.option("-n", "workers", type=click.IntRange(1), metavar="N",
              help="Worker processes (default: the number of cores).")  # fmt: skip
@click.option("--dask", metavar="CLUSTER",
              help="Compute on Dask workers: tcp://HOST:PORT, a scheduler file, local:N, slurm:N, "
              "pbs:N, kubernetes:N ...")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Where numerics run: cpu, cuda.")
@click.option("--time-limit", metavar="TIME",
              help="Stop after 2h, 90m, 45s ...; draw what there is; end with 3.")  # fmt: skip
@click.option("-x", "first", is_flag=True, help="Stop at the first failure.")
@click.option("--maxfail", type=click.IntRange(1), metavar="N", help="Stop after N failures.")
@click.option("--strict", is_flag=True, help="A refuted hypothesis makes the run fail.")
@click.option("--durations", type=click.IntRange(0), metavar="N",
              help="Name the N slowest nodes at the end (0: all).")  # fmt: skip
@click.option("--junitxml", type=click.Path(path_type=Path), metavar="FILE",
              help="Write what each node came to as JUnit XML, for CI.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write what each node came to, with verdicts and logs, as JSON.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="A line for each node.")
@click.option("-q", "--quiet", is_flag=True, help="Only failures and the last line.")
def run(  # noqa: PLR0917  # one argument for each option
    specs: tuple[str, ...],
    collect_only: bool,
    workers: int | None,
    dask: str | None,
    device: str,
    time_limit: str | None,
    first: bool,
    maxfail: int | None,
    strict: bool,
    durations: int | None,
    junitxml: Path | None,
    json_file: Path | None,
    verbose: bool,
    quiet: bool,
    **wish: Any,
) -> None:
    """Compute what is missing of SPECS (files, folders, file.toml::step[axis=value]); draw views.

    Of a step without brackets all cells are selected, of one with brackets those that agree.
    What selected nodes need is computed too.
    """
    from runner.commands.session import Manner, collect, run_all, said
    from runner.running.outcome import Options
    from runner.telling.ledger import check_writable
    from runner.telling.report import Telling
    from runner.telling.terminal import colours

    limit = 1 if first else maxfail
    _check_dask(dask, workers)
    count = workers or os.cpu_count() or 1
    options = Options(count, device, limit, strict, _seconds(time_limit), dask or "")
    telling = Telling(colours(), said(wish, device, dask), strict)
    click.get_current_context().color = telling.colour or None  # FORCE_COLOR reaches click's echo
    manner = Manner(verbose, quiet, durations, telling, junitxml, json_file)
    try:
        for report in filter(None, (junitxml, json_file)):
            check_writable(report)
    except RunnerError as error:
        _fail(error)
    if not dask or dask.startswith("local:"):  # else it is the workers that must have it
        _check_device(device)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        found = _found(specs, wish)
        code = collect(found, manner) if collect_only else run_all(found, options, manner)
    except KeyboardInterrupt:  # while planning or drawing; nothing stored is lost
        click.echo("interrupted; run the same command again to go on", err=True)
        code = EXIT_INTERRUPTED
    sys.exit(code)


@cli.command()
@node_options
@click.option("-v", "--verbose", is_flag=True, help="A line for each node.")
def plan(specs: tuple[str, ...], verbose: bool, **wish: Any) -> None:
    """Tell what `run` would do with SPECS, and why; compute nothing."""
    from runner.commands.session import chosen_of, tell_nothing
    from runner.telling.estimate import time_lines
    from runner.telling.wording import plan_lines, version_warnings

    found = _found(specs, wish)
    chosen = chosen_of(found)
    if not chosen:
        sys.exit(tell_nothing(found))
    for journey, choice in chosen:
        click.echo(f"{_near(journey.spec.path)}: {journey.spec.title}")
        try:
            journey.store.refresh()
            if journey.shared is not None:
                journey.shared.pull()
        except RunnerError as error:
            _fail(error)
        for line in plan_lines(journey.plan, journey.store, verbose, choice):
            click.echo(line)
        for line in time_lines(journey, choice):
            click.echo(line)
        for line in version_warnings(journey.plan, journey.store):
            click.echo(line, err=True)


@cli.command()
@spec_options
@click.option("--format", "form", type=click.Choice(["text", "github", "json"]), default="text",
              help="How problems are told: to people, as GitHub annotations, as JSON.")  # fmt: skip
def validate(specs: tuple[Path, ...], form: str, **wish: Any) -> None:
    """Check SPECS (files or folders) without computing anything; exit code 2 if one is wrong."""
    if form != "text":
        from runner.commands.tools import tell_faults

        sys.exit(EXIT_WRONG if tell_faults(_files(specs), form, wish) else 0)
    for journey in _prepared(specs, keyed=False, **wish):
        nodes = sum(len(planned.nodes) for planned in journey.plan.steps.values())
        steps = len(journey.plan.steps)
        click.echo(f"{_near(journey.spec.path)}: ok ({steps} steps, {nodes} nodes)")


@cli.command("list")
@click.argument("family", required=False, shell_complete=completion.families)
@PROJECT
def list_plugins(family: str | None, project: Path) -> None:
    """List the plugins, of one FAMILY or of all; nothing is imported."""
    from runner.telling.catalogue import listing

    _print(lambda: listing(project, family))


@cli.command()
@click.argument("plugin", shell_complete=completion.plugins)
@PROJECT
def show(plugin: str, project: Path) -> None:
    """Show a PLUGIN (`llc` or `probes/llc`): parameters, ports, output, columns, source."""
    from runner.telling.catalogue import description

    _print(lambda: description(project, plugin))


def _seconds(text: str | None) -> float | None:
    from runner.running.limit import seconds_of

    try:
        return None if text is None else seconds_of(text)
    except UsageError as error:
        _fail(UsageError(f"--time-limit: {error}"))


def _print(lines: Callable[[], Sequence[str]]) -> None:
    try:
        for line in lines():
            click.echo(line)
    except RunnerError as error:
        _fail(error)


def _found(specs: Sequence[str], options: dict[str, Any]) -> list[tuple[Journey, Choice]]:
    """Return the specs planned, with what is selected in each."""
    from runner.running.select import Asked, check_markers, choose_all, split_id

    asked = Asked.taken(options)
    try:
        targets = [split_id(text) for text in specs]
        whole = {file.resolve() for file in _files([p for p, node in targets if node is None])}
        ids: dict[Path, list[str]] = {}
        for path, node in targets:
            if node is not None and path.resolve() not in whole:
                ids.setdefault(path.resolve(), []).append(node)
        journeys = _prepared(list(dict.fromkeys(path for path, _ in targets)), **options)
        check_markers(asked, [journey.plan for journey in journeys])
        return choose_all([(j, ids.get(j.spec.path, [])) for j in journeys], asked)
    except RunnerError as error:
        _fail(error)


def _prepared(specs: Sequence[Path], keyed: bool = True, **wish: Any) -> list[Journey]:
    """Return the specs planned; print every problem of all of them and exit when there is one."""
    from runner.running.journey import Wish, prepare

    journeys = []
    wrong = 0
    gc.disable()  # a plan of many nodes holds no garbage, and looking for some takes a fifth of it
    for path in _files(specs):
        try:
            journeys.append(prepare(Wish(path, **wish), keyed))
        except SpecError as error:
            wrong += len(error.problems)
            _print_problems(error, path)
        except RunnerError as error:
            wrong += 1
            click.echo(f"{_near(path)}: {error}", err=True)
    gc.enable()
    if wrong:
        click.echo(f"{wrong} problem{'s' if wrong > 1 else ''}", err=True)
        sys.exit(EXIT_WRONG)
    return journeys


def _files(specs: Sequence[Path]) -> list[Path]:
    from runner.language.files import spec_files

    try:
        return spec_files(specs)
    except UsageError as error:
        _fail(error)


def _print_problems(error: SpecError, path: Path) -> None:
    from runner.telling.wording import problems

    for line in problems(error, path):
        click.echo(line, err=True)


def _check_dask(dask: str | None, workers: int | None) -> None:
    if dask is None:
        return
    from runner.computing.clusters import asked

    if workers is not None:
        _fail(UsageError("-n and --dask both say where nodes are computed; give one of them"))
    try:
        asked(dask)
    except RunnerError as error:
        _fail(error)


def _check_device(device: str) -> None:
    name = device.partition(":")[0]
    if name not in ("cpu", "cuda"):
        _fail(UsageError(f'--device {device}: no such device; use "cpu" or "cuda"'))
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            _fail(UsageError("--device cuda: torch finds no CUDA device; use --device cpu"))


def _fail(error: RunnerError) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    sys.exit(EXIT_WRONG)


def _as_interrupt(signum: int, frame: Any) -> None:
    del signum, frame
    raise KeyboardInterrupt


def _near(path: Path) -> str:
    from runner.telling.wording import near_path

    return near_path(path)


cli.add_command(tools.schema)
cli.add_command(tools.new)
cli.add_command(reports.report)
cli.add_command(reports.work_log)
cli.add_command(reports.why)
cli.add_command(reports.diff)
cli.add_command(store.store)
cli.add_command(completion.completion)
