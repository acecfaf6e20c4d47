"""How long a run will take is judged by what like nodes took before."""

from __future__ import annotations

from typing import Any

import pytest

from runner.storage.store import Store
from runner.telling.estimate import Estimate, estimates, told
from runner.telling.wording import span

SPEC = """
title = "t"
[axes]
k = [1, 2, 3, 4]
[probes.value]
use = "value"
k = "$k"
a = 1.0
[probes.fails]
use = "fails"
k = "$k"
"""
MADE = {
    "run": "r", "at": "2026-01-02T03:04:05Z", "device": "cpu", "threads": 1,
    "host": "h", "pid": 1, "python": "3.11", "versions": {}, "code": {"a.py": "1"},
}  # fmt: skip


def remember(store: Store, plan: Any, step: str, seconds: list[float], **changed: Any) -> None:
    """Store a record for each figure, as if the step had been run with some parameters changed."""
    planned = plan.steps[step]
    node = next(iter(planned.nodes.values()))
    use = f"{planned.bound.step.family}/{planned.bound.step.use}"
    records = [
        {
            "key": f"{step}{len(store.records)}{i}", "recipe": "r", "label": step, "cell": {},
            "parameters": {**node.plugin.model_dump(mode="json"), **changed}, "seed": None,
            "inputs": {}, "outputs": {"type": "Table", "columns": {}}, "objects": {},
            "seconds": figure, "log": "",
        }
        for i, figure in enumerate(seconds)
    ]  # fmt: skip
    store.commit({**MADE, "use": use}, records)
    store.close()


@pytest.fixture
def plan(shared_world: Any) -> Any:
    return shared_world.plan(SPEC)


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return Store(tmp_path)


def judged(plan: Any, store: Store) -> dict[str, Estimate | None]:
    return estimates(plan, store, {node.key: node for node in plan.nodes()})


def test_a_plugin_that_never_ran_is_not_judged(plan: Any, store: Store) -> None:
    assert judged(plan, store) == {"value": None, "fails": None}
    assert told(judged(plan, store), 2) == []


def test_the_median_of_equal_nodes_counts(plan: Any, store: Store) -> None:
    remember(store, plan, "value", [1.0, 2.0, 30.0], k=77)  # k is an axis here: no difference
    found = judged(plan, store)
    assert found == {"value": Estimate(4, 8.0), "fails": None}
    assert told(found, 2) == [
        "about 4 s with 2 workers, judged by what like nodes took before",
        "  value: 8 s of work, 2 s a node",
        "  not judged, never run before: fails",
    ]


def test_of_unlike_nodes_the_least_unlike_count_and_it_is_said_in_what(
    plan: Any, store: Store
) -> None:
    remember(store, plan, "value", [100.0], a=2.0, sign="minus")
    remember(store, plan, "value", [5.0], a=3.0)
    found = judged(plan, store)["value"]
    assert found == Estimate(4, 20.0, ("a",))
    remember(store, plan, "value", [7.0])
    assert judged(plan, store)["value"] == Estimate(4, 28.0)


def test_what_unlike_nodes_took_is_scaled_by_the_work_that_their_plugin_tells(
    plan: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = next(iter(plan.steps["value"].nodes.values()))  # k is 1 to 4: a work of 10 for all
    monkeypatch.setattr(type(node.plugin), "work", lambda self: (1 + self.a) * self.k / 2)
    remember(store, plan, "value", [6.0], a=5.0, k=4)  # a work of 12: 0.5 s each
    assert judged(plan, store)["value"] == Estimate(4, 5.0, ("a",))


def test_a_past_node_of_another_form_counts_as_an_equal_one(plan: Any, store: Store) -> None:
    remember(store, plan, "value", [3.0], was_once=7)
    assert judged(plan, store)["value"] == Estimate(4, 12.0, ("was_once",))


def test_other_plugins_do_not_count(plan: Any, store: Store) -> None:
    remember(store, plan, "fails", [3.0])
    assert judged(plan, store) == {"value": None, "fails": Estimate(4, 12.0)}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"),
     (172_799, "48.0 h"), (345_600, "4.0 days")],
)  # fmt: skip
def test_a_span_is_told_in_a_fitting_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_plan_tells_how_long_a_run_would_take_where_that_is_long(world: Any) -> None:
    spec = world.spec(SPEC)
    assert "judged by" not in world.cli("plan", spec).out
    world.edit("probes/value", "note(", "import time\n        time.sleep(0.6)\n        note(")
    assert world.cli("run", spec, "-n", 1).code == 0
    more = world.spec(SPEC.replace("[1, 2, 3, 4]", "[1, 2, 3, 4, 5, 6, 7, 8]"))
    assert "  value: 2 s of work, 0.6" in world.cli("plan", more).out
    assert "judged by" not in world.cli("plan", more, "-k", "fails").out
