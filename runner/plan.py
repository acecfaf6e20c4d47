"""Spec -> Plan: axes to cells, parameters bound, edges, keys and order. Pure data, no torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from runner.axes import Label
from runner.bind import Bound, Filled, Reading, bind, is_renderer, make, marked_fields
from runner.code import CodeReader
from runner.errors import PluginError, Where, listed, near
from runner.expression import ExpressionError, check_names, parse
from runner.key import FORMAT, canonical, digest
from runner.numbers import number
from runner.plugin import Plugin, Trainer, signature
from runner.registry import Registry, use_of
from runner.spec import AxisUse, Problems, Reference, Spec, axis_use, resolved_names
from runner.types import Arrays, Dataset, Network, Split, Table, Trained, Verdict
from runner.view import view_paths

Cell = tuple[Label, ...]
GATHERED_BY_DEFAULT = ("renderers", "expect", "hypotheses")


@dataclass(frozen=True)
class One:
    """A port filled by one output of one node."""

    node: Node
    output: str
    checkpoint: str | int | None

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes it reads."""
        yield self.node


@dataclass(frozen=True)
class Part:
    """The same output of many nodes, each with its coordinates along `axes`."""

    step: str
    axes: tuple[str, ...]
    members: tuple[tuple[Cell, Node], ...]
    output: str
    checkpoint: str | int | None = None


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Stack:
    """An array port that gathers: arrays stacked along the gathered axes."""

    part: Part

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes it reads."""
        for _, node in self.part.members:
            yield node


Binding = One | Rows | Stack


@dataclass(eq=False)
class Node:
    """A step at one cell: parameters bound, inputs known, keyed."""

    step: str
    family: str
    cell: Cell
    axes: tuple[str, ...]
    plugin: Plugin
    ports: dict[str, Binding]
    seed: int | None
    recipe: str
    key: str
    requires: list[Node] = field(default_factory=list)
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
    code: dict[str, str]
    columns: set[str] | None  # of its table, its axes included; None: not known beforehand
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


def build(
    spec: Spec,
    registry: Registry,
    memo: Path | None = None,
    stale_key: Callable[[str], str | None] | None = None,
    allow_stale: Sequence[str] = (),
) -> Plan:
    """Return the plan of a spec.

    The steps named by `allow_stale` keep the key that `stale_key` finds for their recipe: what
    other code made of it is used on purpose, here and by all that depends on it.

    Raises: SpecError with every problem found; PluginError when a plugin file is broken.
    """
    return _Planner(spec, registry, memo, stale_key, allow_stale).plan()


class _Planner:
    def __init__(
        self,
        spec: Spec,
        registry: Registry,
        memo: Path | None,
        stale_key: Callable[[str], str | None] | None,
        allow_stale: Sequence[str],
    ) -> None:
        self.stale_key = stale_key
        self.allow_stale = allow_stale
        self.spec = spec
        self.registry = registry
        self.problems = Problems(spec.layers)
        self.reading = Reading(spec.path.parent)
        packages = {root.package: root.folder for root in registry.roots}
        self.code = CodeReader(packages, memo)
        self.checks = CodeReader({"runner": Path(__file__).parent})
        self.planned: dict[str, Planned] = {}
        self.by_key: dict[str, Node] = {}

    def plan(self) -> Plan:
        for name in self.allow_stale:
            if name not in self.spec.steps:
                hint = near(name, self.spec.steps)
                self.problems.add((), f'--allow-stale {name}: no step "{name}"{hint}')
        bounds = {}
        for step in self.spec.steps.values():
            bound = bind(self.spec, step, self.registry, self.problems)
            if bound is not None:
                bounds[step.name] = bound
        self._known_steps(bounds)
        broken = set(self.spec.steps) - set(bounds)
        for name in self._order(bounds):
            if name in bounds:
                needs = {r.step for f in bounds[name].ports.values() for r in f.references}
                if not needs & broken and self._step(bounds[name]):
                    continue
            broken.add(name)
        if not self.problems.found:
            self._unused()
            self._views()
        self.problems.stop()
        self.code.save()
        return Plan(self.spec, self.planned)

    # -- order ---------------------------------------------------------------------------------

    def _known_steps(self, bounds: dict[str, Bound]) -> None:
        for bound in bounds.values():
            for filled in bound.ports.values():
                for reference in list(filled.references):
                    if reference.step not in self.spec.steps:
                        known = list(self.spec.steps)
                        hint = near(reference.step, known) or f" (there are: {listed(known, 12)})"
                        self.problems.add(reference.where, f'no step "{reference.step}"{hint}')
                        filled.references.remove(reference)
            for position, name in enumerate(bound.requires):
                if name not in self.spec.steps or self.spec.steps[name].family != "expect":
                    known = [s.name for s in self.spec.steps.values() if s.family == "expect"]
                    where = (*bound.step.where, "requires", position)
                    self.problems.add(where, f'no expectation "{name}"{near(name, known)}')

    def _order(self, bounds: dict[str, Bound]) -> list[str]:
        graph = {
            name: {r.step for f in bound.ports.values() for r in f.references}
            | {n for n in bound.requires if n in bounds}
            for name, bound in bounds.items()
        }
        try:
            ranked = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle = error.args[1]
            where = bounds[cycle[0]].step.where
            chain = " -> ".join(reversed(cycle))
            self.problems.add(where, f"steps need one another: {chain}", "table")
            self.problems.stop()
        return ranked

    # -- one step ------------------------------------------------------------------------------

    def _step(self, bound: Bound) -> bool:
        before = len(self.problems.found)
        own = self._own_axes(bound)
        inputs = {
            reference: self._input_axes(reference)
            for filled in bound.ports.values()
            for reference in filled.references
        }
        for filled in bound.ports.values():
            for reference in filled.references:
                self._check_kind(bound, filled, reference)
        keep = self._kept(bound, own, inputs)
        axes = tuple(name for name in self.spec.axes if name in keep)
        planned = Planned(bound, axes, self._code_of(bound), None)
        if len(self.problems.found) > before:
            return False
        planned.columns = self._columns(bound, axes)
        self._check_columns(bound, axes, inputs)
        where = self._split_where(bound, axes, inputs)
        if len(self.problems.found) > before:
            return False
        self.planned[bound.step.name] = planned
        self._cells(planned, where)
        return len(self.problems.found) == before

    def _own_axes(self, bound: Bound) -> set[str]:
        own = {use.name for use in bound.uses.values()}
        if isinstance(bound.seed, AxisUse):
            own.add(bound.seed.name)
        for filled in bound.ports.values():
            for reference in filled.references:
                use = axis_use(reference.checkpoint)
                if use and resolved_names(self.spec, use, self.problems, reference.where) == "axis":
                    own.add(use.name)
        return own

    def _input_axes(self, reference: Reference) -> tuple[str, ...]:
        planned = self.planned[reference.step]
        use = axis_use(reference.checkpoint)
        extra = {use.name} if use else set()
        return tuple(a for a in self.spec.axes if a in {*planned.axes, *extra})

    def _kept(
        self, bound: Bound, own: set[str], inputs: Mapping[Reference, tuple[str, ...]]
    ) -> set[str]:
        step = bound.step
        everything = own.union(*inputs.values()) if inputs else own
        for word, names in (("over", bound.over), ("per", bound.per)):
            for position, name in enumerate(names or ()):
                if name not in everything:
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
                message = f'{step.name} names "${name}" itself, so it cannot gather over {name}'
                self.problems.add(step.where, message, "table")
        return keep

    def _checkpoint_axes(self, bound: Bound) -> set[str]:
        uses = [
            axis_use(reference.checkpoint)
            for filled in bound.ports.values()
            for reference in filled.references
        ]
        return {use.name for use in uses if use}

    def _code_of(self, bound: Bound) -> dict[str, str]:
        if bound.is_check:
            return self.checks.reach("runner.check")
        return self.code.reach(bound.cls.__module__)

    # -- kinds and columns -----------------------------------------------------------------------

    def _check_kind(self, bound: Bound, filled: Filled, reference: Reference) -> None:
        kind = self._output(reference, filled.port.takes)
        if isinstance(kind, str):
            self.problems.add(reference.where, kind)
        elif kind[1] not in filled.port.takes and not any(
            issubclass(kind[1], takes) for takes in filled.port.takes
        ):
            wanted = " or ".join(t.__name__ for t in filled.port.takes)
            hint = _other_output(self.planned[reference.step].bound, filled.port.takes, reference)
            message = (
                f"{bound.step.name}.{filled.port.name} takes a {wanted}; "
                f"{reference.text} is a {kind[1].__name__}{hint}"
            )
            self.problems.add(reference.where, message)

    def _output(self, reference: Reference, takes: tuple[type, ...]) -> tuple[str, type] | str:
        """Return the output's name and type that a reference means, or what is wrong."""
        source = self.planned[reference.step].bound
        if source.is_check:
            return f"{reference.text} is a check; a check has no output"
        outputs = source.outputs
        name = reference.output
        base = outputs.get("")
        if name is None and base is None:
            fitting = [n for n, kind in outputs.items() if kind in takes]
            if len(fitting) != 1:
                return f"{reference.text} has several outputs; write one of " + listed(
                    f"@{reference.step}.{n}" for n in outputs
                )
            name = fitting[0]
        if name is not None and name in outputs:
            return name, outputs[name]
        inner = {"history": Table} if base is Trained else {}
        if base is Dataset:
            inner = dict.fromkeys(getattr(source.cls, "splits", ()), Split)
        if name is not None:
            if name not in inner:
                known = [*outputs, *inner]
                shown_names = listed(f"@{reference.step}.{n}" for n in known if n)
                return f'{reference.step} has no output "{name}"{near(name, known)} (it has: {shown_names})'
            return name, inner[name]
        assert base is not None  # noqa: S101  # a plugin has one unnamed output or named ones
        if base is Trained and (reference.checkpoint is not None or Trained not in takes):
            return self._checkpoint(reference, source) or ("", Network)
        if reference.checkpoint is not None:
            return f"{reference.text}: {source.step.name} is a {base.__name__}, without checkpoints"
        return "", base

    def _checkpoint(self, reference: Reference, source: Bound) -> str | None:
        """Return what is wrong with the checkpoint a reference names, or None."""
        wanted = reference.checkpoint
        use = axis_use(wanted)
        if wanted in (None, "best", "last"):
            return None
        values: Iterable[Any] = [wanted]
        if use is not None:
            if use.name not in self.spec.axes:
                return f'no axis "{use.name}"'
            values = self.spec.axes[use.name].labels
        kept: set[int] = set()
        for node in self.planned[source.step.name].nodes.values():
            kept |= set(node.plugin.checkpoints()) if isinstance(node.plugin, Trainer) else set()
        for value in values:
            if not str(value).isdigit() or int(value) not in kept:
                return (
                    f"{reference.text}: {source.step.name} keeps no checkpoint {value}; it keeps "
                    f"best, last and save_at = [{listed(sorted(kept))}]"
                )
        return None

    def _columns(self, bound: Bound, axes: tuple[str, ...]) -> set[str] | None:
        return {*bound.cls.columns, *axes} if bound.cls.columns else None

    def _joined_columns(
        self, filled: Filled, derive: Mapping[str, str], where: Where
    ) -> set[str] | None:
        """Return the columns of a table port, or None when they are not known beforehand."""
        columns: set[str] | None = set()
        for reference in filled.references:
            known = self.planned[reference.step].columns
            columns = None if known is None or columns is None else columns | known
        for name, text in derive.items():
            try:
                check_names(parse(text), columns, {})
            except ExpressionError as error:
                self.problems.add((*where, name), str(error))
            if columns is not None:
                columns = columns | {name}
        return columns

    def _check_columns(
        self, bound: Bound, axes: tuple[str, ...], inputs: Mapping[Reference, tuple[str, ...]]
    ) -> None:
        del axes, inputs
        step = bound.step
        columns: dict[str, set[str] | None] = {}
        for name, filled in bound.ports.items():
            if Table in filled.port.takes:
                place = (
                    (*step.where, "let", name) if name in step.body.get("let", {}) else step.where
                )
                is_slice = bound.is_check and name != "table"
                derive = filled.derive if is_slice else bound.derive
                columns[name] = self._joined_columns(filled, derive, (*place, "derive"))
        if bound.is_check:
            text = step.body.get("check")
            slices = {name: known for name, known in columns.items() if name != "table"}
            if isinstance(text, str):
                try:
                    check_names(parse(text), columns.get("table", set()), slices)
                except ExpressionError as error:
                    self.problems.add((*step.where, "check"), str(error))
        for name, port in marked_fields(bound.cls)[1].items():
            known = columns.get(port)
            value = bound.parameters.get(name)
            for position, column in enumerate(value if isinstance(value, list) else [value]):
                if known is not None and isinstance(column, str) and column and column not in known:
                    if axis_use(column):
                        continue
                    where = (*step.where, name, *([position] if isinstance(value, list) else []))
                    hint = near(column, known) or f" (there are: {listed(sorted(known), 12)})"
                    self.problems.add(where, f'no column "{column}"{hint}')

    def _split_where(
        self, bound: Bound, axes: tuple[str, ...], inputs: Mapping[Reference, tuple[str, ...]]
    ) -> dict[str, list[Any]]:
        """Check `where` of the step and its slices; return what restricts the step's cells."""
        step = bound.step
        gathers = {a for axes_ in inputs.values() for a in axes_}
        has_table = any(Table in filled.port.takes for filled in bound.ports.values())
        cells = {}
        for name, value in list(bound.where.items()):
            where = (*step.where, "where", name)
            if name in axes:
                cells[name] = bound.where[name] = self._labels(name, value, where)
            elif name in gathers:
                bound.where[name] = self._labels(name, value, where)
            elif not has_table or name in self.spec.axes:
                known = sorted(gathers | set(axes))
                message = f'{step.name} does not vary over "{name}"{near(name, known)}'
                self.problems.add(where, f"{message} (it varies over: {listed(known)})", "key")
        for port, filled in bound.ports.items():
            for name, value in list(filled.where.items()):
                if name in self.spec.axes:
                    where = (*step.where, "let", port, "where", name)
                    filled.where[name] = self._labels(name, value, where)
        return cells

    def _labels(self, axis: str, value: Any, where: Where) -> list[Any]:
        """Return the labels of an axis that `where` names, numbers such as "pi/2" read."""
        labels = self.spec.axes[axis].labels
        found = []
        for wanted in value if isinstance(value, list) else [value]:
            label = next((v for v in labels if v == wanted and type(v) is not bool), None)
            if isinstance(wanted, bool):
                label = wanted if any(v is wanted for v in labels) else None
            elif label is None and isinstance(wanted, str):
                with suppress(ValueError):
                    label = next((v for v in labels if v == number(wanted)), None)
            if label is None:
                hint = near(str(wanted), map(str, labels)) or f" (it has: {listed(labels)})"
                self.problems.add(where, f"axis {axis} has no value {wanted!r}{hint}")
            else:
                found.append(label)
        return found

    # -- cells -----------------------------------------------------------------------------------

    def _cells(self, planned: Planned, where: Mapping[str, list[Any]]) -> None:
        bound = planned.bound
        choices = [
            [v for v in self.spec.axes[axis].labels if axis not in where or v in where[axis]]
            for axis in planned.axes
        ]
        binders = {name: self._binder(planned, name, f) for name, f in bound.ports.items()}
        makers = _Makers(self, planned)
        code = digest(planned.code)
        for cell in itertools.product(*choices):
            made = makers.at(cell)
            if made is None:
                return
            ports = {}
            for name, binder in binders.items():
                binding = binder(cell)
                if binding is None:
                    return
                ports[name] = binding
            node = self._node(planned, cell, made, ports, code)
            planned.nodes[cell] = node
        if not planned.nodes:
            self.problems.add((*bound.step.where, "where"), "leaves no cell", "key")

    def _node(
        self,
        planned: Planned,
        cell: Cell,
        made: tuple[Plugin, str, int | None],
        ports: dict[str, Binding],
        code: str,
    ) -> Node:
        plugin, parameters, seed = made
        step = planned.bound.step
        use = f"{step.family}/{step.use}"
        inputs = {name: identity(binding) for name, binding in ports.items()}
        recipe = digest([FORMAT, use, parameters, inputs, seed])
        node = Node(step.name, step.family, cell, planned.axes, plugin, ports, seed, recipe, "")
        node.key = digest([recipe, code, [source.key for source in node.inputs()]])
        if step.name in self.allow_stale and self.stale_key is not None:
            node.key = self.stale_key(recipe) or node.key
        for name in planned.bound.requires:
            node.requires += self._required(name, planned.axes, cell)
        return self.by_key.setdefault(node.key, node)

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

    def _binder(self, planned: Planned, name: str, filled: Filled) -> Any:
        """Return a function from a cell to the port's binding (None after noting a problem)."""
        if Table in filled.port.takes:
            return self._rows_binder(planned, name, filled)
        reference = filled.references[0]
        axes = self._input_axes(reference)
        free = [a for a in axes if a not in planned.axes]
        if free and Arrays in filled.port.takes:
            gather = self._gatherer(planned, reference, {})
            return lambda cell: Stack(part) if (part := gather(cell)) else None
        if free:
            message = (
                f"{name} takes one {filled.port.takes[0].__name__}, but {reference.text} varies "
                f"over {listed(free)}; keep these axes"
            )
            self.problems.add(reference.where, message)
            return lambda cell: None
        found = self._output(reference, filled.port.takes)
        output = found[0] if isinstance(found, tuple) else ""
        source = self.planned[reference.step]
        project = [planned.axes.index(a) for a in source.axes]
        use = axis_use(reference.checkpoint)
        position = planned.axes.index(use.name) if use else None

        def one(cell: Cell) -> One | None:
            node = source.nodes.get(tuple(cell[i] for i in project))
            if node is None:
                here = ", ".join(
                    f"{a}={shown(cell[i])}" for a, i in zip(source.axes, project, strict=True)
                )
                message = f"{reference.text} has no cell {here}; restrict this step with `where`"
                self.problems.add(reference.where, message)
                return None
            checkpoint = cell[position] if position is not None else reference.checkpoint
            return One(node, output, checkpoint)

        return one

    def _rows_binder(self, planned: Planned, name: str, filled: Filled) -> Any:
        bound = planned.bound
        only = {**filled.where} if bound.is_check and name != "table" else {**bound.where}
        kept = set(planned.axes)
        only = {k: v for k, v in only.items() if k not in kept}
        derive = filled.derive if bound.is_check and name != "table" else bound.derive
        gathers = [self._gatherer(planned, r, only) for r in filled.references]
        axes = {a for r in filled.references for a in self._input_axes(r)}
        rest = {k: v for k, v in only.items() if k not in axes}

        def rows(cell: Cell) -> Rows | None:
            parts = [gather(cell) for gather in gathers]
            found = [part for part in parts if part is not None]
            return Rows(tuple(found), rest, derive) if len(found) == len(parts) else None

        return rows

    def _gatherer(self, planned: Planned, reference: Reference, only: Mapping[str, Any]) -> Any:
        """Return a function from a cell to the part of a reference's nodes that agree with it."""
        source = self.planned[reference.step]
        found = self._output(reference, (Table, Arrays))
        output = found[0] if isinstance(found, tuple) else ""
        shared = [a for a in source.axes if a in planned.axes]
        own = [source.axes.index(a) for a in shared]
        theirs = [planned.axes.index(a) for a in shared]
        allowed = {
            source.axes.index(a): v if isinstance(v, list) else [v]
            for a, v in only.items()
            if a in source.axes
        }
        groups: dict[Cell, list[tuple[Cell, Node]]] = {}
        for cell, node in source.nodes.items():
            if all(cell[i] in values for i, values in allowed.items()):
                groups.setdefault(tuple(cell[i] for i in own), []).append((cell, node))
        parts: dict[Cell, Part] = {}

        def part(cell: Cell) -> Part | None:
            fixed = tuple(cell[i] for i in theirs)
            if fixed not in parts:
                if fixed not in groups:
                    self.problems.add(reference.where, f"{reference.text}: nothing to gather")
                    return None
                parts[fixed] = Part(reference.step, source.axes, tuple(groups[fixed]), output)
            return parts[fixed]

        return part

    # -- the whole -------------------------------------------------------------------------------

    def _unused(self) -> None:
        for kind, names in (("axes", self.spec.axes), ("params", self.spec.params)):
            for name in names:
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


