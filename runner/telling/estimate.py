"""How long what is missing will take, from what like nodes took before."""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.planning.plan import Node, Plan, Planned
from runner.plugin import Plugin
from runner.running.select import Choice, needed
from runner.storage.records import Record
from runner.storage.store import Store
from runner.telling.wording import span

if TYPE_CHECKING:
    from runner.running.journey import Journey

LOOKED_AT = 400  # records of a plugin, the newest ones


@dataclass(frozen=True)
class Estimate:
    """The work that a step's missing nodes are expected to be."""

    nodes: int
    seconds: float  # of work, for all of them
    unlike: tuple[str, ...] = ()  # parameters in which the nearest past nodes differ

    @property
    def basis(self) -> str:
        """What the figure leans on, for people; empty when on nodes with the same parameters."""
        return f"past nodes differ in {', '.join(self.unlike)}" if self.unlike else ""


def estimates(plan: Plan, store: Store, missing: Mapping[str, Node]) -> dict[str, Estimate | None]:
    """Return an estimate for each step with missing nodes, None where nothing like it was made."""
    by_step: dict[str, list[Node]] = {}
    for node in missing.values():
        if plan.steps[node.step].bound.is_check:
            continue  # checks take no time worth telling
        by_step.setdefault(node.step, []).append(node)
    wanted = {_use(plan.steps[name]) for name in by_step}
    past = _past(store, wanted)
    return {
        name: _estimate(plan.steps[name], nodes, past.get(_use(plan.steps[name]), []))
        for name, nodes in by_step.items()
    }


def _use(planned: Planned) -> str:
    return f"{planned.bound.step.family}/{planned.bound.step.use}"


def _past(store: Store, wanted: Iterable[str]) -> dict[str, list[Record]]:
    """Return the newest records of each plugin; others are not parsed."""
    marks = {use: f'"use":"{use}"'.encode() for use in wanted}
    found: dict[str, list[Record]] = {use: [] for use in marks}
    for key in reversed(list(store.records)):
        entry = store.records.entry(key)
        for use, mark in marks.items():
            if entry is not None and mark in entry[0] and len(found[use]) < LOOKED_AT:
                found[use].append(store.records[key])
    return found


def _estimate(planned: Planned, nodes: list[Node], past: list[Record]) -> Estimate | None:
    """Return the median rate of the most alike past nodes, times the work of the missing ones.

    Nodes are alike in their parameters; those that vary along the step's axes do not count. Where
    the others differ, the plugin says by how much that changes the work.
    """
    if not past:
        return None
    free = {str(inner[0]) for inner in planned.bound.uses}
    wanted = _flat(nodes[0].plugin.model_dump(mode="json"), free)
    unlike = [(_differing(wanted, _flat(record["parameters"], free)), record) for record in past]
    least = min(len(names) for names, _ in unlike)
    nearest = [(names, record) for names, record in unlike if len(names) == least]
    rate = statistics.median(r["seconds"] / _work(nodes[0].plugin, r) for _, r in nearest)
    common = Counter(names for names, _ in nearest).most_common(1)[0][0]
    return Estimate(len(nodes), rate * sum(node.plugin.work() for node in nodes), common)


def _work(like: Plugin, record: Record) -> float:
    """Return how much work a past node was; as much as `like`, where its plugin was another."""
    try:
        return type(like).model_validate_json(json.dumps(record["parameters"])).work()
    except ValueError:
        return like.work()


def _flat(values: Mapping[str, Any], free: set[str], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if not prefix and name in free:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, free, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _differing(wanted: Mapping[str, Any], held: Mapping[str, Any]) -> tuple[str, ...]:
    names = wanted.keys() | held.keys()
    return tuple(sorted(name for name in names if wanted.get(name) != held.get(name)))


def time_lines(journey: Journey, choice: Choice) -> list[str]:
    """Return the lines of a plan that tell how long a run of what is chosen takes here."""
    store = journey.store
    keys = choice.keys if choice.deselected else None
    nodes = needed(journey.plan, store, keys)
    missing = {key: node for key, node in nodes.items() if not store.has(key)}
    return told(estimates(journey.plan, store, missing), os.cpu_count() or 1)


def told(found: Mapping[str, Estimate | None], workers: int) -> list[str]:
    """Return the lines of a plan that tell how long it will take."""
    known = {name: one for name, one in found.items() if one is not None}
    total = sum(one.seconds for one in known.values())
    if total < 1:  # too little to wait for, or nothing known
        return []
    lines = []
    for name, one in sorted(known.items(), key=lambda item: -item[1].seconds):
        if one.seconds >= 1:
            about = f"  ({one.basis})" if one.basis else ""
            each = one.seconds / one.nodes
            lines.append(f"  {name}: {span(one.seconds)} of work, {each:.3g} s a node{about}")
    unknown = [name for name, one in found.items() if one is None]
    cores = f" with {workers} workers" if workers > 1 else ""
    head = f"about {span(total / workers)}{cores}, judged by what like nodes took before"
    lines.insert(0, head)
    if unknown:
        lines.append(f"  not judged, never run before: {', '.join(unknown)}")
    return lines
