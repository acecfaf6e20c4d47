"""A step at its cells: parameters filled in, ports bound to the nodes they read."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from runner.errors import listed, near
from runner.key import canonical
from runner.language.axes import Label
from runner.language.spec import AxisUse, Problems, Reference, Spec, axis_use
from runner.planning.bind import Bound, Filled, marked_fields, put
from runner.planning.kinds import Kinds
from runner.planning.making import Reading, make
from runner.planning.plan import Binding, Cell, Node, One, Part, Planned, Rows, Stack, shown
from runner.plugin import Plugin
from runner.types import Arrays, Network, Table, Trained

Binder = Callable[[Cell], Binding | None]  # None after a problem was noted
Made = tuple[Plugin, str, int | None]  # the plugin, its parameters as canonical JSON, the seed
_HOLE = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)(?::([-+<>^=#,.%0-9A-Za-z]{0,8}))?\}|[{}][^{}]*")
_IN_PATH = re.compile(rf"{_HOLE.pattern}|\$\{{\w+\}}")


class Binders:
    """Makes, for each port of a step, the function from a cell to the port's binding."""

    def __init__(self, kinds: Kinds, planned: Planned) -> None:
        self.kinds = kinds
        self.planned = planned
        self.axes = planned.axes

    def binder(self, name: str, filled: Filled) -> Binder:
        """Return the function that binds the port `name`."""
        if Table in filled.port.takes:
            return self._rows(name, filled)
        reference = filled.references[0]
        free = [a for a in self.kinds.input_axes(reference) if a not in self.axes]
        if not free:
            return self._one(filled, reference)
        if Arrays in filled.port.takes:
            gather = self._gatherer(reference, {})
            return lambda cell: Stack(part) if (part := gather(cell)) else None
        message = (
            f"{name} takes one {filled.port.takes[0].__name__}, but {reference.text} varies "
            f"over {listed(free)}; keep these axes"
        )
        self.kinds.problems.add(reference.where, message)
        return lambda cell: None  # noqa: ARG005  # a binder takes a cell

    def _one(self, filled: Filled, reference: Reference) -> Binder:
        found = self.kinds.output(reference, filled.port.takes)
        output, kind = found if isinstance(found, tuple) else ("", None)
        source = self.kinds.planned[reference.step]
        fixed = reference.checkpoint
        if fixed is None and kind is Network and source.bound.outputs.get(output) is Trained:
            fixed = "last"  # `@trained` is its last network
        project = [self.axes.index(a) for a in source.axes]
        use = axis_use(reference.checkpoint)
        position = self.axes.index(use.name) if use else None

        def one(cell: Cell) -> One | None:
            node = source.nodes.get(tuple(cell[i] for i in project))
            if node is None:
                here = ", ".join(
                    f"{a}={shown(cell[i])}" for a, i in zip(source.axes, project, strict=True)
                )
                message = f"{reference.text} has no cell {here}; restrict this step with `where`"
                self.kinds.problems.add(reference.where, message)
                return None
            return One(node, output, fixed if position is None else cell[position])

        return one

    def _rows(self, name: str, filled: Filled) -> Binder:
        bound = self.planned.bound
        is_slice = bound.is_check and name != "table"
        where = filled.where if is_slice else bound.where
        only = {k: v for k, v in where.items() if k not in self.axes}
        derive = filled.derive if is_slice else bound.derive
        gathers = [self._gatherer(r, only) for r in filled.references]
        gathered = {a for r in filled.references for a in self.kinds.input_axes(r)}
        rest = {k: v for k, v in only.items() if k not in gathered}

        def rows(cell: Cell) -> Rows | None:
            parts = [gather(cell) for gather in gathers]
            found = [part for part in parts if part is not None]
            return Rows(tuple(found), rest, derive) if len(found) == len(parts) else None

        return rows

    def _gatherer(
        self, reference: Reference, only: Mapping[str, Any]
    ) -> Callable[[Cell], Part | None]:
        """Return a function from a cell to the part of a reference's nodes that agree with it."""
        source = self.kinds.planned[reference.step]
        found = self.kinds.output(reference, (Table, Arrays))
        output = found[0] if isinstance(found, tuple) else ""
        shared = [a for a in source.axes if a in self.axes]
        own = [source.axes.index(a) for a in shared]
        theirs = [self.axes.index(a) for a in shared]
        allowed = {source.axes.index(a): v for a, v in only.items() if a in source.axes}
        kept = list(source.nodes.items())
        for i, values in allowed.items():
            kept = [member for member in kept if member[0][i] in values]
        groups: dict[Cell, list[tuple[Cell, Node]]] = {(): kept} if kept and not own else {}
        for member in kept if own else ():
            groups.setdefault(tuple([member[0][i] for i in own]), []).append(member)
        parts: dict[Cell, Part] = {}

        def part(cell: Cell) -> Part | None:
            fixed = tuple(cell[i] for i in theirs)
            if fixed not in parts:
                if fixed not in groups:
                    message = f"{reference.text}: nothing to gather"
                    self.kinds.problems.add(reference.where, message)
                    return None
                parts[fixed] = Part(reference.step, source.axes, tuple(groups[fixed]), output)
            return parts[fixed]

        return part


