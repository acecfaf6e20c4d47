"""An encoder with a head: what is frozen stays, what is not trains."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.maths.networks.head_shape import HeadShape
from plugins.models.blindspot_unet1d import BlindspotUnet1d
from plugins.models.encoder_head import EncoderHead
from plugins.models.probe_head import ProbeHead
from runner import Dataset, RunnerError, Seed

SHAPE = BlindspotShape(layers=3, width=4, kernel=3)
ENCODER = BlindspotUnet1d(shape=SHAPE).initialise(Seed(1))
DATA = Dataset({}, {"kept": 40})


def made(**more):
    design = EncoderHead(head=HeadShape(kind="mlp_1", hidden=8, dropout=0.0), **more)
    return design.run(ENCODER, Seed(0), DATA)


def stepped(network, steps: int = 3):
    """Return the module after some training steps, in training mode throughout."""
    torch.manual_seed(0)
    module = network.module().train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(steps):
        loss = (module(torch.randn(6, 2, 40)) - 3).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module


def test_it_starts_from_the_encoder_with_a_head_drawn_from_the_seed() -> None:
    network = made()
    for name, value in ENCODER.weights.items():
        assert torch.equal(network.weights[f"encoder.{name}"], value)
    again, other = made(), EncoderHead(head=HeadShape(hidden=8)).run(ENCODER, Seed(1), DATA)
    assert torch.equal(
        again.weights["head.layers.0.weight"], network.weights["head.layers.0.weight"]
    )
    assert not torch.equal(
        other.weights["head.layers.0.weight"], network.weights["head.layers.0.weight"]
    )
    assert network.architecture.encoder == SHAPE
    assert network.architecture.pixels == 40


def test_frozen_weights_and_buffers_stay_to_the_bit() -> None:
    module = stepped(made(freeze=True))
    for name, value in module.encoder.state_dict().items():
        assert torch.equal(value, ENCODER.weights[name]), name
    assert not module.encoder.training
    assert module.head.training
    assert not any(p.requires_grad for p in module.encoder.parameters())


def test_an_encoder_that_is_trained_on_changes_with_its_buffers() -> None:
    module = stepped(made(freeze=False))
    changed = {
        name
        for name, value in module.encoder.state_dict().items()
        if not torch.equal(value, ENCODER.weights[name])
    }
    assert any(name.endswith("conv.weight") for name in changed)
    assert any(name.endswith("running_mean") for name in changed)
    assert not any(name.startswith(("joins", "decoders", "head")) for name in changed)


def test_its_output_is_the_head_on_the_encoders_features() -> None:
    network = made()
    module, x = network.module(), torch.randn(3, 2, 40)
    features = ENCODER.module().encode(x, "enc_pre_latent")
    assert torch.allclose(module(x), module.head(features))


def test_it_survives_being_written_as_parameters() -> None:
    design = made().architecture
    again = EncoderHead.model_validate_json(design.model_dump_json(), strict=True)
    assert again == design
    assert again.build() is not None


def test_another_network_or_too_few_positions_are_refused() -> None:
    head = ProbeHead(channels=2, positions=1, outputs=1).initialise(Seed(0))
    with pytest.raises(RunnerError, match="blindspot_unet1d, not of ProbeHead"):
        EncoderHead().run(head, Seed(0), DATA)
    with pytest.raises(RunnerError, match="5 positions cannot be cut into 8"):
        EncoderHead().run(ENCODER, Seed(0), Dataset({}, {"kept": 20}))
