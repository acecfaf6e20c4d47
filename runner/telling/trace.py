"""What sets a node apart from a stored record: parameters, seed, code, and what lies above it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.planning.plan import Node
from runner.telling.wording import changed_files
from runner.telling.worklog import KEY, kept

if TYPE_CHECKING:
    from runner.running.journey import Journey
    from runner.storage.store import Record

_CODE = "is never stored; its code, or that of such a step above it, has changed"
_WORDS = ("use", "like", "markers", "resources")  # of a step, that change no result


def nearest(node: Node, records: Iterable[Record]) -> list[Record]:
    """Return the records that differ in the fewest parameters and coordinates, the newest first."""
    own = json.loads(node.parameters)
    apart: dict[int, list[Record]] = {}
    for record in reversed(list(records)):
        found = [*changes("", record["parameters"], own), *changes("", record["cell"], _cell(node))]
        apart.setdefault(len(found), []).append(record)
    return apart[min(apart)] if apart else []


def changes(word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield `parameter k: 0 -> 3` for each value that differs, also for those within tables."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from changes(f"{word}{name}.", before, after)
        else:
            yield f"{word}{name}: {_value(old, name)} -> {_value(new, name)}"


def _value(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name], default=str) if name in values else "not there"


def _cell(node: Node) -> dict[str, Any]:
    return dict(zip(node.axes, node.cell, strict=True))


def _keys(inputs: Any) -> list[str]:
    """Return the keys below a port of a record, or below all of them."""
    if isinstance(inputs, str):
        return [inputs]
    parts = inputs.values() if isinstance(inputs, dict) else inputs
    return [key for part in parts for key in _keys(part)]


@dataclass
class Trace:
    """Follows differences upwards; each step is told of once."""

    journey: Journey
    told: set[str] = field(default_factory=set)

    def differences(self, node: Node, old: Record) -> Iterator[str]:
        """Yield what differs between a node and a record of its step, then above them."""
        yield from changes("parameter ", old["parameters"], json.loads(node.parameters))
        yield from changes("axis ", old["cell"], _cell(node))
        if node.seed != old["seed"]:
            yield f"seed: {old['seed']} -> {node.seed}"
        code = self.journey.plan.steps[node.step].code
        yield from (f"code: {file} changed" for file in changed_files(old["made"]["code"], code))
        for name, binding in node.ports.items():
            yield from self._inputs(list(binding.nodes()), _keys(old["inputs"].get(name, [])), old)
        missing = [s for s in node.requires if not self.journey.store.get(s.key)]
        yield from self._inputs(missing, [], old)

    def _inputs(self, nodes: Sequence[Node], before: list[str], old: Record) -> Iterator[str]:
        now = {node.key for node in nodes}
        fresh: dict[str, list[Node]] = {}
        for node in nodes:
            if node.key not in before:
                fresh.setdefault(node.step, []).append(node)
        for step, group in fresh.items():
            if step not in self.told:
                self.told.add(step)
                yield from self._input(group, [key for key in before if key not in now], old)
        gone = sum(key not in now for key in before)
        if gone and not fresh:
            yield f"inputs: {gone} node{'s are' if gone > 1 else ' is'} read no more"

    def _input(self, group: list[Node], gone: list[str], old: Record) -> Iterator[str]:
        """Yield how the first of the changed inputs of one step differs from what was read."""
        node = group[0]
        label = node.label
        more = len({one.key for one in group}) - 1
        label += f" (and {more} more)" if more else ""
        run = kept(self.journey.artifacts, old["made"]["run"])
        if not node.plugin.persist:
            found = list(self.unstored(node, run, old))
        else:
            records = [self.journey.store.records.get(key) for key in gone]
            alike = [r for r in records if r and _step(r) == node.step]
            near = nearest(node, alike or self._of_run(node, run))
            if not near:
                found = ["was not read by it"]
            elif near[0]["key"] == node.key:
                found = []
            else:
                found = list(self.differences(node, near[0])) or ["was made from other results"]
        for line in found:
            yield _of(label, line)

    def _of_run(self, node: Node, run: Mapping[str, Any] | None) -> list[Record]:
        """Return the stored records of a node's step in a past run."""
        wanted = set((run or {}).get("keys", {}).get(node.step, ()))
        store = self.journey.store
        return [store.records[key] for key in store.records if key[:KEY] in wanted]

    def unstored(
        self, node: Node, run: Mapping[str, Any] | None, old: Record | None = None
    ) -> Iterator[str]:
        """Yield what differs in a step that leaves no record: as the spec of a past run had it."""
        if run is None:
            token = old["made"]["run"] if old else ""
            yield f"is never stored, and run {token} left no account of its parameters"
            return
        bodies = [dict(self._body(spec, node)) for spec in (run["resolved"], self._spec)]
        own = json.loads(node.parameters)
        for body in bodies:  # what one of them leaves out has its default
            for name in (bodies[0].keys() | bodies[1].keys()) & own.keys() - body.keys():
                info = type(node.plugin).model_fields[name]
                body[name] = info.get_default(call_default_factory=True)
        found = list(changes("parameter ", *bodies))
        if old is not None:
            found += changes("axis ", *_both(old["cell"], _cell(node)))
        for source in node.inputs():
            if source.step in self.told or self._read_by(source, run):
                continue
            self.told.add(source.step)
            if source.plugin.persist:
                found += self._input([source], [], old or {"made": run})
            else:
                above = self.unstored(source, run, old)
                found += [_of(source.label, line) for line in above if line != _CODE]
        yield from found or ([_CODE] if old else [])

    @property
    def _spec(self) -> Mapping[str, Any]:
        return self.journey.spec.layers.data

    def _body(self, spec: Mapping[str, Any], node: Node) -> Iterator[tuple[str, Any]]:
        body = spec.get(node.family, {}).get(node.step, {})
        yield from ((name, value) for name, value in body.items() if name not in _WORDS)

    def _read_by(self, node: Node, run: Mapping[str, Any]) -> bool:
        return node.plugin.persist and node.key[:KEY] in run["keys"].get(node.step, ())


def _of(label: str, line: str) -> str:
    """Return a line as one that tells of an input, if it does not yet tell of one above it."""
    return line if line.startswith("input ") else f"input {label}: {line}"


def _both(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two cells along the axes that they share."""
    return {k: v for k, v in old.items() if k in new}, {k: v for k, v in new.items() if k in old}


def _step(record: Record) -> str:
    return str(record["label"]).partition("[")[0]
