"""How problems, plans and results read on a terminal, in a log file and in CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runner.errors import SpecError
from runner.language.faults import faults, near_path
from runner.planning.plan import Plan, Planned
from runner.running.outcome import BLOCKED, CACHED, FAILED, NOT_RUN, PASSED, Result
from runner.running.select import Choice, needed
from runner.storage.store import Store

__all__ = [
    "changed_files",
    "near_path",
    "plan_lines",
    "problems",
    "span",
    "summary",
    "version_warnings",
]
_ORDER = (PASSED, CACHED, FAILED, BLOCKED, NOT_RUN)


def problems(error: SpecError, spec: Path) -> list[str]:
    """Return a line for each problem: `file:line:column: what is wrong`, in order of place."""
    return [fault.text for fault in faults(error, spec)]


def summary(results: Iterable[Result], seconds: str, choice: Choice | None = None) -> str:
    """Return the last line of a run: `12 passed, 3 cached, 1 failed, 7 deselected in 41 s`.

    Counted by outcome are the selected nodes, and others only where they stood in the way.
    """
    results = list(results)
    extra = [r for r in results if choice is not None and r.node.key not in choice.keys]
    made = {r.node.key for r in extra if r.status == PASSED}
    counts = Counter(r.status for r in results if r.node.key not in made)
    parts = [f"{counts[status]} {status}" for status in _ORDER if counts[status]]
    if choice is not None and choice.deselected:
        parts.append(left_out(choice, len(made), "computed"))
    return f"{', '.join(parts) or 'nothing to do'} in {seconds}"


def left_out(choice: Choice, made: int, verb: str) -> str:
    """Return `7 deselected (2 of them computed as inputs)`."""
    some = f" ({made} of them {verb} as input{'s' if made > 1 else ''})" if made else ""
    return f"{choice.deselected} deselected{some}"


def plan_lines(
    plan: Plan, store: Store, verbose: bool = False, choice: Choice | None = None
) -> list[str]:
    """Return what a run would do and why, a line for each step (each node where verbose)."""
    lines = []
    keep = needed(plan, store, choice.keys) if choice is not None and choice.deselected else None
    width = max(len(name) for name in plan.steps)
    missing: Counter[str] = Counter()
    for name, planned in plan.steps.items():
        nodes = {node.key: node for node in planned.nodes.values()}
        if keep is not None:
            nodes = {key: node for key, node in nodes.items() if key in keep}
            if not nodes:
                continue
        use = f"{planned.bound.step.family}/{planned.bound.step.use}"
        over = f" over {', '.join(planned.axes)}" if planned.axes else ""
        if planned.bound.is_check:
            use = planned.bound.step.family
        if not next(iter(nodes.values())).plugin.persist:
            lines.append(f"{name:<{width}}  {use}: {_count(nodes)}{over}, computed where needed")
            continue
        states = {key: _state(node, planned, plan, store) for key, node in nodes.items()}
        missing.update(state.partition(":")[0] for state in states.values())
        counts = Counter(states.values())
        shown = ", ".join(f"{n} {state}" for state, n in counts.most_common())
        lines.append(f"{name:<{width}}  {use}: {_count(nodes)}{over}: {shown}")
        if verbose:
            lines += [f"    {nodes[key].label}  {state}" for key, state in states.items()]
    total = sum(missing.values())
    run = total - missing["cached"]
    text = f"{total} nodes, {missing['cached']} cached, {run} to run"
    if choice is not None and keep is not None:
        text += f", {left_out(choice, len(keep.keys() - choice.keys), 'needed')}"
    lines.append(text)
    return lines


def _count(nodes: dict[str, Any]) -> str:
    return f"{len(nodes)} node{'s' if len(nodes) != 1 else ''}"


def _state(node: Any, planned: Planned, plan: Plan, store: Store) -> str:
    if store.get(node.key) is not None:
        return "cached"
    old = store.stale(node.recipe)
    if old is None:
        return "new"
    changed = changed_files(old["made"]["code"], planned.code)
    if changed:
        return f"stale: {', '.join(changed)} changed"
    for source in node.inputs():
        upstream = plan.steps[source.step]
        if not source.plugin.persist or store.get(source.key) is None:
            record = store.stale(source.recipe) if source.plugin.persist else None
            code = record["made"]["code"] if record else None
            files = changed_files(code, upstream.code) if code else []
            return f"stale: {source.step} changed" + (f" ({', '.join(files)})" if files else "")
    return "stale: an input changed"


def changed_files(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return the files whose code differs between two fingerprints."""
    return sorted(file for file in old.keys() | new.keys() if old.get(file) != new.get(file))


def version_warnings(plan: Plan, store: Store) -> list[str]:
    """Return a warning when cached nodes were made with another version of torch."""
    from importlib.metadata import version

    here = version("torch")
    others = set()
    for node in plan.nodes():
        record = store.records.get(node.key)
        if record is not None:
            others.add(record["made"]["versions"].get("torch", here))
    return [
        f"warning: some cached nodes were computed with torch {other}, this is torch {here}"
        for other in sorted(others - {here})
    ]


def span(seconds: float) -> str:
    """Return a length of time for people: `45 s`, `12 min`, `3.4 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
