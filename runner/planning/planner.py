"""Spec -> Plan: axes to cells, parameters bound, edges, keys and order. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from runner.errors import listed, near
from runner.language.spec import AxisUse, Problems, Reference, Spec, axis_use, resolved_names
from runner.planning.bind import Bound, bind, is_renderer
from runner.planning.cells import Binders, Makers, judge, names_in_paths
from runner.planning.identity import assign
from runner.planning.kinds import Kinds
from runner.planning.making import Reading
from runner.planning.plan import Cell, Node, Plan, Planned
from runner.registry import Registry
from runner.storage.view import view_paths

MOST_ALIKE = 8  # values of axes that do not fit, told of one step
GATHERED_BY_DEFAULT = ("renderers", "expect", "hypotheses")


def build(
    spec: Spec,
    registry: Registry,
    memo: Path | None = None,
    stale_key: Callable[[str], str | None] | None = None,
    allow_stale: Sequence[str] = (),
) -> Plan:
    """Return the plan of a spec, every node keyed (see `identity.assign` for the last three).

    Raises: SpecError with every problem found; PluginError when a plugin file is broken.
    """
    plan = check(spec, registry, allow_stale)
    assign(plan, registry, memo, stale_key, allow_stale)
    return plan


def check(spec: Spec, registry: Registry, allow_stale: Sequence[str] = ()) -> Plan:
    """Return the plan of a spec without keys: all that validation needs.

    Raises: SpecError with every problem found; PluginError when a plugin file is broken.
    """
    return _Planner(spec, registry).plan(allow_stale)


class _Planner:
    def __init__(self, spec: Spec, registry: Registry) -> None:
        self.spec = spec
        self.registry = registry
        self.problems = Problems(spec.layers)
        self.problems.found += spec.found
        self.kinds = Kinds(spec, self.problems)
        self.reading = Reading(spec.path.parent)
        self.planned = self.kinds.planned

    def plan(self, allow_stale: Sequence[str]) -> Plan:
        for name in allow_stale:
            if name not in self.spec.steps:
                hint = near(name, self.spec.steps)
                self.problems.add((), f'--allow-stale {name}: no step "{name}"{hint}')
        bounds = {}
        unbound = set(self.spec.broken)
        for step in self.spec.steps.values():
            bound = bind(self.spec, step, self.registry, self.problems)
            if bound is not None and bound.sound:
                bounds[step.name] = bound
            elif bound is not None:
                judge(self.spec, bound, self.reading, self.problems)
            else:
                unbound.add(step.name)
        broken = set(self.spec.steps) - set(bounds)
        for name in self._order(bounds):
            if name in bounds:
                needs = {r.step for f in bounds[name].ports.values() for r in f.references}
                needs.update(bounds[name].requires)
                if needs & broken:
                    judge(self.spec, bounds[name], self.reading, self.problems)
                elif self._step(bounds[name]):
                    continue
            broken.add(name)
        if not unbound:
            self._unused()
        self._views()
        self.problems.stop()
        return Plan(self.spec, self.planned)

    # -- order ---------------------------------------------------------------------------------

    def _order(self, bounds: dict[str, Bound]) -> list[str]:
        graph = {
            name: {r.step for f in bound.ports.values() for r in f.references}
            | {n for n in bound.requires if n in bounds}
            for name, bound in bounds.items()
        }
        try:
            ranked = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            ring = error.args[1][:0:-1]  # from reader to what it reads, each step once
            start = ring.index(next(name for name in bounds if name in ring))
            chain = " -> ".join([*ring[start:], *ring[:start], ring[start]])
            message = f"steps need one another: {chain}" if len(ring) > 1 else "needs itself"
            self.problems.add(bounds[ring[start]].step.where, message, "table")
            self.problems.stop()
        return ranked

    # -- one step ------------------------------------------------------------------------------

    def _step(self, bound: Bound) -> bool:
        before = self.problems.count
        own = self._own_axes(bound)
        inputs = {
            reference: self.kinds.input_axes(reference)
            for filled in bound.ports.values()
            for reference in filled.references
        }
        for filled in bound.ports.values():
            for reference in filled.references:
                self.kinds.check_kind(bound, filled, reference)
        keep = self._kept(bound, own, inputs)
        axes = tuple(name for name in self.spec.axes if name in keep)
        planned = Planned(bound, axes)
        if self.problems.count > before:
            return False
        planned.columns = self.kinds.own_columns(bound, axes)
        self.kinds.check_columns(bound)
        where = self.kinds.check_where(bound, axes, inputs)
        if self.problems.count > before:
            return False
        self.planned[bound.step.name] = planned
        self._cells(planned, where)
        return self.problems.count == before

    def _own_axes(self, bound: Bound) -> set[str]:
        own = names_in_paths(bound) & set(self.spec.axes)
        self.spec.used_names.update(own)
        own |= {use.name for use in bound.uses.values()}
        if isinstance(bound.seed, AxisUse):
            own.add(bound.seed.name)
        for filled in bound.ports.values():
            for reference in filled.references:
                use = axis_use(reference.checkpoint)
                if use and resolved_names(self.spec, use, self.problems, reference.where) == "axis":
                    own.add(use.name)
        return own

    def _kept(
        self, bound: Bound, own: set[str], inputs: Mapping[Reference, tuple[str, ...]]
    ) -> set[str]:
        step = bound.step
        everything = own.union(*inputs.values()) if inputs else own
        for word, names in (("over", bound.over), ("per", bound.per)):
            for position, name in enumerate(names or ()):
                if name in self.spec.broken:
                    self.problems.follow()
                elif name not in everything:
                    hint = near(name, everything) or f" (it varies over: {listed(everything)})"
                    message = f'{step.name} does not vary over "{name}"{hint}'
                    self.problems.add((*step.where, word, position), message)
        if bound.over is not None:
            keep = everything - set(bound.over)
        elif bound.per is not None or step.family in GATHERED_BY_DEFAULT:
            keep = set(bound.per or ())
        else:
            keep = everything
        for name in sorted(own - keep):
            if name not in self._checkpoint_axes(bound):
                word = "over" if bound.over is not None else "per"
                cure = "take it out of over" if word == "over" else f'write per = ["{name}"]'
                message = f'{step.name} uses "${name}", so it cannot gather over {name}; {cure}'
                self.problems.add((*step.where, word), message, "table")
        return keep

    def _checkpoint_axes(self, bound: Bound) -> set[str]:
        uses = [
            axis_use(reference.checkpoint)
            for filled in bound.ports.values()
            for reference in filled.references
        ]
        return {use.name for use in uses if use}

    # -- cells -----------------------------------------------------------------------------------

    def _cells(self, planned: Planned, where: Mapping[str, list[Any]]) -> None:
        bound = planned.bound
        choices = [
            [v for v in self.spec.axes[axis].labels if axis not in where or v in where[axis]]
            for axis in planned.axes
        ]
        binders = Binders(self.kinds, planned)
        ports_of = {name: binders.binder(name, f) for name, f in bound.ports.items()}
        makers = Makers(self.spec, planned, self.reading, self.problems)
        most = self.problems.count + MOST_ALIKE
        for cell in itertools.product(*choices):
            made = makers.at(cell)
            if made is None:
                if self.problems.count >= most:
                    return
                continue
            ports = {}
            for name, binder in ports_of.items():
                binding = binder(cell)
                if binding is None:
                    return
                ports[name] = binding
            plugin, parameters, seed = made
            step = bound.step
            node = Node(step.name, step.family, cell, planned.axes, plugin, ports, seed, parameters)
            for name in bound.requires:
                node.requires += tuple(self._required(name, planned.axes, cell))
            planned.nodes[cell] = node
        if not all(choices):
            self.problems.add((*bound.step.where, "where"), "leaves no cell", "key")

    def _required(self, name: str, axes: tuple[str, ...], cell: Cell) -> list[Node]:
        """Return the nodes of a required expectation that speak of the same cell."""
        here = dict(zip(axes, cell, strict=True))
        return [
            node
            for node in self.planned[name].nodes.values()
            if all(
                here.get(a, v) == v for a, v in zip(self.planned[name].axes, node.cell, strict=True)
            )
        ]

    # -- the whole -------------------------------------------------------------------------------

    def _unused(self) -> None:
        for kind, names in (("axes", self.spec.axes), ("params", self.spec.params)):
            for name in names:
                layers = self.spec.layers
                if layers.overridden and layers.mentions(name):
                    continue  # what used it has another value in this run
                if name not in self.spec.used_names:
                    word = "axis" if kind == "axes" else "parameter"
                    message = f'{word} "{name}" is used by no step; write "${name}" or take it out'
                    self.problems.add((kind, name), message, "key")

    def _views(self) -> None:
        taken: dict[str, Node] = {}
        for planned in self.planned.values():
            if not is_renderer(planned.bound):
                continue
            where = (*planned.bound.step.where, "path")
            for node in planned.nodes.values():
                try:
                    node.views = view_paths(node.plugin)
                except ValueError as error:
                    self.problems.add(where, str(error))
                    break
                for path in node.views:
                    other = taken.setdefault(path.casefold(), node)
                    if other is not node:
                        message = f"{node.label} and {other.label} both write {path}"
                        hint = _missing_holes(planned, node)
                        self.problems.add(where, message + hint)


def _missing_holes(planned: Planned, node: Node) -> str:
    path = planned.bound.parameters.get("path", "")
    holes = [a for a in planned.axes if f"{{{a}" not in str(path)]
    del node
    return f"; put {listed('{' + a + '}' for a in holes)} into the path" if holes else ""
