"""Cycle bias of whole networks whose weights are known."""

import numpy as np
import pytest
import torch
from scipy.linalg import circulant

from plugins.models.transformer import Transformer
from plugins.probes.cycle_bias import CycleBias
from runner.errors import RunnerError
from runner.types import Dataset, Network, Seed, Split

P, WIDTH = 31, 64
SHAPE = Transformer(layers=2, heads=2, width=WIDTH, vocabulary=P + 2, length=4, outputs=P + 2)
FRESH = SHAPE.initialise(Seed(0))
DATA = Dataset({"train": {"x": np.zeros((1, 4)), "y": np.zeros(1)}}, {"modulus": P})
SQUARES = 2 * 4


def measured(network: Network, data: Dataset | Split | None = DATA, **parameters: object):
    table = CycleBias.model_validate(parameters).run(network, data)
    assert list(table.columns) == list(CycleBias.columns)
    return {name: values[0] for name, values in table.columns.items()}


def changed(**tensors: np.ndarray) -> Network:
    names = {name.replace("__", "."): torch.as_tensor(v).float() for name, v in tensors.items()}
    return Network(SHAPE, {**FRESH.weights, **names})


def waves(order: np.ndarray) -> np.ndarray:
    """Return a table (P + 2, WIDTH) with two frequencies along an order of residues."""
    at = 2 * np.pi * np.arange(len(order))[:, None] / len(order)
    phases = np.linspace(0, 6, WIDTH)
    table = np.zeros((P + 2, WIDTH))
    table[order] = np.cos(3 * at + phases) + np.cos(5 * at - phases)
    table[P:] = 100.0  # the rows of "=" and the operation are no part of the cycle
    return table


def test_a_fresh_network_is_at_its_baselines() -> None:
    """Deviation of one score 1.4 n^-1.5 (see the maths' tests), of 8 matrices' mean 2.8 less."""
    found = measured(FRESH)
    assert found["circulant_baseline"] == 1 / WIDTH
    assert found["circulant_score"] == pytest.approx(1 / WIDTH, abs=4 * 1.4 * WIDTH**-1.5 / 8**0.5)
    assert found["embedding_ipr"] == pytest.approx(found["embedding_ipr_baseline"], rel=0.05)
    assert found["unembedding_ipr"] == pytest.approx(found["unembedding_ipr_baseline"], rel=0.05)
    assert found["frequencies"] == P // 2


def test_the_score_is_the_mean_over_queries_keys_values_and_outputs() -> None:
    ring = circulant(np.random.default_rng(0).normal(size=WIDTH))
    packed = FRESH.weights["blocks.0.qkv.weight"].double().numpy().copy()
    packed[WIDTH : 2 * WIDTH] = ring  # the keys of one layer
    found = measured(changed(blocks__0__qkv__weight=packed))
    rest = measured(FRESH)
    assert found["circulant_score"] == pytest.approx(
        rest["circulant_score"] + (1 - 1 / WIDTH) / SQUARES, abs=0.3 / WIDTH
    )
    every = {
        f"blocks__{layer}__{name}__weight": np.concatenate([ring] * count)
        for layer in (0, 1)
        for name, count in (("qkv", 3), ("out", 1))
    }
    assert measured(changed(**every))["circulant_score"] == pytest.approx(1)


def test_two_frequencies_of_the_residues_are_found_whatever_the_other_tokens_hold() -> None:
    table = waves(np.arange(P))
    found = measured(changed(token__weight=table, head__weight=table))
    for name in ("embedding", "unembedding"):
        assert found[f"{name}_top"] == pytest.approx(1)
        assert found[f"{name}_ipr"] == pytest.approx(0.5, rel=1e-3)
        assert found[f"{name}_gini"] == pytest.approx(1 - 2 / (P // 2), rel=1e-3)
    assert measured(changed(token__weight=table), top=1)["embedding_top"] == pytest.approx(
        0.5, rel=1e-2
    )


def test_a_multiplicative_cycle_needs_the_order_of_logarithms() -> None:
    powers = np.array([pow(3, k, P) for k in range(P - 1)])  # 3 is a primitive root of 31
    network = changed(token__weight=waves(powers))
    assert measured(network, order="discrete_log")["embedding_ipr"] == pytest.approx(0.5, rel=1e-3)
    assert measured(network)["embedding_ipr"] < 0.2


def test_the_modulus_is_read_off_the_data_or_given() -> None:
    assert measured(FRESH, None, modulus=P) == measured(FRESH, DATA["train"])
    with pytest.raises(RunnerError, match="the modulus is open"):
        measured(FRESH, None)
    with pytest.raises(RunnerError, match="lacks a row for each residue"):
        measured(FRESH, None, modulus=P + 3)
    with pytest.raises(RunnerError, match="33 is no prime"):
        measured(FRESH, None, modulus=P + 2, order="discrete_log")


def test_a_tensor_that_is_not_there_is_told() -> None:
    with pytest.raises(RunnerError, match=r"cycle_bias: no tensor is called 'wte'"):
        measured(FRESH, embedding="wte")
