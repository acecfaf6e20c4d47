"""Norms of whole networks, against those of one long vector."""

import math

import pytest
import torch

from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from plugins.probes.parameter_norm import ParameterNorm
from runner.types import Network, Seed

SMALL = Transformer(layers=1, heads=2, width=8, vocabulary=5, length=3, outputs=5)


def measured(model: Network, reference: Network | None = None) -> dict:
    table = ParameterNorm().run(model, reference)
    assert list(table.columns) == list(ParameterNorm.columns)
    return {name: column[0] for name, column in table.columns.items()}


@pytest.fixture(scope="module")
def fresh() -> Network:
    return SMALL.initialise(Seed(0))


def vector(network: Network) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(network.module().parameters()).detach().double()


def test_the_norm_is_that_of_all_parameters_as_one_vector(fresh):
    found = measured(fresh)
    assert found["norm"] == pytest.approx(vector(fresh).norm().item(), rel=1e-12)
    assert found["parameters"] == len(vector(fresh))
    assert math.isnan(found["relative_norm"])
    assert math.isnan(found["distance"])


def test_buffers_do_not_count(fresh):
    changed = dict(fresh.weights)
    changed["norm.eps"] = changed["norm.eps"] + 100.0
    assert measured(Network(SMALL, changed)) == pytest.approx(measured(fresh), nan_ok=True)


def test_against_a_reference(fresh):
    moved = Rescale(alpha=2.0).run(fresh)
    found = measured(moved, fresh)
    base = vector(fresh).norm()
    assert found["relative_norm"] == pytest.approx((vector(moved).norm() / base).item(), rel=1e-12)
    apart = (vector(moved) - vector(fresh)).norm() / base
    assert found["distance"] == pytest.approx(apart.item(), rel=1e-12)
    assert measured(fresh, fresh)["distance"] == 0.0


def test_a_parameter_that_is_not_finite_is_named(fresh):
    broken = dict(fresh.weights)
    broken["head.weight"] = broken["head.weight"] * math.nan
    with pytest.raises(ValueError, match=r"'head\.weight' is not finite"):
        measured(Network(SMALL, broken))


def test_another_architecture_is_refused(fresh):
    wider = SMALL.model_copy(update={"width": 16})
    with pytest.raises(ValueError, match="of one architecture"):
        measured(wider.initialise(Seed(0)), fresh)
