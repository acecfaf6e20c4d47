"""Two runs side by side: parameters that differ, means of tables over common cells, verdicts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.account import nodes_of, read_manifest, step_name, word
from runner.errors import StoreError, UsageError
from runner.registry import Registry, find_project
from runner.store import Record, Store
from runner.worklog import KEY, entries, folder_of

Cell = tuple[tuple[str, Any], ...]
Means = dict[Cell, dict[str, float]]


@dataclass
class Past:
    """A run that was kept, with the store that holds its tables."""

    manifest: Mapping[str, Any]
    keys: Mapping[str, list[str]]  # step -> the keys of its nodes, or how they begin
    store: Store
    registry: Registry

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
    if path.suffix == ".json":
        found = [e for e in entries(path.resolve().parents[2]) if e["path"] == path.resolve()]
    else:
        found = [e for e in entries(root) if e["run"].startswith(text)]
    if len(found) != 1:
        told = f"are {len(found)} runs; write more of its token" if found else "is no kept run"
        raise UsageError(f"{text} {told} (`runner log` lists them)")
    (entry,) = found
    folder = entry["path"].parent
    try:
        keys = json.loads((folder / "keys" / f"{entry['keys']}.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the keys of run {entry['run']} cannot be read: {error}") from error
    return _past(entry, keys, folder.parent)


def _of_manifest(manifest: Mapping[str, Any], folder: Path) -> Past:
    keys: dict[str, list[str]] = {}
    for node in nodes_of(manifest):
        keys.setdefault(step_name(node["node"]), []).append(node["key"][:KEY])
    return _past(manifest, keys, folder)


def _past(manifest: Mapping[str, Any], keys: Mapping[str, list[str]], folder: Path) -> Past:
    store = Store(folder.parent / ".store")
    store.refresh()
    return Past(manifest, keys, store, Registry.of(find_project(folder)))


def lines(one: Past, other: Past) -> Iterator[str]:
    """Yield what differs between two runs."""
    yield f"A: {one.name}"
    yield f"B: {other.name}"
    yield from _section("parameters", _parameters(one, other))
    yield from _section("tables, means over common cells", _tables(one, other))
    yield from _section("verdicts", _verdicts(one, other))


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
    for label in [*a, *(label for label in b if label not in a)]:
        before, after = a.get(label, "not there"), b.get(label, "not there")
        if before.partition(" (")[0] != after.partition(" (")[0]:
            yield f"{label}: {before} -> {after}"


def _words(past: Past) -> dict[str, str]:
    words = {}
    for node in nodes_of(past.manifest):
        family = past.manifest["steps"][step_name(node["node"])]["family"]
        if family in ("expect", "hypotheses"):
            detail = (node.get("verdict") or {}).get("detail", "")
            words[node["node"]] = word(family, node) + (f" ({detail})" if detail else "")
    return words


# -- tables ----------------------------------------------------------------------------------------


def _tables(one: Past, other: Past) -> Iterator[str]:
    for step in one.keys:
        if step not in other.keys:
            continue
        if set(one.keys[step]) == set(other.keys[step]):
            continue  # the same nodes: the same numbers
        a, b = _means(one, step), _means(other, step)
        common = [cell for cell in a if cell in b]
        if not a or not b:
            continue
        yield f"{step}: {len(common)} common cells of {len(a)} and {len(b)}"
        columns = dict.fromkeys(name for cell in common for name in a[cell] if name in b[cell])
        for name in columns:
            yield from _column(name, a, b, [c for c in common if name in a[c] and name in b[c]])


def _column(name: str, a: Means, b: Means, cells: list[Cell]) -> Iterator[str]:
    before = sum(a[cell][name] for cell in cells) / len(cells)
    after = sum(b[cell][name] for cell in cells) / len(cells)
    text = f"  {name}: {before:.6g} -> {after:.6g}, delta {after - before:+.4g}"
    spread = _seed_spread(name, a, cells)
    if spread is not None:
        times = f" = {abs(after - before) / spread:.2g} times" if spread else ", above"
        text += f"{times} the spread over seeds, {spread:.4g}"
    yield text


def _seed_spread(name: str, means: Means, cells: list[Cell]) -> float | None:
    """Return the standard deviation over the axis `seed`, pooled over the other axes, or None."""
    groups: dict[Cell, list[float]] = {}
    for cell in cells:
        if any(axis == "seed" for axis, _ in cell):
            rest = tuple(pair for pair in cell if pair[0] != "seed")
            groups.setdefault(rest, []).append(means[cell][name])
    squares, freedom = 0.0, 0
    for values in groups.values():
        middle = sum(values) / len(values)
        squares += sum((value - middle) ** 2 for value in values)
        freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _means(past: Past, step: str) -> Means:
    """Return each cell's mean of each numeric column of a step's tables that are still stored."""
    from runner.codec import Reader

    reader = Reader(past.store, past.registry)
    means = {}
    for record in _records(past, step):
        if record["outputs"]["type"] != "Table":
            return {}
        try:
            table = reader.load(record["outputs"], "", None)
        except StoreError:
            continue  # its object is gone: not a common cell
        found = {name: _mean(list(column)) for name, column in table.columns.items()}
        cell = tuple(sorted(record["cell"].items()))
        means[cell] = {name: mean for name, mean in found.items() if mean is not None}
    return means


def _records(past: Past, step: str) -> Iterator[Record]:
    wanted = past.keys[step]
    size = len(wanted[0]) if wanted else 0
    known = {key[:size]: record for key, record in past.store.records.items()}
    yield from (known[key] for key in wanted if key in known)


def _mean(values: list[Any]) -> float | None:
    try:
        numbers = [float(v) for v in values if not isinstance(v, str)]
    except (TypeError, ValueError):
        return None
    finite = [number for number in numbers if math.isfinite(number)]
    return sum(finite) / len(finite) if finite else None
