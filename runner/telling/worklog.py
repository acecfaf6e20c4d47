"""The history of runs: one small file for each below the spec's folder, and how a log reads it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError, listed
from runner.registry import find_project
from runner.telling.account import nodes_of, read_manifest, stamp, step_name, word
from runner.telling.manifest import read_history, read_keys

if TYPE_CHECKING:
    from runner.running.execute import Run
    from runner.running.journey import Journey
    from runner.storage.store import Store

REPORTS = ("report.html", "report.md")
_PROBLEMS = 3  # of a run that are told
_INDENT = " " * 23
KEY = 16  # hexadecimal digits of a key that a history keeps


def about(journey: Journey, run: Run) -> dict[str, Any]:
    """Return what a manifest says of the plan, so that reports need the manifest alone.

    `rest` are the nodes of the plan that were not of this run: those that were not selected.
    """
    steps = {}
    for name, planned in journey.plan.steps.items():
        bound = planned.bound
        reads = [r.step for f in bound.ports.values() for r in f.references]
        nodes = list(planned.nodes.values())
        steps[name] = {
            "family": bound.step.family,
            "use": bound.step.use,
            "axes": list(planned.axes),
            "reads": list(dict.fromkeys(reads)),
            "requires": list(bound.requires),
            "nodes": len(nodes),
            "persist": all(node.plugin.persist for node in nodes),
            "views": [view for node in nodes for view in node.views],
        }
    wish = journey.wish
    return {
        "question": _question(journey.spec.layers.texts.get(journey.spec.path, "")),
        "wish": {
            "spec": os.path.relpath(journey.spec.path, find_project(journey.spec.path)),
            "profile": wish.profile if wish else None,
            "sets": list(wish.sets) if wish else [],
            "sweeps": list(wish.sweeps) if wish else [],
        },
        "steps": steps,
        "rest": list(_rest(journey, run)),
    }


def _rest(journey: Journey, run: Run) -> Iterator[dict[str, Any]]:
    for node in journey.plan.nodes():
        if node.plugin.persist and node.key not in run.results:
            record = journey.store.get(node.key)
            entry = {"node": node.label, "key": node.key, "seconds": 0.0}
            if record is None:
                yield {**entry, "status": "not selected"}
            elif record["outputs"]["type"] == "Verdict":
                yield {**entry, "status": "cached", "verdict": record["outputs"]}
            else:
                yield {**entry, "status": "cached"}


def _question(text: str) -> str:
    """Return the first comment of a spec that says something, on a line of its own."""
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("#") and not words.startswith("#:") and words.strip("# "):
            return words.strip("# ")
        if words and not words.startswith("#"):
            return ""
    return ""


# -- at the end of a run ---------------------------------------------------------------------------


def keep(folder: Path, manifest: Mapping[str, Any], store: Store) -> Path:
    """Write a run's entry of the history: the manifest, its nodes summed up for each step."""
    steps: dict[str, dict[str, Any]] = {}
    for name, entry in manifest["steps"].items():
        steps[name] = {**entry, "states": {}, "seconds": 0.0}
    keys: dict[str, list[str]] = {}
    checks = []
    for node in nodes_of(manifest):
        step = steps[step_name(node["node"])]
        step["states"][node["status"]] = step["states"].get(node["status"], 0) + 1
        step["seconds"] = round(step["seconds"] + node["seconds"], 4)
        keys.setdefault(step_name(node["node"]), []).append(node["key"][:KEY])
        if step["family"] in ("expect", "hypotheses") or node["status"] == "failed":
            checks.append(node)
    runs = folder / "runs"
    stamped = stamp(manifest)
    _write(runs / "keys" / f"{stamped}.json", keys, store)  # shared by all runs of equal nodes
    entry = {**manifest, "steps": steps, "nodes": checks, "rest": [], "keys": stamped}
    moment = manifest["started"].replace("-", "").replace(":", "")
    path = runs / f"{moment}-{manifest['run']}.json"
    _write(path, entry, store)
    return path


def _write(path: Path, data: Any, store: Store) -> None:
    if not path.exists():
        _put(path, json.dumps(data, separators=(",", ":"), default=str).encode(), store)


def _put(path: Path, content: bytes, store: Store) -> None:
    store.place(path, lambda aside: aside.write_bytes(content))


def report(folder: Path, manifest: Mapping[str, Any], store: Store, always: bool = False) -> bool:
    """Write report.html and report.md where something changed; return whether it did."""
    if not always and _reported(folder) == stamp(manifest) and (folder / REPORTS[1]).is_file():
        return False
    from runner.telling.account import account
    from runner.telling.markdown import study
    from runner.telling.page import page

    told = account(folder, manifest, store)
    for name, text in zip(REPORTS, (page(told), study(told)), strict=True):
        _put(folder / name, text.encode("utf-8", "backslashreplace"), store)
    return True


