"""The linear model."""

import numpy as np
import pytest
import torch

from plugins.models.linear import Linear
from runner.errors import RunnerError
from runner.types import Dataset, Seed

DATA = Dataset({"train": {"x": np.zeros((1, 1, 4, 4))}}, {"inputs": 16, "classes": 3})


def test_it_is_an_affine_map_of_the_flattened_row() -> None:
    network = Linear().shaped_for(DATA).initialise(Seed(0))
    x = torch.randn(5, 1, 4, 4)
    weight, bias = network.weights["layers.0.weight"], network.weights["layers.0.bias"]
    torch.testing.assert_close(network.module()(x), x.flatten(1) @ weight.T + bias)


def test_it_can_do_without_a_bias() -> None:
    network = Linear(inputs=16, outputs=3, bias=False).initialise(Seed(0))
    assert {name: tuple(v.shape) for name, v in network.weights.items()} == {
        "layers.0.weight": (3, 16)
    }


def test_a_size_that_nobody_knows_is_told_of() -> None:
    with pytest.raises(RunnerError, match="outputs is open"):
        Linear(inputs=3).shaped_for(Dataset({}, {}))
