"""`runner store du`: what takes how much room, and sizes as people write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from os import DirEntry
from pathlib import Path
from typing import Any

from runner.errors import StoreError, UsageError
from runner.storage.plain import files_below
from runner.storage.store import Store

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
          "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_REST = ("records", "scratch", "damaged", "aside", "remote")
_WORDS = {
    "unreachable": "of them named by no record", "records": "logs of records",
    "scratch": "scratch of unfinished nodes", "damaged": "set aside as damaged",
    "aside": "being written, or left by killed runs", "remote": "kept of shared stores",
}  # fmt: skip
_MOST = 20  # rows of a table
Usage = dict[str, Any]


def size_text(size: float) -> str:
    """Return a number of bytes for people, `317 B` or `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def size_of(text: str) -> int:
    """Return the bytes of `100MB` or `2GiB`.

    Raises: UsageError.
    """
    return int(_parsed(text, _UNITS, "100MB, 20GB or 4GiB"))


def age_of(text: str) -> float:
    """Return the seconds of `30d`, `12h` or `2w`.

    Raises: UsageError.
    """
    return _parsed(text, _SECONDS, "30d, 12h or 2w")


def _parsed(text: str, units: Mapping[str, int], example: str) -> float:
    shape = _NUMBER.fullmatch(text.strip())
    unit = units.get(shape[2].lower()) if shape else None
    if shape is None or unit is None:
        raise UsageError(f"{text!r} cannot be read; write it as {example}")
    return float(shape[1]) * unit


def usage(store: Store) -> Usage:
    """Return what the store holds, sizes in bytes; an object counts once for all that share it.

    Raises: StoreError when the store cannot be read.
    """
    store.refresh()
    there = {entry.name: bytes_of(entry) for entry in files_below(store.folder / "objects")}
    groups: dict[str, dict[str, _Group]] = {"specs": {}, "steps": {}}
    specs = _specs(store.folder.parent)
    named: set[str] = set()
    for key in store.records:
        objects = {d for d in store.records.objects(key) or {} if d in there}
        named |= objects
        for spec in specs.get(key, ["of no spec's last run"]):
            groups["specs"].setdefault(spec, _Group()).add(objects)
        groups["steps"].setdefault(step_of(store, key), _Group()).add(objects)
    orphans = [size for digest, size in there.items() if digest not in named]
    return {
        **{name: _told(members, there) for name, members in groups.items()},
        "nodes": len(store.records),
        "objects": {"count": len(there), "bytes": sum(there.values())},
        "unreachable": {"count": len(orphans), "bytes": sum(orphans)},
        **{name: _below(store.folder / name) for name in _REST},
        "bytes": _below(store.folder)["bytes"],
    }


def table(found: Usage) -> Iterator[str]:
    """Yield what `usage` found as lines for people."""
    for title, name in (("spec", "specs"), ("step", "steps")):
        rows = [[f"by {title}", "nodes", "objects", "size"]]
        groups = sorted(found[name].items(), key=lambda item: (-item[1]["bytes"], item[0]))
        for group, sums in groups[:_MOST]:
            numbers = [f"{sums['nodes']:,}", f"{sums['objects']:,}", size_text(sums["bytes"])]
            rows.append([f"  {group}", *numbers])
        yield from _columns(rows)
        if len(groups) > _MOST:
            yield f"  and {len(groups) - _MOST} more"
        yield ""
    rows = [["in all", "", "files", "size"]]
    for name in ("objects", "unreachable", *_REST):
        sums = found[name]
        if sums["count"] or name == "objects":
            rows.append([f"  {_WORDS.get(name, name)}", "", f"{sums['count']:,}",
                         size_text(sums["bytes"])])  # fmt: skip
    yield from _columns([*rows, ["  everything", "", "", size_text(found["bytes"])]])


def _columns(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    for row in rows:
        name, *numbers = row
        aligned = (text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *aligned])


@dataclass
class _Group:
    """Nodes that are told of together, and the objects they name."""

    nodes: int = 0
    objects: set[str] = field(default_factory=set)

    def add(self, objects: set[str]) -> None:
        self.nodes += 1
        self.objects |= objects


def _told(groups: Mapping[str, _Group], there: Mapping[str, int]) -> Usage:
    return {
        name: {
            "nodes": group.nodes, "objects": len(group.objects),
            "bytes": sum(there[digest] for digest in group.objects),
        }
        for name, group in groups.items()
    }  # fmt: skip


def step_of(store: Store, key: str) -> str:
    """Return the step and the plugin of a stored node."""
    try:
        record = store.records[key]
    except StoreError:
        return "(records that cannot be understood)"
    return f"{record['label'].partition('[')[0]} ({record['made']['use']})"


def _specs(artifacts: Path) -> dict[str, list[str]]:
    """Return key -> the specs whose last run was about it, as their manifests say."""
    found: dict[str, list[str]] = {}
    for path in sorted(artifacts.glob("*/run.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            manifest = json.loads(path.read_text("utf-8"))
            for node in [*manifest["nodes"], *manifest["rest"]]:
                found.setdefault(str(node["key"]), []).append(path.parent.name)
    return found


def _below(folder: Path) -> dict[str, int]:
    all_sizes = [bytes_of(entry) for entry in files_below(folder)]
    return {"count": len(all_sizes), "bytes": sum(all_sizes)}


def bytes_of(entry: DirEntry[str]) -> int:
    """Return the size of a file, 0 when it is gone."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
