"""The probe that makes directions: what it hands on and what it refuses."""

from typing import Any

import numpy as np
import pytest
import torch

from plugins.models.linear import Linear
from plugins.probes.directions import Directions, Plane
from runner.errors import RunnerError
from runner.types import Network, Seed, Table, Trained

MODEL = Linear(inputs=12, outputs=4)
START, END = MODEL.initialise(Seed(1)), MODEL.initialise(Seed(2))


def trained(places: list[float]) -> Trained:
    """Return checkpoints on a bent way from START to END."""
    middle = MODEL.initialise(Seed(3)).weights
    steps = {}
    for step, t in enumerate(places):
        weights = {
            n: (1 - t) * START.weights[n] + t * v + t * (1 - t) * middle[n]
            for n, v in END.weights.items()
        }
        steps[10 * step] = Network(MODEL, weights)
    return Trained(steps, END, END, Table({"step": [0]}))


def made(model: Network = END, **ports: Any) -> Plane:
    own = {name: ports.pop(name) for name in list(ports) if name in Directions.model_fields}
    return Directions(**own).run(model, Seed(0), **ports)


def test_both_directions_are_told_of_and_stored_in_the_networks_precision() -> None:
    plane = made()
    assert plane.directions["layers.0.weight"].shape == (2, 4, 12)
    assert plane.directions["layers.0.weight"].dtype == np.float32
    assert not plane.directions["layers.0.bias"].any()
    frame = plane.table.frame
    assert frame["direction"].tolist() == [1, 2]
    assert frame["filter_drift"].max() < 1e-12
    assert frame["gram_schmidt"].tolist() == ["global"] * 2
    assert frame["renormalised"].all()
    assert len(plane.trajectory) == 0
    assert {*plane.table.columns, *plane.trajectory.columns} == set(Directions.columns)


def test_equal_seeds_give_equal_directions() -> None:
    one, other = made().directions, made().directions
    assert all(np.array_equal(one[name], other[name]) for name in one.arrays)


def test_at_one_along_the_first_direction_lies_the_other_network() -> None:
    plane = made(START, kind="between", towards=END)
    for name, value in START.weights.items():
        there = value + torch.as_tensor(plane.directions[name][0])
        torch.testing.assert_close(there, END.weights[name])
    assert plane.table.frame["kind"].tolist() == ["between", "random"]


def test_a_random_direction_is_orthogonal_to_the_way_to_the_other_network() -> None:
    frame = made(START, kind="between", towards=END).table.frame
    assert frame["gram_schmidt"].tolist() == ["global"] * 2
    assert frame["filter_drift"][1] < 1e-12
    exact = made(START, kind="between", towards=END, gram_schmidt="per_filter").table.frame
    assert exact["filter_cosine"].max() < 1e-12
    apart = made(START, kind="between", towards=END, gram_schmidt="none").table.frame
    # normalising four filters again turns the direction back a little
    assert frame["cosine"].abs().max() < 0.5 * apart["cosine"].abs().min()


def test_two_other_networks_span_the_plane() -> None:
    third = MODEL.initialise(Seed(9))
    plane = made(START, kind="between", towards=END, second=third)
    bias = START.weights["layers.0.bias"] + torch.as_tensor(plane.directions["layers.0.bias"][1])
    torch.testing.assert_close(bias, third.weights["layers.0.bias"])


def test_the_way_of_training_lies_in_its_own_plane() -> None:
    plane = made(kind="trajectory", trained=trained([0.0, 0.2, 0.5, 0.8, 1.0]))
    path = plane.trajectory.frame
    assert path["step"].tolist() == [0, 10, 20, 30, 40]
    assert path["distance"].max() < 1e-5  # a bend in one plane, in single precision
    assert path[["alpha", "beta"]].abs().max().max() == pytest.approx(1.0)
    np.testing.assert_allclose(path.iloc[-1][["alpha", "beta"]].astype(float), 0, atol=1e-6)
    assert plane.table.frame["explained"].sum() == pytest.approx(1.0)


def test_checkpoints_are_placed_in_a_random_plane_too() -> None:
    path = made(trained=trained([0.0, 0.5, 1.0])).trajectory.frame
    assert path["distance"].iloc[0] > 0.1
    assert path["distance"].iloc[-1] < 1e-6


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ({"kind": "between"}, "need each other"),
        ({"towards": START}, "need each other"),
        ({"kind": "trajectory"}, "needs trained"),
        ({"kind": "trajectory", "trained": trained([0.0, 1.0])}, "span no plane"),
        ({"second": START}, "goes with `towards`"),
        ({"kind": "between", "towards": END}, "first direction has length 0"),
        ({"kind": "between", "towards": START, "second": END}, "second direction has length 0"),
        ({"kind": "between", "towards": START, "second": START}, "are parallel"),
    ],
)
def test_ports_that_do_not_fit_are_told_of(ports: dict[str, Any], message: str) -> None:
    with pytest.raises(RunnerError, match=message):
        made(**ports)


def test_networks_of_two_architectures_have_no_direction_between_them() -> None:
    other = Linear(inputs=12, outputs=5).initialise(Seed(0))
    with pytest.raises(RunnerError, match="one architecture"):
        made(kind="between", towards=other)
