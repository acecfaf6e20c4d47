"""Which nodes of a plan a command is about: node ids, -k, -m, --lf, --only-missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError, listed, near
from runner.language.faults import near_path
from runner.planning.plan import Node, Plan, Planned, shown, sources
from runner.running.match import Match, parse_match
from runner.storage.store import Store

if TYPE_CHECKING:
    from runner.running.journey import Journey

_STEP = re.compile(r"(?P<step>[^\[\]]+)(?:\[(?P<cell>.*)\])?\Z", re.DOTALL)
_PAIR = re.compile(r",\s*(?=[A-Za-z_][A-Za-z0-9_]*\s*=)")  # values may hold commas


@dataclass(frozen=True)
class Asked:
    """What the command line says of selection, the same for all its specs."""

    keyword: str | None = None
    marker: str | None = None
    last_failed: bool = False
    failed_first: bool = False
    only_missing: bool = False

    @classmethod
    def taken(cls, options: dict[str, Any]) -> Asked:
        """Return the selection of a command's options and take it out of them."""
        return cls(**{f.name: options.pop(f.name) for f in fields(cls) if f.name in options})


@dataclass(frozen=True)
class Choice:
    """The selected nodes of a plan, in its order; `total` counts all that it could select."""

    nodes: tuple[Node, ...]
    total: int
    first: frozenset[str] = frozenset()  # keys of what is computed before the rest
    stored: int = 0  # how many --only-missing leaves out
    note: str = ""
    keys: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", frozenset(node.key for node in self.nodes))

    @property
    def deselected(self) -> int:
        """How many nodes were left out."""
        return self.total - len(self.keys)


def split_id(text: str) -> tuple[Path, str | None]:
    """Return the spec and the node of `spec.toml::step[axis=value]`, None without a node."""
    path, mark, node = text.partition("::")
    if mark and not path:
        raise UsageError(f"{text}: a spec stands before `::`, as in study.toml::{node or 'llc'}")
    spec, colon, step = path.partition(".toml:")
    if colon and not Path(path).exists():
        raise UsageError(f"{text}: write {spec}.toml::{step}, with two colons")
    if mark and not node:
        raise UsageError(f"{text}: a step follows `::`, as in {path}::llc or {path}::llc[task=add]")
    if mark and Path(path).is_dir():
        raise UsageError(f"{text}: {path} is a folder; a node id names one spec")
    return Path(path), node if mark else None


def choose_all(
    targets: Sequence[tuple[Journey, Sequence[str]]], asked: Asked
) -> list[tuple[Journey, Choice]]:
    """Return what is chosen of each spec; with --lf, of all that is asked for if nothing failed.

    Raises: UsageError as `choose` does.
    """
    found = [(journey, choose(journey, ids, asked)) for journey, ids in targets]
    if asked.last_failed and not any(choice.first for _, choice in found):
        every = replace(asked, last_failed=False)
        note = "no node failed when last run: nothing is left out for --lf"
        found = [(j, replace(choose(j, ids, every), note=note)) for j, ids in targets]
    return found


def choose(journey: Journey, ids: Sequence[str], asked: Asked) -> Choice:
    """Return the nodes that the command line asks for; no ids stand for all nodes.

    Raises: UsageError for ids and expressions that cannot be read or name what is not there.
    """
    plan = journey.plan
    everything = [
        (planned, node)
        for planned in plan.steps.values()
        for node in planned.nodes.values()
        if node.plugin.persist
    ]
    found = everything
    if ids:
        named = {id(node) for text in ids for node in _named_of(journey, text)}
        found = [(planned, node) for planned, node in found if id(node) in named]
    if asked.keyword is not None:
        match = parse_match("-k", asked.keyword)
        file = journey.spec.path.name
        found = [(p, node) for p, node in found if _in_id(match, f"{file}::{node.label}")]
    if asked.marker is not None:
        match = parse_match("-m", asked.marker)
        found = [(p, node) for p, node in found if match.holds(p.bound.markers.__contains__)]
    nodes = [node for _, node in found]
    failed = set(last_failed(journey)) if asked.last_failed or asked.failed_first else set()
    before = [node for node in nodes if node.label in failed]
    note = ""
    if asked.last_failed or asked.failed_first:
        note = f"{len(before)} node{'s' if len(before) != 1 else ''} failed when last run"
    if asked.last_failed:
        nodes = before
    stored = 0
    if asked.only_missing:
        journey.store.refresh()
        missing = [node for node in nodes if journey.store.get(node.key) is None]
        stored = len({node.key for node in nodes} - {node.key for node in missing})
        nodes = missing
    first = frozenset(node.key for node in before)
    total = len({node.key for _, node in everything})
    return Choice(tuple(nodes), total, first, stored, note)


