"""From a spec's path to its views: the steps that `runner run` takes, one after the other."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import StoreError, StoreFullError, StoreReadOnlyError
from runner.execute import BLOCKED, CACHED, FAILED, NOT_RUN, PASSED, Options, Result, Run
from runner.manifest import views_inside
from runner.plan import Plan
from runner.planner import build, check
from runner.registry import Registry, find_project, settings
from runner.select import Choice, last_failed
from runner.spec import Spec, load
from runner.store import Store, write_error
from runner.terminal import Watch
from runner.view import Partial, check_folder, place, place_content
from runner.worklog import about, keep, report

if TYPE_CHECKING:
    from runner.shared import Shared


@dataclass(frozen=True)
class Wish:
    """What the command line asks of a spec."""

    path: Path
    profile: str | None = None
    sets: Sequence[str] = ()
    sweeps: Sequence[str] = ()
    artifacts: Path | None = None
    allow_stale: Sequence[str] = ()
    store: str | None = None  # URL of a shared store, `none` for none; None: the project's


@dataclass
class Journey:
    """A spec with all it needs to run: its project's plugins and its store."""

    spec: Spec
    registry: Registry
    plan: Plan
    store: Store
    artifacts: Path
    wish: Wish | None = None
    shared: Shared | None = None

    @property
    def views(self) -> Path:
        """The folder of the spec's views."""
        return self.artifacts / self.spec.name


def prepare(wish: Wish, keyed: bool = True) -> Journey:
    """Return the plan of a spec and the store it would use; validation needs no keys.

    Raises: SpecError, PluginError, UsageError, StoreError; nothing is computed or written but
    the memo of code digests.
    """
    spec = load(wish.path, wish.profile, wish.sets, wish.sweeps)
    project = find_project(wish.path)
    artifacts = (wish.artifacts or project / "artifacts").resolve()
    registry = Registry.of(project)
    store = Store(artifacts / ".store")
    memo = store.folder / "code.json" if store.folder.is_dir() else None
    if wish.allow_stale:
        store.refresh()
    stale = tuple(wish.allow_stale)
    if keyed:
        plan = build(spec, registry, memo, _stale_keys(store), stale)
    else:
        plan = check(spec, registry, stale)
    return Journey(
        spec, registry, plan, store, artifacts, wish, shared_behind(store, wish, project)
    )


def shared_behind(store: Store, wish: Wish, project: Path) -> Shared | None:
    """Return the shared store that the command line asks for, or else the project.

    Raises: UsageError when that is no URL.
    """
    if wish.store is None and "store" not in settings(project):
        return None  # most have none, and need nothing imported for it
    from runner.shared import Shared, url_of

    url = url_of(wish.store, project)
    return None if url is None else Shared(url, store)


def _stale_keys(store: Store) -> Any:
    def key_of(recipe: str) -> str | None:
        record = store.stale(recipe)
        return record["key"] if record else None

    return key_of


def travel(journey: Journey, options: Options, watch: Watch, choice: Choice | None = None) -> Run:
    """Run a plan or the chosen nodes of it, put its views in place and write the manifest."""
    run = Run(journey.plan, journey.store, journey.registry, options, watch.result, watch.tick)
    if choice is not None:
        run.selected = choice.keys if choice.deselected else None
        run.first = choice.first
    run.shared = journey.shared
    started = time.time()
    check_folder(journey.views)
    try:
        journey.store.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(journey.store.folder, error) from error
    try:
        watch.begin(run.nodes.values())
        run.execute()
    finally:
        watch.close()
        if journey.shared is not None:
            journey.shared.end()
    try:
        account_for(journey, run, started, options)
    except StoreReadOnlyError as error:
        if any(result.status != CACHED for result in run.results.values()):
            raise
        run.unwritten = str(error)
    finally:
        journey.store.close()
    return run


def account_for(journey: Journey, run: Run, started: float, options: Options) -> None:
    """Write what people open: the views, the manifest, the history and the report.

    Raises: StoreError when the disk is full or may not be written.
    """
    placed = place_views(journey, run.results.values())
    if not run.interrupted or run.timed_out:
        run.partial = place_partial(journey, run)
        placed += [one.view for one in run.partial if one.view not in placed]
    try:
        write_failures(journey, run.results.values())
        manifest = write_manifest(journey, run, placed, started, options)
        keep(journey.views, manifest, journey.store)
        report(journey.views, manifest, journey.store)
    except OSError as error:
        raise write_error(journey.views, error) from error