def _reported(folder: Path) -> str:
    with suppress(OSError), (folder / REPORTS[0]).open("rb") as stream:
        _, _, rest = stream.read(400).partition(b'name="runner-report" content="')
        return rest.partition(b'"')[0].decode("ascii", "replace")
    return ""


# -- the log ---------------------------------------------------------------------------------------


def entries(artifacts: Path, spec: str | None = None) -> list[dict[str, Any]]:
    """Return the kept runs of one spec, or of all, the newest last; damaged files are left out."""
    return _history(artifacts, spec)[0]


def _history(artifacts: Path, spec: str | None) -> tuple[list[dict[str, Any]], list[Path]]:
    """Return the kept runs in order of time, and the files that cannot be read."""
    found, damaged = [], []
    for path in artifacts.glob(f"{spec or '*'}/runs/*.json"):
        entry = _entry(path)
        if entry is None:
            damaged.append(path)
        else:
            found.append({**entry, "path": path})
    found.sort(key=lambda entry: (entry["started"], entry["path"].stat().st_mtime_ns))
    return found, sorted(damaged)


def _entry(path: Path) -> dict[str, Any] | None:
    """Return what a file of the history holds, or None when it is not whole."""
    try:
        return read_history(path)
    except (OSError, ValueError):
        return None


def kept(artifacts: Path, token: str) -> dict[str, Any] | None:
    """Return a run by its whole token, its `keys` read (step -> how they begin), or None."""
    for path in artifacts.glob(f"*/runs/*-{token}.json"):
        entry = _entry(path)
        if entry is not None:
            with suppress(OSError, ValueError):
                return {**entry, "keys": read_keys(path.parent, entry)}
    return None


def lines(artifacts: Path, spec: str | None, most: int | None) -> Iterator[str]:
    """Yield the work log: a heading for each day, a line or more for each run.

    Raises: UsageError when there is no run.
    """
    found, damaged = _history(artifacts, spec)
    if not found and not damaged:
        whose = f"of {spec} " if spec else ""
        there = sorted({path.parent.parent.name for path in artifacts.glob("*/runs/*.json")})
        others = f"; there are runs of {listed(there)}" if spec and there else ""
        message = f"no run {whose}is kept below {artifacts}; start one with `runner run`{others}"
        raise UsageError(message)
    day = ""
    for entry in found[-most:] if most else found:
        if entry["started"][:10] != day:
            if day:
                yield ""
            day = entry["started"][:10]
            yield day
        yield from _told(entry)
    for path in damaged:
        yield f"damaged, and left out: {path.relative_to(artifacts)}"


def _told(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the line of a run, and one for each of its problems."""
    from runner.telling.account import duration

    profile = f" ({entry['wish']['profile']})" if entry["wish"]["profile"] else ""
    stopped = ", interrupted" if entry["interrupted"] else ""
    yield (
        f"  {entry['started'][11:16]}  {entry['run']}  {entry['spec']}{profile}: "
        f"{_outcome(entry)} in {duration(entry['seconds'])}{stopped}"
    )
    failed = [node for node in entry["nodes"] if node["status"] == "failed"]
    for node in failed[:_PROBLEMS]:
        yield f"{_INDENT}problem: {node['node']}: {node.get('failure', '')}"
    if failed[_PROBLEMS:]:
        yield f"{_INDENT}and {len(failed) - _PROBLEMS} more"


def _outcome(entry: Mapping[str, Any]) -> str:
    states: Counter[str] = Counter()
    claims: Counter[str] = Counter()
    for step in entry["steps"].values():
        states.update(step["states"])
    for node in entry["nodes"]:
        family = entry["steps"][step_name(node["node"])]["family"]
        if family == "hypotheses":
            claims[word(family, node)] += 1
    order = [s for s in ("passed", "cached", "failed", "blocked", "not run") if states[s]]
    parts = [f"{states[state]} {state}" for state in order] or ["nothing to do"]
    shown = ", ".join(parts)
    told = ", ".join(f"{n} {w}" for w, n in sorted(claims.items(), reverse=True))
    return f"{shown}; hypotheses {told}" if told else shown


def folder_of(spec: Path, artifacts: Path | None) -> Path:
    """Return the folder of a spec's views, whether the spec is still right or not."""
    return (artifacts or find_project(spec) / "artifacts").resolve() / spec.stem


def again(spec: Path, artifacts: Path | None) -> list[Path]:
    """Write the report of a spec's last run anew and return its files.

    Raises: UsageError when it was never run, StoreError when its store cannot be read.
    """
    from runner.errors import StoreError
    from runner.storage.store import Store

    folder = folder_of(spec, artifacts)
    manifest = read_manifest(folder)
    store = Store(folder.parent / ".store")
    store.refresh()
    try:
        report(folder, manifest, store, always=True)
    except OSError as error:
        raise StoreError(f"cannot write below {folder}: {error.strerror}") from error
    finally:
        store.close()
    return [folder / name for name in REPORTS]
