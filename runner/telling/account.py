"""What a report tells of a run, gathered from its manifest, its records and its views."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.storage.store import Store
from runner.telling.manifest import read, views_inside

LAYOUT = 2  # raised when reports look otherwise, so that old ones are written again
PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp")
TEXTS = (".txt", ".md", ".json", ".tex", ".log")
MOST_READ = 8_000_000  # bytes of a table that are read to tell of it
DONE = ("passed", "cached")
_WORDS = ("holds", "supported", "fails", "refuted", "error")  # in this order, then all others
_PLURAL = {"holds": "hold", "fails": "fail"}
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """An expectation or hypothesis with what came of it, as one word and as numbers."""

    label: str
    family: str
    claim: str
    check: str
    detail: str
    word: str
    worst: Mapping[str, Any]


@dataclass
class StepTold:
    """A step with what became of its nodes, and the work that is stored of it."""

    name: str
    family: str
    use: str
    axes: list[str]
    reads: list[str]
    requires: list[str]
    count: int
    persist: bool
    states: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    days: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Summary:
    """A numeric column of a table over its healthy rows."""

    column: str
    mean: float
    low: float
    high: float


@dataclass
class Sheet:
    """A CSV view that was read."""

    view: str
    step: str
    header: list[str]
    rows: list[list[str]]
    size: int
    unhealthy: int | None = None  # rows; None: nothing is said of health
    columns: list[Summary] = field(default_factory=list)


@dataclass
class Account:
    """Everything that a report says."""

    folder: Path
    manifest: Manifest
    checks: list[Told]
    steps: list[StepTold]
    sheets: list[Sheet]
    views: list[str]
    failures: list[tuple[str, str]]  # reason and label, one for each node
    versions: dict[str, set[str]]
    made: list[str]  # first and last day and hour of what is stored
    step_of: dict[str, str]  # view -> step


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the last run of a spec.

    Raises: UsageError when there is none, or it is of an older version.
    """
    path = folder / "run.json"
    try:
        return read(path)
    except OSError:
        message = f"{path}: there is no finished run of this spec; start one with `runner run`"
        raise UsageError(message) from None
    except ValueError as error:
        message = f"{path} is damaged or of another version ({error})"
        raise UsageError(f"{message}; `runner run` writes it again") from error


def nodes_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the nodes of the run and those of the plan that were not selected."""
    return [*manifest["nodes"], *manifest["rest"]]


def stamp(manifest: Manifest) -> str:
    """Return a digest of all that a report depends on but time: equal ones tell the same."""
    nodes = [
        [n["node"], n["key"], "" if n["status"] in DONE else n["status"], n.get("failure", "")]
        for n in nodes_of(manifest)
    ]
    parts = [manifest[name] for name in ("title", "question", "resolved", "steps", "views")]
    text = json.dumps([LAYOUT, nodes, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def account(folder: Path, manifest: Manifest, store: Store) -> Account:
    """Return what is to be told of a run; `store` has been refreshed."""
    steps = {name: _step(name, entry) for name, entry in manifest["steps"].items()}
    versions: dict[str, set[str]] = {}
    made = set()
    for node in nodes_of(manifest):
        step = steps[step_name(node["node"])]
        step.states[node["status"]] += 1
        record = store.records.get(node["key"])
        if record is not None:
            step.seconds += record["seconds"]
            made.add(record["made"]["at"])
            facts = {**record["made"]["versions"], "python": record["made"]["python"]}
            for name, version in {**facts, "device": record["made"]["device"]}.items():
                versions.setdefault(name, set()).add(version)
    step_of = {v: name for name, e in manifest["steps"].items() for v in e["views"]}
    views = views_inside(folder, manifest["views"])
    axes = set(manifest["resolved"].get("axes", {}))
    return Account(
        folder=folder, manifest=manifest, checks=list(_checks(manifest, steps)),
        steps=list(steps.values()), sheets=list(_sheets(folder, views, step_of, axes)),
        views=views, failures=list(_failures(manifest)), versions=versions,
        made=sorted(made)[:: max(1, len(made) - 1)], step_of=step_of,
    )  # fmt: skip


def step_name(label: str) -> str:
    """Return the step of a node's label."""
    return label.partition("[")[0]


def _step(name: str, entry: Mapping[str, Any]) -> StepTold:
    return StepTold(
        name, entry["family"], entry["use"], entry["axes"], entry["reads"], entry["requires"],
        entry["nodes"], entry["persist"],
    )  # fmt: skip


