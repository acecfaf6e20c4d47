"""A run from its plan to what people open: nodes computed, views placed, manifest and report."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from runner.errors import Failure, StoreError, StoreFullError, StoreReadOnlyError
from runner.running.execute import Run
from runner.running.journey import Journey
from runner.running.outcome import BLOCKED, CACHED, FAILED, NOT_RUN, PASSED, Options, Result
from runner.running.select import Choice
from runner.storage.store import write_error
from runner.storage.view import Partial, check_folder, place, place_content
from runner.telling.leave import write_failures, write_manifest
from runner.telling.manifest import views_inside
from runner.telling.terminal import Watch
from runner.telling.worklog import keep, report


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
        checks = ("expect", "hypotheses")
        if any(r.status != CACHED and r.node.family not in checks for r in run.results.values()):
            raise
        run.unwritten = str(error)
    finally:
        journey.store.close()
    return run


def account_for(journey: Journey, run: Run, started: float, options: Options) -> None:
    """Write what people open: the views, the manifest, the history and the report.

    Raises: StoreError when the disk is full or may not be written.
    """
    placed = place_views(journey, run.results)
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


def place_views(journey: Journey, results: dict[str, Result]) -> list[str]:
    """Link the views of finished renderers; remove those of the last run that are no more.

    A renderer whose view cannot be read has failed.
    """
    placed = []
    for key, result in list(results.items()):
        if result.status not in (PASSED, CACHED) or not result.node.views:
            continue
        contents = journey.store.records[result.node.key]["outputs"].get("contents", {})
        for view in result.node.views:
            if Path(view).suffix not in contents:
                message = f"what is stored of {result.node.label} has no {Path(view).suffix}"
                raise StoreError(f"{message}: no run wrote it; choose another --artifacts folder")
            try:
                source = journey.store.read(contents[Path(view).suffix])
            except StoreError as error:
                failure = Failure(type(error).__name__, str(error))
                results[key] = Result(result.node, FAILED, failure=failure)
                break
            place(source, journey.views, view, journey.store)
            placed.append(view)
    wanted = {view: node.key for node in journey.plan.nodes() for view in node.views}
    for old in _last_views(journey):
        if old not in wanted:
            (journey.views / old).unlink(missing_ok=True)
        elif wanted[old] not in results:  # not selected: still a view of this spec
            placed.append(old)
    return placed


def place_partial(journey: Journey, run: Run) -> list[Partial]:
    """Draw the views of renderers that wait for something, from what there is."""
    waiting = [r.node for r in run.results.values() if r.status in (BLOCKED, NOT_RUN)]
    if not any(node.views for node in waiting):
        return []
    from runner.running.partial import draw

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
