"""Nodes -> parcels: what is computed in one call, and in which form a worker receives it.

Which nodes share a call depends on the plan alone, never on the number of workers or on what is
stored already, so that every way to compute a study gives the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.identity import identity
from runner.key import digest
from runner.plan import Binding, Node, One, Part, Plan, Rows, Stack
from runner.store import Record
from runner.work import Fresh, Gathered, Parcel, Source, Stacked, Stored, Work


@dataclass(frozen=True)
class Group:
    """Missing nodes of one step that are computed in one call."""

    step: str
    nodes: tuple[Node, ...]
    fused: bool
    threads: int


def groups(plan: Plan, missing: Mapping[str, Node]) -> Iterator[Group]:
    """Yield the groups of the missing nodes, in the plan's order."""
    taken: set[str] = set()
    for name, planned in plan.steps.items():
        nodes = list({n.key: n for n in planned.nodes.values() if n.key not in taken}.values())
        if not any(node.key in missing for node in nodes):
            continue
        fused = hasattr(planned.bound.cls, "run_batch")
        for chunk in _chunks(nodes) if fused else ([node] for node in nodes):
            wanted = tuple(n for n in chunk if n.key in missing and n.key not in taken)
            taken.update(node.key for node in chunk)
            if wanted:
                yield Group(name, wanted, fused, planned.bound.threads)


def _chunks(nodes: list[Node]) -> Iterator[list[Node]]:
    """Yield the nodes that are equal in all that may not vary, cut to the plugin's batch size."""
    alike: dict[str, list[Node]] = {}
    for node in nodes:
        varies = node.plugin.varies
        parameters = node.plugin.model_dump(mode="json")
        fixed = {k: v for k, v in parameters.items() if k not in varies}
        ports = {k: identity(b) for k, b in node.ports.items() if k not in varies}
        alike.setdefault(digest([fixed, ports, node.seed]), []).append(node)
    for members in alike.values():
        size = max(1, members[0].plugin.batch_size())
        for start in range(0, len(members), size):
            yield members[start : start + size]


def parcel(group: Group, plan: Plan, records: Mapping[str, Record], device: str) -> Parcel:
    """Return the group as a worker receives it; every stored input must have its record."""
    planned = plan.steps[group.step]
    step = planned.bound.step
    return Parcel(
        works=tuple(_work(node, records) for node in group.nodes),
        fused=group.fused,
        code=planned.code,
        use=f"{step.family}/{step.use}",
        threads=group.threads,
        device=device,
    )


def _work(node: Node, records: Mapping[str, Record]) -> Work:
    return Work(
        label=node.label,
        key=node.key,
        recipe=node.recipe,
        plugin=node.plugin,
        ports={name: _source(binding, records) for name, binding in node.ports.items()},
        seed=node.seed,
        cell=json.loads(json.dumps(dict(zip(node.axes, node.cell, strict=True)))),
        must_hold=node.family == "expect",
    )


def _source(binding: Binding, records: Mapping[str, Record]) -> Source:
    match binding:
        case One(node, output, checkpoint):
            return _one(node, output, checkpoint, records)
        case Rows(parts, where, derive):
            gathered = tuple((p.step, p.axes, _members(p, records)) for p in parts)
            return Gathered(gathered, where, derive)
        case Stack(part):
            return Stacked(part.axes, _members(part, records))


def _members(part: Part, records: Mapping[str, Record]) -> tuple[tuple[Any, Source], ...]:
    return tuple(
        (cell, _one(node, part.output, part.checkpoint, records)) for cell, node in part.members
    )


def _one(node: Node, output: str, checkpoint: Any, records: Mapping[str, Record]) -> Source:
    if node.plugin.persist:
        return Stored(node.key, records[node.key]["outputs"], output, checkpoint)
    return Fresh(_work(node, records), output, checkpoint)