def place_views(journey: Journey, results: Iterable[Result]) -> list[str]:
    """Link the views of finished renderers; remove those of the last run that are no more."""
    results = list(results)
    placed = []
    for result in results:
        if result.status not in (PASSED, CACHED) or not result.node.views:
            continue
        contents = journey.store.records[result.node.key]["outputs"].get("contents", {})
        for view in result.node.views:
            if Path(view).suffix not in contents:
                message = f"what is stored of {result.node.label} has no {Path(view).suffix}"
                raise StoreError(f"{message}: no run wrote it; choose another --artifacts folder")
            source = journey.store.read(contents[Path(view).suffix])
            place(source, journey.views, view, journey.store)
            placed.append(view)
    ended = {result.node.key for result in results}
    wanted = {view: node.key for node in journey.plan.nodes() for view in node.views}
    for old in _last_views(journey):
        if old not in wanted:
            (journey.views / old).unlink(missing_ok=True)
        elif wanted[old] not in ended:  # not selected: still a view of this spec
            placed.append(old)
    return placed


def place_partial(journey: Journey, run: Run) -> list[Partial]:
    """Draw the views of renderers that wait for something, from what there is."""
    waiting = [r.node for r in run.results.values() if r.status in (BLOCKED, NOT_RUN)]
    if not any(node.views for node in waiting):
        return []
    from runner.partial import draw

    found = []
    with suppress(StoreFullError):  # what has no room now can be drawn when there is some
        for partial, content in draw(journey, waiting, run.token):
            place_content(content, journey.views, partial.view, journey.store)
            found.append(partial)
    return found


def _last_views(journey: Journey) -> list[str]:
    try:
        manifest = json.loads((journey.views / "run.json").read_text("utf-8"))
        return views_inside(journey.views, manifest["views"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def failure_file(journey: Journey, result: Result) -> Path:
    """Return where a failed node's traceback and log are kept."""
    name = re.sub(r"[^A-Za-z0-9_.=,\[\]-]", "_", result.node.label)[:150]
    return journey.views / "failed" / f"{name}.txt"


def write_failures(journey: Journey, results: Iterable[Result]) -> None:
    """Keep the traceback and log of each failed node; drop those of the run before."""
    folder = journey.views / "failed"
    if folder.is_dir():
        for file in folder.glob("*.txt"):
            file.unlink(missing_ok=True)
    for result in results:
        if result.status == FAILED and result.failure and result.failure.traceback:
            file = failure_file(journey, result)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{result.failure.traceback}\n{result.log}", "utf-8")


def still_failed(journey: Journey, run: Run) -> list[str]:
    """Return the labels of the nodes that failed now, or before and were not reached since."""
    ends = {r.node.key: r for r in run.results.values() if r.status not in (BLOCKED, NOT_RUN)}
    before = set(last_failed(journey))
    nodes = [node for planned in journey.plan.steps.values() for node in planned.nodes.values()]
    return [
        node.label
        for node in nodes
        if (run.fails(ends[node.key]) if node.key in ends else node.label in before)
    ]


def write_manifest(
    journey: Journey, run: Run, views: list[str], started: float, options: Options
) -> dict[str, Any]:
    """Write run.json: the resolved spec, each node's fate, the verdicts and the circumstances."""
    nodes = []
    for result in run.results.values():
        entry: dict[str, Any] = {
            "node": result.node.label, "key": result.node.key, "status": result.status,
            "seconds": round(result.seconds, 4),
        }  # fmt: skip
        if result.failure:
            entry["failure"] = f"{result.failure.kind}: {result.failure.message}"
        if result.verdict:
            entry["verdict"] = {
                "family": result.node.family, "holds": result.verdict.holds,
                "check": result.verdict.check, "detail": result.verdict.detail,
                "worst": dict(result.verdict.worst), "judged": result.verdict.judged,
            }  # fmt: skip
        nodes.append(entry)
    manifest = {
        "spec": journey.spec.name,
        "title": journey.spec.title,
        "run": run.token,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "interrupted": run.interrupted,
        "timed_out": run.timed_out,
        "partial": {one.view: str(one) for one in run.partial},
        "workers": options.workers,
        "where": run.where,
        "device": options.device,
        "resolved": journey.spec.layers.data,
        "nodes": nodes,
        "failed": still_failed(journey, run),
        "views": views,
        **about(journey, run),
    }
    journey.store.place(
        journey.views / "run.json", lambda aside: aside.write_text(_lines(manifest), "utf-8")
    )
    return manifest


def _lines(manifest: dict[str, Any]) -> str:
    """Return a manifest as JSON with a line for each node: for people, at the speed of machines."""
    encode = json.JSONEncoder(default=str).encode
    parts = []
    for name, value in manifest.items():
        text = encode(value)
        if name in ("nodes", "rest") and value:
            text = "[\n" + ",\n".join(map(encode, value)) + "\n]"
        parts.append(f"{encode(name)}: {text}")
    return "{" + ",\n".join(parts) + "}\n"
