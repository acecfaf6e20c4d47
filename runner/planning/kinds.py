"""What a reference means: the output it names, its type, and the columns of its table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runner.errors import Where, given, listed, near
from runner.language.expression import ExpressionError, check_names, parse
from runner.language.spec import Problems, Reference, Spec, axis_use
from runner.numbers import number
from runner.planning.bind import Bound, Filled, marked_fields
from runner.planning.plan import Planned
from runner.planning.tables import joined_columns
from runner.plugin import Trainer
from runner.types import Dataset, Network, Split, Table, Trained


@dataclass
class Kinds:
    """Judges references against the steps planned so far."""

    spec: Spec
    problems: Problems
    planned: dict[str, Planned] = field(default_factory=dict)

    def input_axes(self, reference: Reference) -> tuple[str, ...]:
        """Return the axes that what a reference names varies over, in the spec's order."""
        planned = self.planned[reference.step]
        use = axis_use(reference.checkpoint)
        extra = {use.name} if use else set()
        return tuple(a for a in self.spec.axes if a in {*planned.axes, *extra})

    def check_kind(self, bound: Bound, filled: Filled, reference: Reference) -> None:
        """Check that a reference gives what its port takes."""
        kind = self.output(reference, filled.port.takes)
        if isinstance(kind, str):
            self.problems.add(reference.where, kind)
        elif kind[1] not in filled.port.takes and not any(
            issubclass(kind[1], takes) for takes in filled.port.takes
        ):
            wanted = " or ".join(t.__name__ for t in filled.port.takes)
            hint = self._other_output(filled.port.takes, reference)
            message = (
                f"{bound.step.name}.{filled.port.name} takes a {wanted}; "
                f"{reference.text} is a {kind[1].__name__}{hint}"
            )
            self.problems.add(reference.where, message)

    def output(self, reference: Reference, takes: tuple[type, ...]) -> tuple[str, type] | str:
        """Return the output's name and type that a reference means, or what is wrong."""
        source = self.planned[reference.step].bound
        if source.is_check:
            return f"{reference.text} is a check; a check has no output"
        outputs = source.outputs
        name = reference.output
        base = outputs.get("")
        if name is None and base is None:
            fitting = [n for n, kind in outputs.items() if kind in takes]
            if not fitting:
                wanted = " or ".join(t.__name__ for t in takes)
                there = listed(f"@{reference.step}.{n} ({k.__name__})" for n, k in outputs.items())
                return f"takes a {wanted}; {reference.text} has {there}"
            if len(fitting) != 1:
                return f"{reference.text} has several outputs; write one of " + listed(
                    f"@{reference.step}.{n}" for n in outputs
                )
            name = fitting[0]
        if name is not None and name in outputs:
            return name, outputs[name]
        inner: dict[str, type] = {"history": Table} if base is Trained else {}
        if base is Dataset:
            inner = dict.fromkeys(self._splits(source), Split)
        if name is not None:
            if name not in inner:
                known = [n for n in (*outputs, *inner) if n]
                there = listed(f"@{reference.step}.{n}" for n in known)
                return (
                    f'{reference.step} has no output "{name}"{near(name, known)} (it has: {there})'
                )
            return name, inner[name]
        assert base is not None  # noqa: S101  # a plugin has one unnamed output or named ones
        if base is Trained and (reference.checkpoint is not None or Trained not in takes):
            return self._checkpoint(reference, source) or ("", Network)
        if reference.checkpoint is not None:
            return f"{reference.text}: {source.step.name} is a {base.__name__}, without checkpoints"
        return "", base

    def _splits(self, source: Bound) -> tuple[str, ...]:
        """Return the splits of a step's data: its own, else those of the data it changes."""
        own: tuple[str, ...] | None = getattr(source.cls, "splits", None)
        if own is not None:
            return own
        read = [self.planned[r.step].bound for f in source.ports.values() for r in f.references]
        return tuple(
            dict.fromkeys(
                split
                for bound in read
                if Dataset in bound.outputs.values()
                for split in self._splits(bound)
            )
        )

    def _checkpoint(self, reference: Reference, source: Bound) -> str | None:
        """Return what is wrong with the checkpoint a reference names, or None."""
        wanted = reference.checkpoint
        use = axis_use(wanted)
        if wanted in (None, "best", "last"):
            return None
        values: Iterable[Any] = [wanted]
        if use is not None:
            if use.name not in self.spec.axes:
                return None  # told where the reference was read
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

    def own_columns(self, bound: Bound, axes: tuple[str, ...]) -> set[str] | None:
        """Return the columns of a step's table, its axes among them; None: not declared."""
        return {*bound.cls.columns, *axes} if bound.cls.columns else None

    def _joined_columns(
        self, filled: Filled, derive: Mapping[str, str], where: Where
    ) -> set[str] | None:
        """Return the columns of a table port, or None when they are not known beforehand."""
        sources = [self.planned[reference.step] for reference in filled.references]
        self._check_join(filled, sources)
        columns: set[str] | None = None
        if all(source.columns is not None for source in sources):
            parts = [(s.bound.step.name, s.columns or set()) for s in sources]
            columns = joined_columns(parts, {a for s in sources for a in s.axes})
        for name, text in derive.items():
            try:
                check_names(parse(text), columns, {})
            except ExpressionError as error:
                self.problems.add((*where, name), str(error))
            if columns is not None:
                columns = columns | {name}
        return columns

    def _check_join(self, filled: Filled, sources: list[Planned]) -> None:
        """Check what would fail once the tables are there: axes that clash or do not nest."""
        lead = max(sources, key=lambda source: len(source.axes))
        for reference, source in zip(filled.references, sources, strict=True):
            for axis in source.axes:
                if axis in source.bound.cls.columns:
                    message = f'{reference.text} has a column "{axis}" and an axis of that name'
                    self.problems.add(reference.where, f"{message}; rename the axis")
            alone = [axis for axis in source.axes if axis not in lead.axes]
            if alone:
                message = f"{reference.text} varies over {listed(alone)}, and"
                message += f" @{lead.bound.step.name} does not; gather {listed(alone)} first"
                self.problems.add(reference.where, message)
            if [other.text for other in filled.references].count(reference.text) > 1:
                self.problems.add(reference.where, f"{reference.text} is named twice")

    def check_columns(self, bound: Bound) -> None:
        """Check every column that the step's expressions and column parameters name."""
        where = bound.step.where
        columns: dict[str, set[str] | None] = {}
        for name, filled in bound.ports.items():
            if Table in filled.port.takes:
                is_slice = bound.is_check and name != "table"
                place = (*where, "let", name) if is_slice else where
                derive = filled.derive if is_slice else bound.derive
                columns[name] = self._joined_columns(filled, derive, (*place, "derive"))
        text = bound.parameters.get("check")
        if bound.is_check and isinstance(text, str):
            table = columns.pop("table", set())
            try:
                check_names(parse(text), table, columns)
            except ExpressionError as error:
                self.problems.add((*where, "check"), str(error))
        for name, port in marked_fields(bound.cls)[1].items():
            value = bound.parameters.get(name)
            if isinstance(value, list):
                for position, column in enumerate(value):
                    self._check_column(column, columns.get(port), (*where, name, position))
            else:
                self._check_column(value, columns.get(port), (*where, name))

    def _check_column(self, column: Any, known: set[str] | None, where: Where) -> None:
        plain = isinstance(column, str) and column != "" and not axis_use(column)
        if plain and known is not None and column not in known:
            hint = near(column, known) or f" (there are: {listed(sorted(known), 12)})"
            self.problems.add(where, f'no column "{column}"{hint}')

    def check_where(
        self, bound: Bound, axes: tuple[str, ...], inputs: Mapping[Reference, tuple[str, ...]]
    ) -> dict[str, list[Any]]:
        """Check `where` of the step and its slices; return what restricts the step's cells."""
        step = bound.step
        gathers = {a for axes_ in inputs.values() for a in axes_}
        has_table = any(Table in filled.port.takes for filled in bound.ports.values())
        cells = {}
        for name, value in list(bound.where.items()):
            where = (*step.where, "where", name)
            if name in self.spec.broken:
                self.problems.follow()
            elif name in axes:
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
                hint = near(wanted, map(str, labels)) if isinstance(wanted, str) else ""
                hint = hint or f" (it has: {listed(map(given, labels))})"
                self.problems.add(where, f"axis {axis} has no value {given(wanted)}{hint}")
            else:
                found.append(label)
        return found

    def _other_output(self, takes: tuple[type, ...], reference: Reference) -> str:
        """Return a hint at an output of the same step that would do."""
        source = self.planned[reference.step].bound
        base = source.outputs.get("")
        if base is Dataset and Split in takes:
            splits = self._splits(source)
            return f"; write {listed(f'@{reference.step}.{s}' for s in splits)}"
        if base is Trained and Table in takes:
            return f"; write @{reference.step}.history"
        fitting = [
            f"@{reference.step}.{n}" for n, kind in source.outputs.items() if n and kind in takes
        ]
        return f"; write {listed(fitting)}" if fitting else ""
