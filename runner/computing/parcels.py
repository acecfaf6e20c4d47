"""Nodes -> parcels: what is computed in one call, and in which form a worker receives it.

Which nodes share a call depends on the plan alone, never on the number of workers or on what is
stored already, so that every way to compute a study gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.computing.contents import Contents
from runner.computing.work import Fresh, Gathered, Parcel, Source, Stacked, Stored, Work
from runner.key import digest
from runner.planning.identity import identity
from runner.planning.plan import Binding, Node, One, Part, Plan, Rows, Stack
from runner.plugin import signature
from runner.storage.records import Record
from runner.types import Json, Seed

BUNDLE = 0.2  # seconds of work that quick nodes are handed over for
OVERHEAD = 0.0005  # seconds that any node takes


@dataclass(frozen=True)
class Group:
    """Missing nodes of one step that are computed in one call."""

    step: str
    nodes: tuple[Node, ...]
    fused: bool
    threads: int
    gpu: int = 0


class Pace:
    """How long the nodes of each step take, and so how many of them are handed over at once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.count: dict[str, int] = {}

    def note(self, step: str, seconds: Sequence[float]) -> None:
        """Note what nodes of a step took."""
        self.seconds[step] = self.seconds.get(step, 0.0) + sum(seconds)
        self.count[step] = self.count.get(step, 0) + len(seconds)

    def bundle(self, step: str, waiting: int, workers: int) -> int:
        """Return how many of a step's waiting nodes fill `BUNDLE` seconds, one where unknown.

        The last ones are shared out among the workers.
        """
        if not self.count.get(step):
            return 1
        mean = self.seconds[step] / self.count[step] + OVERHEAD
        return max(1, min(int(BUNDLE / mean), waiting // (2 * workers)))


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
                yield Group(name, wanted, fused, planned.bound.threads, planned.bound.gpu)


def _chunks(nodes: list[Node]) -> Iterator[list[Node]]:
    """Yield the nodes that are equal in all that may not vary, cut to the plugin's batch size."""
    alike: dict[str, list[Node]] = {}
    for node in nodes:
        varies = node.plugin.varies
        parameters = node.plugin.model_dump(mode="json")
        fixed = {k: v for k, v in parameters.items() if k not in varies}
        ports = {k: identity(b) for k, b in node.ports.items() if k not in varies}
        seed = None if signature(type(node.plugin)).port_of(Seed) in varies else node.seed
        alike.setdefault(digest([fixed, ports, seed]), []).append(node)
    for members in alike.values():
        size = max(1, members[0].plugin.batch_size())
        for start in range(0, len(members), size):
            yield members[start : start + size]


def parcel(group: Group, plan: Plan, contents: Contents, device: str) -> Parcel:
    """Return the group as a worker receives it; every stored input must have its record."""
    planned = plan.steps[group.step]
    step = planned.bound.step
    return Parcel(
        works=tuple(handed(node, contents) for node in group.nodes),
        fused=group.fused,
        code=planned.code,
        use=f"{step.family}/{step.use}",
        threads=group.threads,
        device=device,
    )


def identified(work: Work) -> Record:
    """Return the part of a node's record that says which node it is, without what it came to."""
    return {
        "key": work.key,
        "recipe": work.recipe,
        "content": work.content,
        "label": work.label,
        "cell": dict(work.cell),
        "parameters": work.plugin.model_dump(mode="json"),
        "seed": work.seed,
        "inputs": {name: _input_keys(source) for name, source in work.ports.items()},
    }


def _input_keys(source: Source) -> Json:
    match source:
        case Stored(key=key):
            return key
        case Fresh(work=work):
            return work.key
        case Gathered(parts=parts):
            return [_input_keys(s) for _, _, members in parts for _, s in members]
        case Stacked(members=members):
            return [_input_keys(s) for _, s in members]


def handed(node: Node, contents: Contents) -> Work:
    """Return a node as a worker receives it."""
    return Work(
        label=node.label,
        key=node.key,
        recipe=node.recipe,
        plugin=node.plugin,
        ports={name: _source(binding, contents) for name, binding in node.ports.items()},
        seed=node.seed,
        cell=dict(zip(node.axes, node.cell, strict=True)),
        content=contents.key(node) if node.plugin.persist else "",
        must_hold=node.family == "expect",
    )


def _source(binding: Binding, contents: Contents) -> Source:
    match binding:
        case One(node, output, checkpoint):
            return _one(node, output, checkpoint, contents)
        case Rows(parts, where, derive):
            gathered = tuple((p.step, p.axes, _members(p, contents)) for p in parts)
            return Gathered(gathered, where, derive)
        case Stack(part):
            return Stacked(part.axes, _members(part, contents))


def _members(part: Part, contents: Contents) -> tuple[tuple[Any, Source], ...]:
    return tuple(
        (cell, _one(node, part.output, part.checkpoint, contents)) for cell, node in part.members
    )


def _one(node: Node, output: str, checkpoint: Any, contents: Contents) -> Source:
    if node.plugin.persist:
        return Stored(node.key, contents.outputs(node.key), output, checkpoint)
    return Fresh(handed(node, contents), output, checkpoint)
