"""Tensors chosen by name, cut into squares, and the entropy of their singular values."""

import numpy as np
import pytest

from plugins.maths.features import tensors
from plugins.models.transformer import Transformer
from runner.types import Network, Seed

NETWORK = Transformer(layers=2, heads=2, width=8, vocabulary=5, length=3, outputs=5).initialise(
    Seed(0)
)


def test_queries_keys_and_values_are_three_squares() -> None:
    found = dict(tensors.squares(NETWORK, ["*.qkv.weight", "*.out.weight"]))
    assert len(found) == 2 * 4
    packed = NETWORK.weights["blocks.1.qkv.weight"].double().numpy()
    assert np.array_equal(found["blocks.1.qkv.weight[2]"], packed[16:24])
    assert all(part.shape == (8, 8) for part in found.values())


def test_what_is_not_made_of_squares_or_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="is not made of square matrices"):
        list(tensors.squares(NETWORK, ["*.down.weight"]))
    with pytest.raises(ValueError, match=r"no tensor is called '\*\.query'; there are"):
        tensors.chosen(NETWORK, ["*.query"])
    broken = {**NETWORK.weights, "head.weight": NETWORK.weights["head.weight"] * np.nan}
    with pytest.raises(ValueError, match=r"'head\.weight' is not finite"):
        tensors.chosen(Network(NETWORK.architecture, broken), ["head.*"])


def test_the_entropy_goes_from_none_for_rank_one_to_the_logarithm_of_the_side() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    assert tensors.spectral_entropy(np.outer(np.arange(4.0), np.ones(3))) == pytest.approx(0)
    assert tensors.spectral_entropy(3 * turn[:4]) == pytest.approx(np.log(4))
    singular = np.sqrt([0.5, 0.25, 0.25])
    matrix = turn[:, :3] * singular @ turn[:3, :3].T
    _, s, _ = np.linalg.svd(matrix)
    shares = s**2 / (s**2).sum()
    assert tensors.spectral_entropy(matrix) == pytest.approx(-(shares * np.log(shares)).sum())
    assert np.isnan(tensors.spectral_entropy(np.zeros((2, 2))))
