"""Two runs side by side: what differs in parameters, tables, networks and verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import UsageError, listed
from runner.registry import find_project
from runner.storage.store import Store
from runner.telling.account import nodes_of, read_manifest, step_name, word
from runner.telling.manifest import read_keys
from runner.telling.measured import Side, networks, tables
from runner.telling.worklog import KEY, entries, folder_of

_TOLD_OTHERWISE = ("expect", "hypotheses", "renderers")  # as verdicts; what is drawn are tables


@dataclass
class Past:
    """A run that was kept, with the store that holds what it came to."""

    manifest: Mapping[str, Any]
    keys: Mapping[str, list[str]]  # step -> the keys of its nodes, or how they begin
    store: Store

    @property
    def name(self) -> str:
        """Its spec, token and moment."""
        return f"{self.manifest['spec']}, run {self.manifest['run']} of {self.manifest['started']}"


def past(text: str, artifacts: Path | None) -> Past:
    """Return a run by its token, its manifest or its spec (then the last one).

    Raises: UsageError when there is none, or several.
    """
    path = Path(text)
    if path.suffix == ".toml":
        folder = folder_of(path, artifacts)
        return _of_manifest(read_manifest(folder), folder)
    if path.name == "run.json":
        return _of_manifest(read_manifest(path.parent), path.resolve().parent)
    root = (artifacts or find_project(Path()) / "artifacts").resolve()
    if path.parent.name == "runs" and len(path.resolve().parents) > 2:
        root = path.resolve().parents[2]
    if path.suffix == ".json":
        found = [e for e in entries(root) if e["path"] == path.resolve()]
    else:
        found = [e for e in entries(root) if e["run"].startswith(text)]
    if len(found) != 1:
        told = f"are {len(found)} runs; write more of its token" if found else "is no kept run"
        raise UsageError(f"{text} {told} (`runner log` lists them)")
    (entry,) = found
    folder = entry["path"].parent
    try:
        keys = read_keys(folder, entry)
    except (OSError, ValueError) as error:
        message = f"the keys of run {entry['run']} cannot be read ({error}); `runner run` keeps new"
        raise UsageError(message) from error
    return _past(entry, keys, folder.parent)


def _of_manifest(manifest: Mapping[str, Any], folder: Path) -> Past:
    keys: dict[str, list[str]] = {}
    for node in nodes_of(manifest):
        keys.setdefault(step_name(node["node"]), []).append(node["key"][:KEY])
    return _past(manifest, keys, folder)


def _past(manifest: Mapping[str, Any], keys: Mapping[str, list[str]], folder: Path) -> Past:
    store = Store(folder.parent / ".store")
    store.refresh()
    return Past(manifest, keys, store)


def lines(one: Past, other: Past) -> Iterator[str]:
    """Yield what differs between two runs."""
    yield f"A: {one.name}"
    yield f"B: {other.name}"
    yield from _section("parameters", _parameters(one, other))
    common = [step for step in one.keys if step in other.keys]
    if not common:
        yield ""
        yield f"no step in common: A has {listed(one.keys)}; B has {listed(other.keys)}"
        return
    # Equal keys are the same nodes, and hold the same numbers.
    changed = [
        step
        for step in common
        if set(one.keys[step]) != set(other.keys[step])
        and one.manifest["steps"][step]["family"] not in _TOLD_OTHERWISE
    ]
    pairs = [(step, _side("A", one, step), _side("B", other, step)) for step in changed]
    yield from _section("tables, means over common cells", tables(pairs))
    yield from _section("networks, |B - A| / |A| of all weights", networks(pairs))
    yield from _section("verdicts", _verdicts(one, other))


def _side(name: str, past: Past, step: str) -> Side:
    """Return the stored records of a step's nodes, those of missing objects too."""
    wanted = past.keys[step]
    size = len(wanted[0]) if wanted else 0
    known = {key[:size]: key for key in past.store.records}
    records = [past.store.records[known[key]] for key in wanted if key in known]
    return Side(name, len(wanted), records, past.store)


def _section(name: str, found: Iterator[str]) -> Iterator[str]:
    inside = [f"  {line}" for line in found]
    yield ""
    yield f"{name}:{'' if inside else ' no difference'}"
    yield from inside


def _parameters(one: Past, other: Past) -> Iterator[str]:
    a, b = (dict(_flat(past.manifest["resolved"], "")) for past in (one, other))
    for name in [*a, *(name for name in b if name not in a)]:
        if a.get(name) != b.get(name):
            yield f"{name}: {a.get(name, 'not there')} -> {b.get(name, 'not there')}"


def _flat(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", json.dumps(value, default=str)


def _verdicts(one: Past, other: Past) -> Iterator[str]:
    a, b = (_words(past) for past in (one, other))
    same = []
    for label in [*a, *(label for label in b if label not in a)]:
        before, after = a.get(label, ("not there", "")), b.get(label, ("not there", ""))
        if before[0] != after[0]:
            yield f"{label}: {_with_numbers(*before)} -> {_with_numbers(*after)}"
        elif before != after:
            same.append(f"{label}: still {before[0]} ({before[1]} -> {after[1]})")
    yield from same


def _with_numbers(judged: str, detail: str) -> str:
    return f"{judged} ({detail})" if detail else judged


def _words(past: Past) -> dict[str, tuple[str, str]]:
    """Return what came of each check in a word, and both sides' values."""
    words = {}
    for node in nodes_of(past.manifest):
        family = past.manifest["steps"][step_name(node["node"])]["family"]
        if family in ("expect", "hypotheses"):
            detail = (node.get("verdict") or {}).get("detail", "")
            words[node["node"]] = word(family, node), detail
    return words