def check_markers(asked: Asked, plans: Iterable[Plan]) -> None:
    """Check that each marker of -m is one of a spec.

    Raises: UsageError with a near miss.
    """
    if asked.marker is None:
        return
    known: set[str] = set()
    for plan in plans:
        known.update(plan.spec.markers)
        for planned in plan.steps.values():
            known.update(planned.bound.markers)
    for word in parse_match("-m", asked.marker).words:
        if word not in known:
            hint = near(word, known) or f" (there are: {listed(sorted(known))})"
            raise UsageError(f'-m {asked.marker!r}: no marker "{word}"{hint}')


def last_failed(journey: Journey) -> list[str]:
    """Return the labels of the nodes that failed when they were last run."""
    try:
        manifest = json.loads((journey.views / "run.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    try:
        if "failed" not in manifest:  # written before this list was
            return [str(n["node"]) for n in manifest["nodes"] if n["status"] == "failed"]
        return [str(label) for label in manifest["failed"]]
    except (KeyError, TypeError):
        return []


def needed(plan: Plan, store: Store, keys: frozenset[str] | None) -> dict[str, Node]:
    """Return what a run of the nodes with these keys looks at, in the plan's order.

    These are the nodes themselves and, of what the missing ones among them need, what is missing
    too. None stands for all nodes.
    """
    nodes = [node for node in plan.nodes() if node.plugin.persist]
    if keys is None:
        return {node.key: node for node in nodes}
    wanted = set(keys)
    for node in reversed(nodes):  # readers before what they read
        if node.key in wanted and store.get(node.key) is None:
            wanted.update(s.key for s in sources(node) if store.get(s.key) is None)
    return {node.key: node for node in nodes if node.key in wanted}


def _in_id(match: Match, text: str) -> bool:
    folded = text.casefold()
    return match.holds(lambda word: word.casefold() in folded)


# -- node ids --------------------------------------------------------------------------------------


def _named_of(journey: Journey, text: str) -> list[Node]:
    try:
        return _named(journey.plan, text)
    except UsageError as error:
        raise UsageError(f"{near_path(journey.spec.path)}::{error}") from error


def _named(plan: Plan, text: str) -> list[Node]:
    shape = _STEP.match(text)
    if shape is None:
        raise UsageError(f"{text}: a node id is step or step[axis=value,...]")
    planned = plan.steps.get(shape["step"])
    if planned is None:
        hint = near(shape["step"], plan.steps) or f" (there are: {listed(plan.steps, 20)})"
        raise UsageError(f'{text}: no step "{shape["step"]}"{hint}')
    if not next(iter(planned.nodes.values())).plugin.persist:
        readers = [
            name
            for name, other in plan.steps.items()
            if any(
                source.step == shape["step"] for n in other.nodes.values() for source in n.inputs()
            )
        ]
        raise UsageError(
            f"{text}: {shape['step']} is computed where it is needed and never stored; "
            f"select what reads it ({listed(readers)})"
        )
    fixed = _cell(plan, planned, shape["cell"], text)
    nodes = [
        node
        for cell, node in planned.nodes.items()
        if all(cell[planned.axes.index(axis)] in labels for axis, labels in fixed.items())
    ]
    if not nodes:
        raise UsageError(f"{text}: {shape['step']} has no such cell; its `where` leaves it out")
    return nodes


def _cell(plan: Plan, planned: Planned, inside: str | None, text: str) -> Mapping[str, list[Any]]:
    """Return the labels that each axis named in the brackets may have."""
    step = planned.bound.step.name
    fixed: dict[str, list[Any]] = {}
    for pair in _PAIR.split(inside) if inside else []:
        axis, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise UsageError(f"{text}: write axis=value in the brackets, not {pair!r}")
        if axis not in planned.axes:
            hint = near(axis, planned.axes) or f" (it varies over: {listed(planned.axes)})"
            raise UsageError(f'{text}: {step} does not vary over "{axis}"{hint}')
        if axis in fixed:
            raise UsageError(f"{text}: {axis} stands twice")
        labels = plan.spec.axes[axis].labels
        fixed[axis] = [v for v in labels if _exactly(v, value)]
        fixed[axis] = fixed[axis] or [v for v in labels if shown(v) == value]
        if not fixed[axis]:
            texts = [shown(v) for v in labels]
            hint = near(value, texts) or f" (there are: {listed(texts)})"
            raise UsageError(f'{text}: {axis} has no value "{value}"{hint}')
    return fixed


def _exactly(label: Any, text: str) -> bool:
    """Whether text is a label, or a number in any notation of the same value."""
    if isinstance(label, str):
        return label == text
    if isinstance(label, bool):
        return str(label).lower() == text.lower()
    try:
        return float(text) == float(label)
    except ValueError:
        return False
