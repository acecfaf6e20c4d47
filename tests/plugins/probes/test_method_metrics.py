"""Methods below each other, each by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.probes.method_metrics import MethodMetrics
from runner import RunnerError, Table


def metrics(**axes: list[Any]) -> Table:
    count = len(next(iter(axes.values())))
    numbers = {name: [float(at) for at in range(count)] for name in ("r2", "rmse", "mae", "mse")}
    own = {"split": ["test"] * count, "target": ["log_g"] * count, "rows": [5] * count}
    return Table({**axes, **own, **numbers})


RIDGE = metrics(layer=["a", "b"])
HEADS = metrics(layer=["a", "a", "b"], head=["linear", "mlp_1", "mlp_1"])


def probe(*methods: dict[str, Any]) -> MethodMetrics:
    return MethodMetrics.model_validate_json(json.dumps({"methods": methods}))


def test_methods_stand_in_the_order_given_named_by_their_rows() -> None:
    wish = probe({"table": "second", "name": "{head} at {layer}"}, {"name": "ridge"})
    found = wish.run(RIDGE, HEADS).frame
    names = ["linear at a", "mlp_1 at a", "mlp_1 at b", "ridge", "ridge"]
    assert list(found["method"]) == names
    assert list(found["r2"]) == [0.0, 1.0, 2.0, 0.0, 1.0]
    assert list(found.columns) == list(MethodMetrics.columns)


def test_only_the_rows_asked_for_are_told() -> None:
    wish = probe({"name": "ridge", "where": {"layer": "b"}})
    assert list(wish.run(RIDGE).frame["r2"]) == [1.0]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"table": "third", "name": "x"}, "'x' reads the port 'third', which is not given"),
        ({"name": "{head}"}, "table has no column 'head'"),
        ({"name": "x", "where": {"layer": "c"}}, "no rows where {'layer': 'c'}"),
    ],
)
def test_what_is_not_there_is_named(method: dict[str, Any], message: str) -> None:
    with pytest.raises(RunnerError) as caught:
        probe(method).run(RIDGE, HEADS)
    assert message in str(caught.value)