class Makers:
    """Makes a step's plugin for a cell, once for each choice of the axes its parameters name."""

    def __init__(self, spec: Spec, planned: Planned, reading: Reading, problems: Problems) -> None:
        self.axes = spec.axes
        self.planned = planned
        self.reading = reading
        self.problems = problems
        bound = planned.bound
        holes = marked_fields(bound.cls)[0]
        texts = {name: bound.parameters.get(name) for name in holes}
        self.texts = {
            name: (text, _IN_PATH if holes[name].variables else _HOLE)
            for name, text in texts.items()
            if isinstance(text, str)
        }
        names = {use.name for use in bound.uses.values()}
        if isinstance(bound.seed, AxisUse):
            names.add(bound.seed.name)
        for text, pattern in self.texts.values():
            names |= {match[1] for match in pattern.finditer(text)}
        self.positions = [i for i, a in enumerate(planned.axes) if a in names]
        self.nested = {str(inner[0]) for inner in bound.uses if len(inner) > 1}
        self.made: dict[Cell, Made | None] = {}

    def at(self, cell: Cell) -> Made | None:
        """Return plugin, its parameters as canonical JSON, and seed; None after a problem."""
        choice = tuple(cell[i] for i in self.positions)
        if choice not in self.made:
            self.made[choice] = self._make(cell)
        return self.made[choice]

    def _make(self, cell: Cell) -> Made | None:
        bound = self.planned.bound
        here = dict(zip(self.planned.axes, cell, strict=True))
        raw = dict(bound.parameters)
        for name in self.nested:
            raw[name] = copy.deepcopy(raw[name])
        for inner, use in bound.uses.items():
            put(raw, inner, self.axes[use.name].value(here[use.name], use.field))
        for name, (text, pattern) in self.texts.items():
            try:
                raw[name] = _fill_holes(text, here, pattern)
            except ValueError as error:
                self.problems.add((*bound.step.where, name), str(error))
                return None
        plugin = make(bound, raw, self.reading, self.problems)
        if plugin is None:
            return None
        seed = bound.seed
        if isinstance(seed, AxisUse):
            seed = self.axes[seed.name].value(here[seed.name], seed.field)
        return plugin, canonical(plugin.model_dump(mode="json")), seed


def judge(spec: Spec, bound: Bound, reading: Reading, problems: Problems) -> None:
    """Check the parameters of a step that has no cells because something else is wrong with it.

    Each axis stands for its first value. Text with holes is judged once there are cells.
    """
    raw = copy.deepcopy(bound.parameters)
    for inner, use in bound.uses.items():
        axis = spec.axes[use.name]
        put(raw, inner, axis.value(axis.labels[0], use.field))
    for inner in bound.unread:
        raw.pop(str(inner[0]), None)
    make(bound, raw, reading, problems, {inner[0] for inner in bound.unread})


def names_in_paths(bound: Bound) -> set[str]:
    """Return the names in the holes of paths of files that a step reads: it varies over those."""
    found = set()
    for name, mark in marked_fields(bound.cls)[0].items():
        text = bound.parameters.get(name)
        if mark.variables and isinstance(text, str):
            found |= {match[1] for match in _IN_PATH.finditer(text)}
    return found


def _fill_holes(text: str, here: Mapping[str, Label], pattern: re.Pattern[str]) -> str:
    """Return text with `{axis}` and `{axis:.2f}` filled in; `{{` and `}}` stand for braces.

    With the pattern of paths, `${NAME}` stays for whoever reads the path.

    Raises: ValueError for a name that is no axis here and for a format that does not fit.
    """

    def fill(match: re.Match[str]) -> str:
        name, form = match[1], match[2]
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[0][0] == "$":
            return match[0]
        if name is None:
            raise ValueError(
                f"{match[0]!r} is no hole; write {{axis}} or {{axis:.2f}}, "
                "and {{ or }} for a brace"
            )
        if name not in here:
            raise ValueError(
                f'no axis "{name}" here to fill {match[0]}{near(name, here)} '
                f"(there are: {listed(here)})"
            )
        try:
            return format(here[name], form) if form else shown(here[name])
        except ValueError as error:
            raise ValueError(
                f"{match[0]} does not fit {name}={shown(here[name])}: {error}"
            ) from error

    return pattern.sub(fill, text)
