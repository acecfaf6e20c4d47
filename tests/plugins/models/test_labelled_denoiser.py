"""A denoiser with a head for labels: what it holds, and who takes it for a denoiser."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.models.blindspot_unet1d import BlindspotUnet1d
from plugins.models.encoder_head import EncoderHead
from plugins.models.labelled_denoiser import LabelledDenoiser
from plugins.perturbations.encode import Encode
from runner import Circumstance, Dataset, Network, RunnerError, Seed

SHAPE = BlindspotShape(layers=3, width=4, kernel=3)
DATA = Dataset({}, {"kept": 40})
NETWORK = LabelledDenoiser(shape=SHAPE, outputs=2).shaped_for(DATA).initialise(Seed(0))


def plain() -> Network:
    own = {k: v for k, v in NETWORK.weights.items() if k.startswith("encoder.")}
    weights = {name.removeprefix("encoder."): value for name, value in own.items()}
    return Network(BlindspotUnet1d(shape=SHAPE), weights)


def test_it_gives_what_the_denoiser_gives_and_labels() -> None:
    x = torch.rand(5, 2, 40)
    spectra, labels = NETWORK.module()(x)
    assert torch.equal(spectra, plain().module()(x))
    assert labels.shape == (5, 2)


def test_labels_are_read_off_the_layer_that_heads_read() -> None:
    module, x = NETWORK.module(), torch.rand(5, 2, 40)
    wanted = module.head(module.encoder.encode(x, "enc_pre_latent"))
    assert torch.allclose(module(x)[1], wanted, atol=1e-6)


def test_others_take_it_for_its_denoiser() -> None:
    draw = torch.Generator().manual_seed(0)
    flux, error = (torch.rand(6, 40, generator=draw).numpy() for _ in range(2))
    stars = Dataset({"test": {"flux": flux, "error": error}}, {"kept": 40})
    mine, its = (
        Encode().run(network, stars, Seed(0), Circumstance())["test"]["enc_last"]
        for network in (NETWORK, plain())
    )
    assert (mine == its).all()
    first, second = (EncoderHead().run(one, Seed(0), DATA) for one in (NETWORK, plain()))
    assert first.architecture == second.architecture
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
    assert first.weights.keys() == second.weights.keys()


def test_open_pixels_and_short_layers_are_errors() -> None:
    with pytest.raises(RunnerError, match="pixels open"):
        LabelledDenoiser(shape=SHAPE).build()
    with pytest.raises(RunnerError, match="cannot be cut into 8 segments"):
        LabelledDenoiser(shape=SHAPE, pixels=20).build()
