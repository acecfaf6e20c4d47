"""What shares a call depends on the plan alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.computing.contents import Contents
from runner.computing.parcels import Pace, groups, parcel
from runner.storage.store import Store

MADE = {
    "run": "r", "at": "2026-01-02T03:04:05Z", "use": "data/points", "device": "cpu", "threads": 1,
    "host": "h", "pid": 1, "python": "3.11", "versions": {}, "code": {"a.py": "1"},
}  # fmt: skip
RECORD = {
    "recipe": "r", "label": "points", "cell": {}, "parameters": {}, "seed": None, "inputs": {},
    "objects": {"0" * 64: 1}, "seconds": 0.1, "log": "",
}  # fmt: skip
SPEC = """
title = "t"
[axes]
e = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
o = [0.0, 1.0]
[data.points]
use = "points"
[probes.power]
use = "power"
data = "@points.train"
exponent = "$e"
offset = "$o"
"""


def made(plan: Any, keep: Any = lambda node: True) -> list[tuple[str, ...]]:
    missing = {node.key: node for node in plan.nodes() if keep(node)}
    return [tuple(node.label for node in group.nodes) for group in groups(plan, missing)]


def test_a_call_holds_nodes_that_are_equal_in_all_that_may_not_vary(shared_world: Any) -> None:
    plan = shared_world.plan(SPEC)
    found = list(groups(plan, {node.key: node for node in plan.nodes()}))
    assert [group.step for group in found] == ["points"] + ["power"] * 6
    assert [len(group.nodes) for group in found] == [1, 3, 3, 1, 3, 3, 1]
    for group in found[1:]:
        assert group.fused
        assert len({node.plugin.offset for node in group.nodes}) == 1
    assert sum(len(group.nodes) for group in found) == 15
    assert not found[0].fused


@pytest.mark.parametrize("modulus", [2, 3, 5])
def test_what_is_stored_leaves_a_call_and_moves_nobody_to_another(
    shared_world: Any, modulus: int
) -> None:
    plan = shared_world.plan(SPEC)
    nodes = [node.label for node in plan.nodes()]
    gone = set(nodes[::modulus])
    whole = made(plan)
    rest = made(plan, lambda node: node.label not in gone)
    expected = [tuple(n for n in group if n not in gone) for group in whole]
    assert rest == [group for group in expected if group]


def test_nothing_missing_makes_no_call(shared_world: Any) -> None:
    assert list(groups(shared_world.plan(SPEC), {})) == []


def test_cells_that_are_one_node_are_computed_once(shared_world: Any) -> None:
    text = SPEC.replace("[axes]", "[axes.v]\na = { e = 2.0 }\nb = { e = 2.0 }\n[axes]")
    text = text.replace('"$e"', '"$v.e"').replace("e = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]\n", "")
    plan = shared_world.plan(text)
    assert len(plan.steps["power"].nodes) == 4
    sizes = [len(group) for group in made(plan) if group[0].startswith("power")]
    assert sizes == [1, 1]


def test_equal_steps_under_two_names_are_computed_once(shared_world: Any) -> None:
    text = SPEC + SPEC[SPEC.index("[probes.power]") :].replace("probes.power", "probes.again")
    found = list(groups(plan := shared_world.plan(text), {n.key: n for n in plan.nodes()}))
    assert {group.step for group in found} == {"points", "power"}


def test_a_parcel_holds_no_values_and_can_be_handed_to_another_process(
    shared_world: Any, tmp_path: Path
) -> None:
    import pickle

    plan = shared_world.plan(SPEC)
    first, second, *_ = groups(plan, {node.key: node for node in plan.nodes()})
    key = first.nodes[0].key
    store = Store(tmp_path)
    data = {"type": "Dataset", "content": "0" * 64, "about": {}}
    store.commit(MADE, [{**RECORD, "key": key, "outputs": data}])
    store.close()
    handed = parcel(second, plan, Contents(plan, store), "cpu")
    assert [work.label for work in handed.works] == [node.label for node in second.nodes]
    assert handed.use == "probes/power"
    assert handed.threads == 1
    assert handed.works[0].ports["data"].key == key  # type: ignore[union-attr]
    assert handed.works[0].cell == {"e": 1.0, "o": 0.0}
    assert len(pickle.dumps(handed)) < 10_000
    assert pickle.loads(pickle.dumps(handed)) == handed


# -- pace ----------------------------------------------------------------------------------------


def test_nodes_are_handed_over_one_by_one_until_it_is_known_that_they_are_quick() -> None:
    pace = Pace()
    assert pace.bundle("a", 1000, 1) == 1
    pace.note("a", [0.0])
    assert pace.bundle("a", 10_000, 1) > 100
    assert pace.bundle("b", 1000, 1) == 1


def test_slow_nodes_are_handed_over_one_by_one() -> None:
    pace = Pace()
    pace.note("a", [0.3, 0.5])
    assert pace.bundle("a", 1000, 1) == 1


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_last_nodes_are_shared_out_among_the_workers(workers: int) -> None:
    pace = Pace()
    pace.note("a", [0.0])
    assert pace.bundle("a", 40, workers) == 20 // workers
    assert pace.bundle("a", 1, workers) == 1