class _Makers:
    """Makes a step's plugin for a cell, once for each choice of the axes its parameters name."""

    def __init__(self, planner: _Planner, planned: Planned) -> None:
        self.planner = planner
        self.planned = planned
        bound = planned.bound
        holes = marked_fields(bound.cls)[0]
        self.texts = {
            n: bound.parameters[n] for n in holes if isinstance(bound.parameters.get(n), str)
        }
        names = {use.name for use in bound.uses.values()}
        if isinstance(bound.seed, AxisUse):
            names.add(bound.seed.name)
        if any("{" in text for text in self.texts.values()):
            names |= set(planned.axes)
        self.positions = [i for i, a in enumerate(planned.axes) if a in names]
        self.made: dict[Cell, tuple[Plugin, str, int | None] | None] = {}

    def at(self, cell: Cell) -> tuple[Plugin, str, int | None] | None:
        """Return plugin, its parameters as canonical JSON, and seed; None after a problem."""
        choice = tuple(cell[i] for i in self.positions)
        if choice not in self.made:
            self.made[choice] = self._make(cell)
        return self.made[choice]

    def _make(self, cell: Cell) -> tuple[Plugin, str, int | None] | None:
        import copy

        planner, bound = self.planner, self.planned.bound
        here = dict(zip(self.planned.axes, cell, strict=True))
        axes = planner.spec.axes
        raw = copy.deepcopy(bound.parameters) if bound.uses or self.texts else bound.parameters
        for inner, use in bound.uses.items():
            target: Any = raw
            for part in inner[:-1]:
                target = target[part]
            target[inner[-1]] = axes[use.name].value(here[use.name], use.field)
        for name, text in self.texts.items():
            try:
                raw[name] = text.format_map(here)
            except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
                planner.problems.add((*bound.step.where, name), _hole_message(error, here))
                return None
        plugin = make(bound, raw, planner.reading, planner.problems)
        if plugin is None:
            return None
        seed = bound.seed
        if isinstance(seed, AxisUse):
            seed = axes[seed.name].value(here[seed.name], seed.field)
        return plugin, canonical(plugin.model_dump(mode="json")), seed


