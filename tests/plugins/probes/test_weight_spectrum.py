"""Entropies and norms of groups of weights."""

import math

import numpy as np
import pytest
import torch

from plugins.models.mlp import Mlp
from plugins.models.transformer import Transformer
from plugins.probes.weight_spectrum import WeightSpectrum
from runner.errors import RunnerError
from runner.types import Network, Seed

SHAPE = Transformer(layers=1, heads=2, width=8, vocabulary=5, length=3, outputs=5)
FRESH = SHAPE.initialise(Seed(0))


def measured(network: Network, **parameters: object) -> dict[str, float]:
    table = WeightSpectrum.model_validate(parameters).run(network)
    assert list(table.columns) == list(WeightSpectrum.columns)
    return {name: values[0] for name, values in table.columns.items()}


def entropy(matrix: torch.Tensor) -> float:
    energy = torch.linalg.svdvals(matrix.double()) ** 2
    return torch.distributions.Categorical(energy / energy.sum()).entropy().item()


def test_groups_are_means_over_their_matrices() -> None:
    weights, found = FRESH.weights, measured(FRESH)
    square = [*weights["blocks.0.qkv.weight"].chunk(3), weights["blocks.0.out.weight"]]
    assert found["attention_entropy"] == pytest.approx(np.mean([entropy(m) for m in square]))
    tables = [weights["token.weight"], weights["position.weight"]]
    assert found["embedding_entropy"] == pytest.approx(np.mean([entropy(m) for m in tables]))
    every = [value for value in weights.values() if value.ndim == 2]
    assert found["matrices"] == len(every) == 7
    assert found["spectral_entropy"] == pytest.approx(np.mean([entropy(m) for m in every]))
    norm = math.hypot(*(table.norm().item() for table in tables))
    assert found["embedding_norm"] == pytest.approx(norm, rel=1e-6)


def test_scaling_changes_norms_and_no_entropy() -> None:
    doubled = Network(SHAPE, {name: 2 * value for name, value in FRESH.weights.items()})
    one, two = measured(FRESH), measured(doubled)
    for name in one:
        factor = 2 if name.endswith("norm") else 1
        assert two[name] == pytest.approx(factor * one[name])


def test_the_relative_entropy_of_orthogonal_matrices_is_one() -> None:
    whole = {
        name: torch.linalg.qr(value.T if value.shape[0] < value.shape[1] else value)[0]
        for name, value in FRESH.weights.items()
        if value.ndim == 2
    }
    whole = {
        name: value if value.shape == FRESH.weights[name].shape else value.T
        for name, value in whole.items()
    }
    found = measured(Network(SHAPE, {**FRESH.weights, **whole}))
    assert found["relative_entropy"] == pytest.approx(1, abs=1e-6)


def test_a_network_without_a_group_has_none_of_it_when_told_so() -> None:
    plain = Mlp(hidden=(4,), inputs=3, outputs=2).initialise(Seed(0))
    found = measured(plain, attention=(), embedding=())
    assert math.isnan(found["attention_entropy"])
    assert math.isnan(found["embedding_norm"])
    assert found["matrices"] == 2
    with pytest.raises(RunnerError, match=r"no tensor is called '\*\.qkv\.weight'"):
        measured(plain)
