"""Directions in parameter space, against their definitions in double precision."""

import pytest
import torch

from plugins.maths.landscape import directions as maths
from plugins.models.linear import Linear
from plugins.models.resnet import Resnet
from runner.types import Seed

NETWORK = Linear(inputs=20, outputs=5).initialise(Seed(3))
WEIGHTS = maths.parameters_of(NETWORK)


def pair(way: maths.GramSchmidt, *, renormalise: bool = True) -> list[maths.Direction]:
    return maths.random_pair(WEIGHTS, Seed(0), way, renormalise=renormalise)


def test_each_row_has_the_norm_of_the_networks_and_biases_stay_out() -> None:
    for direction in pair("global"):
        rows, wanted = direction["layers.0.weight"], WEIGHTS["layers.0.weight"]
        torch.testing.assert_close(rows.norm(dim=1), wanted.norm(dim=1), rtol=1e-12, atol=0)
        assert not direction["layers.0.bias"].any()


def test_convolutions_are_normalised_by_output_filter_and_norm_layers_stay_out() -> None:
    network = Resnet(depth=8, width=4, channels=3, outputs=5).initialise(Seed(0))
    weights = maths.parameters_of(network)
    first, _ = maths.random_pair(weights, Seed(0), "global", renormalise=True)
    kernel, wanted = first["layer1.0.conv1.weight"], weights["layer1.0.conv1.weight"]
    torch.testing.assert_close(kernel.flatten(1).norm(dim=1), wanted.flatten(1).norm(dim=1))
    assert not first["bn1.weight"].any()
    assert not first["layer1.0.bn2.bias"].any()


def test_a_global_gram_schmidt_moves_filter_norms_unless_they_are_normalised_again() -> None:
    drifted, mended = pair("global", renormalise=False), pair("global")
    assert abs(maths.cosine(*drifted)) < 1e-15
    assert maths.filter_drift(drifted[1], WEIGHTS) > 1e-5
    assert maths.filter_drift(mended[1], WEIGHTS) < 1e-14
    assert 0 < abs(maths.cosine(*mended)) < 1e-2


def test_gram_schmidt_by_filter_keeps_both_exactly() -> None:
    first, second = pair("per_filter")
    assert maths.filter_cosine(first, second) < 1e-15
    assert abs(maths.cosine(first, second)) < 1e-15
    assert maths.filter_drift(second, WEIGHTS) < 1e-14


def test_without_gram_schmidt_the_second_direction_is_as_drawn() -> None:
    drawn = maths.filter_normalised(maths.drawn(WEIGHTS, Seed(0), 1), WEIGHTS)
    second = pair("none")[1]
    assert all(torch.equal(second[name], drawn[name]) for name in WEIGHTS)


def test_a_filter_of_one_entry_cannot_be_made_orthogonal() -> None:
    narrow = {"w": torch.ones(3, 1, dtype=torch.float64)}
    with pytest.raises(ValueError, match="filters of one entry"):
        maths.random_pair(narrow, Seed(0), "per_filter", renormalise=True)


def test_a_tensors_draw_depends_on_no_other_tensor() -> None:
    less = {"layers.0.weight": WEIGHTS["layers.0.weight"]}
    one, other = maths.drawn(less, Seed(0), 0), maths.drawn(WEIGHTS, Seed(0), 0)
    assert torch.equal(one["layers.0.weight"], other["layers.0.weight"])


def test_principal_directions_of_a_plane_hold_every_checkpoint() -> None:
    entries = torch.randn(105, 2, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(entries.double())
    places = torch.tensor([[3.0, 0.5], [1.0, -1.0], [-0.5, 0.2], [0.0, 0.0]]).double()
    steps = [maths.unflattened(basis.Q @ place, WEIGHTS) for place in places]
    found, shares = maths.principal(steps)
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)
    assert shares[0] > shares[1]
    at = [maths.coordinates(step, found) for step in steps]
    assert max(away for _, away in at) < 1e-12
    assert max(abs(c) for place, _ in at for c in place) == pytest.approx(1.0)
    assert at[0][0][0] > 0
    assert at[0][0][1] > 0
    assert abs(maths.cosine(*found)) < 1e-12


def test_checkpoints_on_a_line_span_no_plane() -> None:
    step = maths.drawn(WEIGHTS, Seed(0), 0)
    with pytest.raises(ValueError, match="span no plane"):
        maths.principal([step, {name: 2 * value for name, value in step.items()}])


def test_coordinates_are_right_in_a_skewed_plane() -> None:
    first, second = maths.drawn(WEIGHTS, Seed(0), 0), maths.drawn(WEIGHTS, Seed(0), 1)
    skewed = {name: first[name] + 0.3 * second[name] for name in first}
    place = {name: 2 * first[name] - 1.5 * skewed[name] for name in first}
    (alpha, beta), away = maths.coordinates(place, [first, skewed])
    assert (alpha, beta) == pytest.approx((2.0, -1.5))
    assert away < 1e-12