def _hole_message(error: Exception, here: Mapping[str, Any]) -> str:
    if isinstance(error, KeyError):
        name = str(error.args[0])
        return f'no axis "{name}" here to fill {{{name}}}{near(name, here)} (there are: {listed(here)})'
    return f"cannot fill the holes: {error}"


def identity(binding: Binding) -> Any:
    """Return what a binding contributes to a recipe: recipes, coordinates and selections."""
    match binding:
        case One(node, output, checkpoint):
            return [node.recipe, output, checkpoint]
        case Stack(part):
            return _part_identity(part)
        case Rows(parts, where, derive):
            return [[_part_identity(part) for part in parts], dict(where), dict(derive)]


def _part_identity(part: Part) -> Any:
    members = [[list(cell), node.recipe] for cell, node in part.members]
    return [list(part.axes), members, part.output, part.checkpoint]


def _other_output(source: Bound, takes: tuple[type, ...], reference: Reference) -> str:
    """Return a hint at an output of the same step that would do."""
    base = source.outputs.get("")
    if base is Dataset and Split in takes:
        splits = getattr(source.cls, "splits", ())
        return f"; write {listed(f'@{reference.step}.{s}' for s in splits)}"
    if base is Trained and Table in takes:
        return f"; write @{reference.step}.history"
    fitting = [
        f"@{reference.step}.{n}" for n, kind in source.outputs.items() if n and kind in takes
    ]
    return f"; write {listed(fitting)}" if fitting else ""


__all__ = [
    "Binding", "Node", "One", "Part", "Plan", "Planned", "PluginError", "Rows", "Stack", "Verdict",
    "build", "shown", "signature", "use_of",
]  # fmt: skip