def _checks(manifest: Manifest, steps: Mapping[str, StepTold]) -> Iterator[Told]:
    order = {name: place for place, name in enumerate(_written(manifest["resolved"]))}
    nodes = [n for n in nodes_of(manifest) if _family(n, steps) in ("expect", "hypotheses")]
    for node in sorted(nodes, key=lambda n: order.get(step_name(n["node"]), 0)):
        name = step_name(node["node"])
        family = steps[name].family
        body = manifest["resolved"].get(family, {}).get(name, {})
        verdict = node.get("verdict") or {}
        yield Told(
            node["node"], family, str(body.get("claim", "")),
            str(verdict.get("check", body.get("check", ""))),
            str(verdict.get("detail", node.get("failure", ""))),
            word(family, node), verdict.get("worst") or {},
        )  # fmt: skip


def _written(resolved: Mapping[str, Any]) -> list[str]:
    return [name for family in ("expect", "hypotheses") for name in resolved.get(family, {})]


def _family(node: Mapping[str, Any], steps: Mapping[str, StepTold]) -> str:
    return steps[step_name(node["node"])].family


def word(family: str, node: Mapping[str, Any]) -> str:
    """Return what came of a check: holds, fails, supported, refuted, not run, error, ..."""
    verdict = node.get("verdict")
    if not verdict:
        return "error" if node["status"] == "failed" else str(node["status"])
    if not verdict.get("judged", True):
        return "not run" if family == "hypotheses" else "not judged"
    if family == "hypotheses":
        return "supported" if verdict["holds"] else "refuted"
    return "holds" if verdict["holds"] else "fails"


def _failures(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for node in manifest["nodes"]:
        if node["status"] == "failed" and not node.get("verdict"):  # else it is among the checks
            yield node.get("failure", "failed"), node["node"]


def _sheets(
    folder: Path, views: Iterable[str], step_of: Mapping[str, str], axes: set[str]
) -> Iterator[Sheet]:
    for view in views:
        path = folder / view
        if path.suffix != ".csv" or path.stat().st_size > MOST_READ:
            continue
        try:
            rows = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline="")))
        except (UnicodeDecodeError, csv.Error):
            continue  # it is linked like any other file
        if rows:
            size = path.stat().st_size
            yield _judged(Sheet(view, step_of.get(view, ""), rows[0], rows[1:], size), axes)


def _judged(sheet: Sheet, axes: set[str]) -> Sheet:
    healthy = sheet.rows
    if "healthy" in sheet.header:
        at = sheet.header.index("healthy")
        healthy = [row for row in sheet.rows if row[at : at + 1] == ["True"]]
        sheet.unhealthy = len(sheet.rows) - len(healthy)
    for at, name in enumerate(sheet.header):
        values = [number for row in healthy if (number := _number(row[at : at + 1])) is not None]
        if name in axes or not values or len(values) < len(healthy):
            continue
        sheet.columns.append(Summary(name, sum(values) / len(values), min(values), max(values)))
    return sheet


def _number(cell: list[str]) -> float | None:
    try:
        return float(cell[0])
    except (ValueError, IndexError):
        return None


def rounded(cell: str) -> str:
    """Return a cell of a table for people: long numbers with six digits."""
    if len(cell) < 9 or cell.lstrip("-").isdigit():
        return cell
    try:
        return f"{float(cell):.6g}"
    except ValueError:
        return cell


def duration(seconds: float) -> str:
    """Return a time for people, `0.4 s`, `41 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


def verdict_counts(checks: Iterable[Told]) -> str:
    """Return `expectations: 6 hold; hypotheses: 4 supported, 4 refuted`, or "" without checks."""
    words = Counter((told.family, told.word) for told in checks)
    parts = []
    for family, name in (("expect", "expectations"), ("hypotheses", "hypotheses")):
        ours = sorted((_rank(w), w, n) for (f, w), n in words.items() if f == family)
        found = [f"{n} {_PLURAL.get(w, w)}" for _, w, n in ours]
        if found:
            parts.append(f"{name}: {', '.join(found)}")
    return "; ".join(parts)


def _rank(judged: str) -> int:
    return _WORDS.index(judged) if judged in _WORDS else len(_WORDS)


def command(manifest: Manifest) -> str:
    """Return the command that does this run again."""
    import shlex

    wish = manifest["wish"]
    parts = ["runner", "run", wish["spec"]]
    parts += ["--profile", wish["profile"]] if wish["profile"] else []
    for option in ("set", "sweep"):
        parts += [part for text in wish[f"{option}s"] for part in (f"--{option}", text)]
    parts += ["--device", manifest["device"]] if manifest["device"] != "cpu" else []
    return shlex.join(parts)
