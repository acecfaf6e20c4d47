"""Why a node is cached, new or stale: what differs from the nearest stored record of its step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError, near
from runner.plan import Node, Planned
from runner.wording import changed_files

if TYPE_CHECKING:
    from runner.journey import Journey
    from runner.store import Record, Store


def split(text: str) -> tuple[Path, str]:
    """Return the spec and the node of `spec.toml::step[axis=value]`.

    Raises: UsageError when one of them is missing.
    """
    spec, mark, label = text.partition("::")
    if not (spec and mark and label):
        raise UsageError(f"{text}: no node id; write it as specs/study.toml::step[axis=value]")
    return Path(spec), label


def reasons(journey: Journey, label: str) -> Iterator[str]:
    """Yield lines that tell what a node's state is, and why.

    Raises: UsageError when the plan has no such node.
    """
    node = _found(journey, label)
    planned = journey.plan.steps[node.step]
    store = journey.store
    yield f"{node.label}"
    if not node.plugin.persist:
        yield "  never stored: it is computed where it is needed"
        yield f"  code: {', '.join(sorted(planned.code))}"
        return
    record = store.get(node.key)
    if record is not None:
        yield "  cached: a whole record has this key"
        yield from _identity(node)
        made = record["made"]
        where = f"by run {made['run']} on {made['device']}"
        yield f"  made:   {made['at']} {where}, {record['seconds']:g} s"
        return
    if node.key in store.records:
        yield "  lost: it was stored, but an object of it is missing or cut"
        yield from _identity(node)
        return
    old = store.stale(node.recipe)
    if old is not None:
        yield "  stale: the same recipe, made by other code or from other results"
        yield from _identity(node)
        yield f"  nearest: {old['label']}, key {old['key'][:16]}, made {old['made']['at']}"
        yield from _indented(_stale(journey, node, planned, old))
        return
    yield "  new: nothing of this recipe is stored"
    yield from _identity(node)
    nearest = _nearest(node, planned, store)
    if nearest is None:
        yield f"  nearest: no node of {node.family}/{planned.bound.step.use} is stored at all"
        return
    yield f"  nearest: {nearest['label']}, key {nearest['key'][:16]}, made {nearest['made']['at']}"
    yield from _indented(_differences(node, planned, nearest))


def _found(journey: Journey, label: str) -> Node:
    step = label.partition("[")[0]
    if step not in journey.plan.steps:
        hint = near(step, journey.plan.steps)
        raise UsageError(f'{journey.spec.path.name} has no step "{step}"{hint}')
    nodes = list(journey.plan.steps[step].nodes.values())
    wanted = {pair for pair in label[len(step) :].strip("[]").split(",") if pair}
    fitting = [n for n in nodes if wanted <= set(n.label[len(step) :].strip("[]").split(","))]
    if not fitting:
        raise UsageError(f"no node {label}; there is, for example, {nodes[0].label}")
    if len(fitting) > 1:
        shown = ", ".join(node.label for node in fitting[:3])
        raise UsageError(f"{label} are {len(fitting)} nodes; choose one, such as {shown}")
    return fitting[0]


def _identity(node: Node) -> Iterator[str]:
    yield f"  key:    {node.key}"
    yield f"  recipe: {node.recipe}"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    found = False
    for line in lines:
        found = True
        yield f"    {line}"
    if not found:
        yield "    nothing differs that its record names; an input is selected differently"


def _stale(journey: Journey, node: Node, planned: Planned, old: Record) -> Iterator[str]:
    yield from (f"code: {file}" for file in changed_files(old["made"]["code"], planned.code))
    known = _keys(old["inputs"])
    told = set()
    for source in [*node.inputs(), *node.requires]:
        if source.key in known or source.step in told:
            continue
        told.add(source.step)
        record = journey.store.stale(source.recipe) if source.plugin.persist else None
        code = journey.plan.steps[source.step].code
        files = changed_files(record["made"]["code"], code) if record else []
        state = "cached" if journey.store.get(source.key) else "not stored yet"
        because = f": {', '.join(files)} differ" if files else f", {state}"
        yield f"input: {source.label} has another key{because}"


def _nearest(node: Node, planned: Planned, store: Store) -> Record | None:
    """Return the stored record of the same plugin that differs in the fewest parameters."""
    use = f"{node.family}/{planned.bound.step.use}"
    alike = [
        r for r in store.records.values()
        if r["made"]["use"] == use and r["label"].partition("[")[0] == node.step
    ] or [r for r in store.records.values() if r["made"]["use"] == use]  # fmt: skip
    own = json.loads(node.parameters)
    return min(alike, key=lambda r: len(list(_changed(r["parameters"], own))), default=None)


def _changed(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"parameter: {name} is {_shown(new, name)}, was {_shown(old, name)}"


def _shown(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "not there"


def _differences(node: Node, planned: Planned, old: Record) -> Iterator[str]:
    yield from _changed(old["parameters"], json.loads(node.parameters))
    if node.seed != old["seed"]:
        yield f"seed: {node.seed}, was {old['seed']}"
    known = _keys(old["inputs"])
    told = set()
    for source in node.inputs():
        if source.key not in known and source.step not in told:
            told.add(source.step)
            yield f"input: {source.label} was not read by it"
    yield from (f"code: {file}" for file in changed_files(old["made"]["code"], planned.code))


def _keys(inputs: Any) -> set[str]:
    if isinstance(inputs, str):
        return {inputs}
    parts = inputs.values() if isinstance(inputs, dict) else inputs
    return {key for part in parts for key in _keys(part)}
