"""The plan: nodes in an order that runs, each with its parameters, inputs and key. Pure data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.language.axes import Label
from runner.language.spec import Spec
from runner.planning.bind import Bound
from runner.plugin import Plugin

Cell = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class One:
    """A port filled by one output of one node."""

    node: Node
    output: str
    checkpoint: str | int | None

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes it reads."""
        yield self.node


@dataclass(frozen=True, slots=True)
class Part:
    """The same output of many nodes, each with its coordinates along `axes`."""

    step: str
    axes: tuple[str, ...]
    members: tuple[tuple[Cell, Node], ...]
    output: str
    checkpoint: str | int | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """A table port: parts gathered with their axes as columns, joined, filtered, extended."""

    parts: tuple[Part, ...]
    where: Mapping[str, Any]
    derive: Mapping[str, str]

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes it reads."""
        for part in self.parts:
            for _, node in part.members:
                yield node


@dataclass(frozen=True, slots=True)
class Stack:
    """An array port that gathers: arrays stacked along the gathered axes."""

    part: Part

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes it reads."""
        for _, node in self.part.members:
            yield node


Binding = One | Rows | Stack


@dataclass(eq=False, slots=True)
class Node:
    """A step at one cell: parameters bound, inputs known, keyed."""

    step: str
    family: str
    cell: Cell
    axes: tuple[str, ...]
    plugin: Plugin
    ports: dict[str, Binding]
    seed: int | None
    parameters: str  # the plugin's, as canonical JSON
    recipe: str = ""  # both set by `identity.assign`
    key: str = ""
    requires: tuple[Node, ...] = ()
    views: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The node's id within its spec, `llc[task=add,alpha=0.3]`."""
        if not self.cell:
            return self.step
        pairs = zip(self.axes, self.cell, strict=True)
        return f"{self.step}[{','.join(f'{a}={shown(v)}' for a, v in pairs)}]"

    def inputs(self) -> Iterator[Node]:
        """Yield the nodes that this node reads, each as often as it is read."""
        for binding in self.ports.values():
            yield from binding.nodes()


def shown(label: Label) -> str:
    """Return a label as it stands in node ids and file names."""
    return f"{label:.6g}" if isinstance(label, float) else str(label)


@dataclass
class Planned:
    """A step with its axes, its code and its node for each cell."""

    bound: Bound
    axes: tuple[str, ...]
    columns: set[str] | None = None  # of its table, its axes included; None: not known beforehand
    code: dict[str, str] = field(default_factory=dict)  # file -> digest
    nodes: dict[Cell, Node] = field(default_factory=dict)


@dataclass
class Plan:
    """The steps of a spec in an order that runs, with all their nodes."""

    spec: Spec
    steps: dict[str, Planned]

    def nodes(self) -> Iterator[Node]:
        """Yield every node once, inputs before what reads them."""
        seen = set()
        for planned in self.steps.values():
            for node in planned.nodes.values():
                if node.key not in seen:
                    seen.add(node.key)
                    yield node


def sources(node: Node) -> Iterator[Node]:
    """Yield the stored nodes that a node reads or requires, each once, past what is not stored."""
    yield from _sources(node, set())


def _sources(node: Node, seen: set[str]) -> Iterator[Node]:
    for source in [*node.inputs(), *node.requires]:
        if source.key in seen:
            continue
        seen.add(source.key)
        if source.plugin.persist:
            yield source
        else:
            yield from _sources(source, seen)
