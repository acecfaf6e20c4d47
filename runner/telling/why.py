"""Why a node is cached, new or stale: what differs from the nearest stored record of its step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import UsageError, near
from runner.planning.plan import Node, Planned
from runner.telling.trace import Trace, nearest
from runner.telling.worklog import entries, kept

if TYPE_CHECKING:
    from runner.running.journey import Journey
    from runner.storage.store import Record, Store

_TRIED = 8  # equally near records whose inputs are compared, to choose the nearest of them


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
        yield from _since(journey, node)
        return
    record = store.get(node.key)
    if record is not None:
        yield "  cached: a whole record has this key"
        yield from _identity(node)
        made = record["made"]
        where = f"by run {made['run']} on {made['device']}"
        yield f"  made:   {made['at']} {where}, {record['seconds']:g} s"
        if isinstance(record.get("same"), str):
            yield f"  as:     key {record['same'][:16]}, whose inputs have the same content"
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
        yield from _indented(Trace(journey).differences(node, old))
        return
    yield "  new: nothing of this recipe is stored"
    yield from _identity(node)
    near = nearest(node, _alike(node, planned, store))[:_TRIED]
    if not near:
        yield f"  nearest: no node of {node.family}/{planned.bound.step.use} is stored at all"
        return
    found = min(near, key=lambda record: len(list(Trace(journey).differences(node, record))))
    yield f"  nearest: {found['label']}, key {found['key'][:16]}, made {found['made']['at']}"
    yield from _indented(Trace(journey).differences(node, found))


def _since(journey: Journey, node: Node) -> Iterator[str]:
    """Yield how a step that leaves no record differs from what the last run of its spec read."""
    runs = entries(journey.artifacts, journey.spec.name)
    last = kept(journey.artifacts, runs[-1]["run"]) if runs else None
    if last is not None:
        found = list(Trace(journey).unstored(node, last))
        same = "" if found else ": nothing in the spec has changed"
        yield f"  since run {last['run']} of {last['started']}{same}"
        yield from (f"    {line}" for line in found)


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


def _alike(node: Node, planned: Planned, store: Store) -> list[Record]:
    """Return the stored records of a step of this name, else those of its plugin."""
    use = f"{node.family}/{planned.bound.step.use}"
    records = [record for record in store.records.values() if record["made"]["use"] == use]
    return [r for r in records if r["label"].partition("[")[0] == node.step] or records
