"""What a run leaves beside its views: the manifest, and what failed nodes had to say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.running.journey import Journey
from runner.running.outcome import BLOCKED, FAILED, NOT_RUN, Options, Result
from runner.running.select import last_failed
from runner.telling.worklog import about

if TYPE_CHECKING:
    from runner.running.execute import Run


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
