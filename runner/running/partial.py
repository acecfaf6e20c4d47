"""Pictures with holes: what a renderer can show of a grid that is not finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.computing.compute import Workshop
from runner.computing.contents import Contents
from runner.computing.parcels import handed
from runner.planning.plan import Binding, Node, One, Part, Rows, Stack
from runner.storage.store import Store
from runner.storage.view import Partial
from runner.types import Files

if TYPE_CHECKING:
    from runner.running.journey import Journey


def draw(journey: Journey, nodes: Iterable[Node], run: str) -> Iterator[tuple[Partial, bytes]]:
    """Yield the views of unfinished renderers with their content, drawn from what is stored.

    They are for people alone: nothing is stored, no node counts as done. A renderer that cannot
    draw what there is, or has nothing to draw, is passed over.
    """
    workshop = Workshop(journey.store, journey.registry, run)
    for node in nodes:
        if not node.views:
            continue
        found = {name: _stored(binding, journey.store) for name, binding in node.ports.items()}
        ports = {name: binding for name, binding in found.items() if binding is not None}
        if len(ports) < len(found):
            continue
        contents = Contents(journey.plan, journey.store)
        work = handed(replace(node, ports=ports, requires=()), contents)
        files = workshop.drawn(work)
        if not isinstance(files, Files):
            continue
        cells, total = (sum(_cells(b) for b in kind.values()) for kind in (ports, node.ports))
        for view in node.views:
            yield Partial(view, cells, total), files.contents[Path(view).suffix]


def _cells(binding: Binding) -> int:
    return max(len(p.members) for p in binding.parts) if isinstance(binding, Rows) else 1


def _stored(binding: Binding, store: Store) -> Binding | None:
    """Return what is stored of a binding, None where that is nothing."""
    match binding:
        case One(node=node):
            return binding if _is_there(node, store) else None
        case Stack(part):
            left = _left(part, store)
            return Stack(left) if left.members else None
        case Rows(parts, where, derive):
            left_parts = _agreeing([_left(part, store) for part in parts])
            if not all(part.members for part in left_parts):
                return None
            return Rows(tuple(left_parts), where, derive)


def _left(part: Part, store: Store) -> Part:
    return replace(part, members=tuple(m for m in part.members if _is_there(m[1], store)))


def _is_there(node: Node, store: Store) -> bool:
    if node.plugin.persist:
        return store.has(node.key)
    return all(_is_there(source, store) for source in node.inputs())


def _agreeing(parts: list[Part]) -> list[Part]:
    """Return the parts without the cells for which a part with fewer axes has none."""
    ordered = sorted(range(len(parts)), key=lambda i: -len(parts[i].axes))
    lead, *rest = ordered
    kept = parts[lead]
    for i in rest:
        shared = [a for a in parts[i].axes if a in kept.axes]
        there = {_at(parts[i], cell, shared) for cell, _ in parts[i].members}
        members = tuple(m for m in kept.members if _at(kept, m[0], shared) in there)
        kept = replace(kept, members=members)
    return [kept if i == lead else part for i, part in enumerate(parts)]


def _at(part: Part, cell: tuple[object, ...], axes: list[str]) -> tuple[object, ...]:
    return tuple(cell[part.axes.index(axis)] for axis in axes)
