"""The landscape probe: draws, centres, lines, batches."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from plugins.maths.landscape.sampled import axis, drawn_rows
from plugins.models.linear import Linear
from plugins.models.mlp import Mlp
from plugins.probes.directions import Directions
from plugins.probes.landscape import Landscape, LandscapeProbe
from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Circumstance, Network, Seed, Split

RNG = np.random.default_rng(0)
DATA = Split(
    {"x": RNG.normal(size=(40, 1, 4, 4)).astype(np.float32), "y": RNG.integers(0, 3, 40)},
    {"source": "made up"},
)
HERE = Circumstance()


def network(model: Model | None = None) -> Network:
    return (model or Linear(inputs=16, outputs=3)).initialise(Seed(4))


def made(net: Network | None = None, data: Split = DATA, **fields: Any) -> Landscape:
    net = net or network()
    plane = Directions().run(net, Seed(0))
    probe = LandscapeProbe(**{"points": 5, **fields})
    return probe.run(net, plane.directions, data, Seed(0), HERE)


def centre(found: Landscape) -> dict[str, Any]:
    return found.centre.frame.iloc[0].to_dict()


@pytest.mark.parametrize("model", [Linear(inputs=16, outputs=3),
                                   Mlp(hidden=(5,), inputs=16, outputs=3)])  # fmt: skip
@pytest.mark.parametrize("samples", [None, 3])
def test_the_centre_is_a_forward_pass_and_cross_entropy(model: Model, samples: int | None) -> None:
    net = network(model)
    found = made(net, samples=samples)
    told = centre(found)
    rows = [told["index"]] if samples else range(40)
    x, y = (torch.as_tensor(DATA[k][list(rows)]) for k in "xy")
    wanted = nn.CrossEntropyLoss()(net.module()(x), y).item()
    frame = found.surface.frame
    at = frame[(frame["alpha"] == 0) & (frame["beta"] == 0)]["loss"]
    assert at.item() == pytest.approx(wanted, abs=1e-6)
    assert told["centre_loss"] == at.item()
    assert told["direct_loss"] == pytest.approx(wanted, abs=1e-6)
    assert told["centre_error"] < 1e-6


def test_what_is_said_of_a_sample_is_so() -> None:
    net = network()
    told = centre(made(net, samples=4, rank=2))
    logits = net.module()(torch.as_tensor(DATA["x"][[told["index"]]])).detach()
    assert told["label"] == DATA["y"][told["index"]]
    assert told["prediction"] == int(logits.argmax())
    assert told["probability"] == pytest.approx(float(logits.softmax(1)[0, told["label"]]))
    assert told["shown"] == "made up"
    assert told["computed"] == "factorised"


def test_samples_are_drawn_by_the_seed_alone_and_fewer_are_the_first_of_more() -> None:
    ten = drawn_rows(40, 10, Seed(0))
    assert len(set(ten.tolist())) == 10
    assert drawn_rows(40, 3, Seed(0)).tolist() == ten[:3].tolist()
    assert drawn_rows(40, 10, Seed(1)).tolist() != ten.tolist()
    ways = [made(samples=10, rank=k) for k in range(3)]
    assert [centre(way)["index"] for way in ways] == ten[:3].tolist()


def test_a_batch_gives_each_rank_what_it_gets_alone() -> None:
    net = network()
    plane = Directions().run(net, Seed(0)).directions
    probes = [LandscapeProbe(points=5, samples=6, rank=k) for k in (3, 0, 5)]
    batch = list(LandscapeProbe.run_batch(probes, net, plane, DATA, Seed(0), HERE))
    for probe, found in zip(probes, batch, strict=True):  # logits in single precision
        alone = probe.run(net, plane, DATA, Seed(0), HERE)
        assert centre(found)["index"] == centre(alone)["index"]
        np.testing.assert_allclose(
            found.surface.columns["loss"], alone.surface.columns["loss"], atol=1e-6
        )


def test_lines_are_those_of_the_grid() -> None:
    grid = made().surface.frame.set_index(["alpha", "beta"])["loss"]
    lines = made(dimensions=1).surface.frame
    for row in lines.itertuples():
        assert row.loss == pytest.approx(grid[row.alpha, row.beta], abs=1e-6)


def test_the_lines_meet_in_one_point() -> None:
    """Their common point, computed twice, would stand in the table with two losses."""
    frame = made(dimensions=1).surface.frame
    assert not frame.duplicated(["alpha", "beta"]).any()
    assert len(frame) == 9
    off = made(dimensions=1, alpha=(0.5, 1.0)).surface.frame  # the network is on one line alone
    assert len(off) == 10
    assert len(off[(off["alpha"] == 0) & (off["beta"] == 0)]) == 1


def test_the_quick_way_equals_one_call_for_each_point() -> None:
    for samples in (None, 5):
        quick = made(samples=samples).surface.frame["loss"]
        general = made(samples=samples, method="general").surface.frame["loss"]
        np.testing.assert_allclose(quick, general, atol=1e-5)


def test_a_grid_without_its_centre_still_knows_the_loss_there() -> None:
    whole, off = centre(made()), centre(made(points=4))
    assert off["centre_loss"] == pytest.approx(whole["centre_loss"], abs=1e-6)
    assert off["centre_error"] < 1e-6


def test_an_axis_holds_zero_exactly() -> None:
    assert axis(-1.0, 1.0, 51)[25] == 0.0
    assert axis(-0.3, 0.3, 7)[3] == 0.0
    assert axis(-0.5, 1.0, 4) == [-0.5, 0.0, 0.5, 1.0]


def test_a_surface_keeps_the_order_of_its_directions() -> None:
    """Rising along the first direction alone must show along alpha, not beta."""
    net = network(Linear(inputs=16, outputs=3, bias=True))
    plane = Directions().run(net, Seed(0)).directions
    flat = {name: value.copy() for name, value in plane.arrays.items()}
    for value in flat.values():
        value[1] = 0
    still = type(plane)(flat, plane.dimensions)
    probe = LandscapeProbe(points=5)
    frame = probe.run(net, still, DATA, Seed(0), HERE).surface.frame
    assert frame.groupby("alpha")["loss"].std().max() < 1e-6
    assert frame.groupby("beta")["loss"].std().min() > 1e-3


@pytest.mark.parametrize("model", [Linear(inputs=16, outputs=1),
                                   Mlp(hidden=(5,), inputs=16, outputs=1)])  # fmt: skip
@pytest.mark.parametrize("samples", [None, 3])
def test_regression_has_landscapes_of_its_squared_error(model: Model, samples: int | None) -> None:
    net = network(model)
    y = RNG.normal(size=40).astype(np.float32)
    data = Split({"x": DATA["x"], "y": y})
    told = centre(found := made(net, data, samples=samples, loss="mse"))
    rows = [told["index"]] if samples else range(40)
    output = net.module()(torch.as_tensor(DATA["x"][list(rows)])).detach()[:, 0]
    wanted = nn.MSELoss()(output, torch.as_tensor(y[list(rows)])).item()
    assert told["centre_loss"] == pytest.approx(wanted, abs=1e-6)
    assert told["centre_error"] < 1e-6
    assert (told["label"], told["prediction"]) == (-1, -1)
    assert np.isnan([told["probability"], told["accuracy"]]).all()
    general = made(net, data, samples=samples, loss="mse", method="general")
    np.testing.assert_allclose(
        found.surface.columns["loss"], general.surface.columns["loss"], atol=1e-5
    )


def test_what_does_not_fit_is_told_of() -> None:
    with pytest.raises(RunnerError, match="41 samples of 40 rows"):
        made(samples=41)
    with pytest.raises(RunnerError, match="the targets are"):
        made(loss="mse")
    with pytest.raises(RunnerError, match=r"labels must be classes.* set loss = 'mse'"):
        made(data=Split({"x": DATA["x"], "y": DATA["x"][:, 0, 0, 0]}))
    plane = Directions().run(network(), Seed(0)).directions
    other = Linear(inputs=16, outputs=4).initialise(Seed(0))
    with pytest.raises(RunnerError, match="not those of this network"):
        LandscapeProbe().run(other, plane, DATA, Seed(0), HERE)
    assert "rise" in (LandscapeProbe(alpha=(1.0, -1.0)).check_parameters() or "")
    assert "below samples" in (LandscapeProbe(samples=3, rank=3).check_parameters() or "")
    assert "below samples" in (LandscapeProbe(rank=1).check_parameters() or "")
