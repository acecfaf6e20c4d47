"""Points appended to data: the new rows, told apart, and nothing else changed."""

import math
from typing import Any

import numpy as np
import pytest

from plugins.data.function_1d import Function1d
from plugins.perturbations.append_points import AppendPoints
from runner import Dataset, RunnerError, Seed

SINGLE = ((0.0, 5.0),)
MULTIPLE = ((0.0, 5.0), ("pi/2", -3.0), ("-pi", 2.0))


def test_outliers_stand_after_the_training_points_and_are_marked() -> None:
    base = Function1d().run(Seed(0))
    data = AppendPoints(points=MULTIPLE).run(base)
    train = data["train"]
    assert train["x"].shape == (20, 1)
    assert np.array_equal(train["x"][:17], base["train"]["x"])
    assert np.allclose(train["x"][17:, 0], [0, math.pi / 2, -math.pi])
    assert train["y"][17:].tolist() == [5, -3, 2]
    assert train["appended"].tolist() == [0] * 17 + [1] * 3
    assert data.splits["test"] is base.splits["test"]
    assert data.about == base.about


def test_outliers_can_stand_alone_and_be_appended_twice() -> None:
    base = Function1d().run(Seed(0))
    alone = AppendPoints(points=SINGLE, keep=False).run(base)
    assert alone["train"]["y"].tolist() == [5.0]
    twice = AppendPoints(points=SINGLE).run(AppendPoints(points=SINGLE).run(base))
    assert twice["train"]["appended"].sum() == 2


def test_a_point_is_as_long_as_a_row() -> None:
    data = Dataset({"train": {"x": np.zeros((2, 2, 2), np.float32), "y": np.zeros(2, np.int64)}})
    grown = AppendPoints(points=((1.0, 2.0, 3.0, 4.0, 7.0),)).run(data)["train"]
    assert grown["x"].shape == (3, 2, 2)
    assert grown["x"].dtype == np.float32
    assert grown["y"].tolist() == [0, 0, 7]
    with pytest.raises(RunnerError, match="4 values of x"):
        AppendPoints(points=SINGLE).run(data)


def test_a_split_that_is_not_there_or_has_more_arrays_is_refused() -> None:
    data = Dataset({"train": {"x": np.zeros((1, 1)), "y": np.zeros(1), "mask": np.zeros(1)}})
    with pytest.raises(RunnerError, match="only train"):
        AppendPoints(points=SINGLE, split="tests").run(data)
    with pytest.raises(RunnerError, match="x, y, mask"):
        AppendPoints(points=SINGLE).run(data)


def test_splits_of_changed_data_are_those_of_the_data(shared_world: Any) -> None:
    spec = """
    title = "t"
    [axes.scenario.one]
    points = [[0.0, 5.0]]
    [axes.scenario.several]
    points = [[0.0, 5.0], ["pi/2", -3.0]]
    [data.sine]
    use = "function_1d"
    [perturbations.shifted]
    use = "append_points"
    data = "@sine"
    points = "$scenario.points"
    [models.net]
    use = "mlp"
    [trainers.tuned]
    use = "supervised"
    model = "@net"
    data = "@shifted"
    loss = "mse"
    steps = 1
    [probes.drift]
    use = "function_drift"
    model = "@tuned"
    reference = "@tuned"
    data = "@shifted.test"
    """
    plan = shared_world.plan(spec)
    points = [node.plugin.points for node in plan.steps["shifted"].nodes.values()]
    assert points == [((0.0, 5.0),), ((0.0, 5.0), (math.pi / 2, -3.0))]
    assert len(plan.steps["drift"].nodes) == 2
