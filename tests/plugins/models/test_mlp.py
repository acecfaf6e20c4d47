"""Fully connected networks: their function, their sizes, and beta as part of the state."""

import numpy as np
import pytest
import torch
from torch import nn

from plugins.data.function_1d import Function1d
from plugins.maths.networks.perceptron import PLAIN, Softplus
from plugins.models.mlp import Mlp
from runner import Dataset, RunnerError, Seed


@pytest.mark.parametrize("beta", [0.5, 1.0, 16.0])
def test_softplus_and_its_slope_are_those_of_torch(beta: float) -> None:
    x = torch.linspace(-60, 60, 4001, dtype=torch.float64, requires_grad=True)
    ours = Softplus(beta).double()(x)
    theirs = nn.Softplus(beta)(x)
    assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    slopes = (torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in (ours, theirs))
    # each divides by beta at another place, and both switch to x at beta x = 20
    assert torch.allclose(*slopes, rtol=1e-12, atol=1e-8)


def test_softplus_tends_to_relu() -> None:
    x = torch.linspace(-3, 3, 101)
    assert (Softplus(1000.0)(x) - x.relu()).abs().max() < 1e-3
    assert (Softplus(1.0)(x) - x.relu()).abs().max() > 0.5


@pytest.mark.parametrize("activation", ["softplus", *PLAIN])
def test_every_activation_gives_one_output_a_row(activation: str) -> None:
    net = Mlp(activation=activation, hidden=(5, 4), inputs=3, outputs=2)
    assert net.initialise(Seed(0)).module()(torch.randn(7, 3)).shape == (7, 2)


def test_the_study_s_network_has_301_parameters_and_sizes_read_off_the_data() -> None:
    net = Mlp(beta=4.0).shaped_for(Function1d().run(Seed(0)))
    assert (net.inputs, net.outputs) == (1, 1)
    assert sum(p.numel() for p in net.build().parameters()) == 301


def test_pictures_are_flattened_and_classes_counted() -> None:
    data = Dataset({"train": {"x": np.zeros((4, 2, 3))}}, {"inputs": 6, "classes": 10})
    assert Mlp().shaped_for(data).initialise(Seed(0)).module()(torch.zeros(4, 2, 3)).shape == (
        4,
        10,
    )


def test_draws_depend_on_the_seed_and_not_on_beta() -> None:
    one, other = (Mlp(beta=b, inputs=1, outputs=1).initialise(Seed(5)).weights for b in (1.0, 8.0))
    assert one["activation.beta"] == 1
    assert other["activation.beta"] == 8
    assert all(torch.equal(one[n], other[n]) for n in one if n != "activation.beta")


def test_open_sizes_and_senseless_parameters_are_refused() -> None:
    with pytest.raises(RunnerError, match="does not state 'inputs'"):
        Mlp().shaped_for(Dataset({"train": {}}, {}))
    with pytest.raises(RunnerError, match="shaped_for"):
        Mlp(inputs=2).build()
    assert "no meaning for relu" in str(Mlp(activation="relu", beta=2.0).check_parameters())
    assert "at least 1" in str(Mlp(hidden=(3, 0)).check_parameters())
