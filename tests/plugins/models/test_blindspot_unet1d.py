"""The blind-spot denoiser: its sizes as published, and that it is blind."""

from __future__ import annotations

import copy

import pytest
import torch

from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.models.blindspot_unet1d import BlindspotUnet1d
from runner import Seed

SMALL = BlindspotShape(layers=4, width=6, kernel=5)


def count(parameters) -> int:
    return sum(p.numel() for p in parameters)


@pytest.fixture(scope="module")
def published():
    return BlindspotUnet1d().build().eval()


def test_it_has_as_many_parameters_as_published(published) -> None:
    """S1 (a): 1,889,670, of which the encoder 522,240."""
    assert count(published.parameters()) == 1_889_670
    assert count(published.encoder_parameters()) == 522_240


def test_features_of_masked_spectra_are_48_by_13(published) -> None:
    x = torch.randn(2, 2, 3481)
    with torch.no_grad():
        taps = published.taps(x, ("enc_pre_latent", "enc_last"))
    assert taps["enc_pre_latent"].shape == taps["enc_last"].shape == (2, 48, 13)
    assert BlindspotUnet1d().shape.length(3481) == 13
    with torch.no_grad():
        assert torch.equal(published.encoders[-1](taps["enc_pre_latent"]), taps["enc_last"])


def gradients(network: torch.nn.Module, x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return d output[k, j] / d x (outputs k, pixels j of `at`, channels, L), all in one pass."""
    many = x.repeat(2 * len(at), 1, 1).requires_grad_()  # in evaluation mode rows are apart
    row = torch.arange(2 * len(at))
    network(many)[row, row // len(at), at[row % len(at)]].sum().backward()
    assert many.grad is not None
    return many.grad.reshape(2, len(at), *x.shape[1:])


@pytest.mark.parametrize("pixels", [40, 41, 45, 64, 87])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_no_pixel_sees_itself(pixels: int, batch_norm: bool) -> None:
    """dy_j / dx_j = 0 for every pixel, channel and output, and all other pixels count somewhere."""
    shape = SMALL.model_copy(update={"batch_norm": batch_norm})
    network = BlindspotUnet1d(shape=shape).initialise(Seed(0)).module().double()
    x = torch.randn(1, 2, pixels, dtype=torch.float64)
    jacobian = gradients(network, x, torch.arange(pixels))
    assert jacobian.diagonal(dim1=1, dim2=3).abs().max() == 0
    seen = (jacobian.abs().sum((0, 2)) > 0).float()  # (output pixel, input pixel)
    near = [(j, i) for j in range(pixels) for i in (j - 1, j + 1) if 0 <= i < pixels]
    assert all(seen[j, i] for j, i in near)


def test_the_published_network_does_not_see_the_pixel_it_speaks_of(published) -> None:
    """At the published size in double precision, at both ends and before the coarsest cut."""
    at = torch.tensor([0, 255, 260])
    x = torch.randn(1, 2, 261, dtype=torch.float64)
    network = copy.deepcopy(published).double()
    found = gradients(network, x, at)
    own = found.gather(-1, at[None, :, None, None].expand(2, len(at), 2, 1))
    assert own.abs().max() == 0
    assert (found.abs().amax((0, 2)) > 0).sum(-1).min() > 100  # of 261: it looks far about


def test_a_pixel_sees_far_to_both_sides() -> None:
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module().double()
    x = torch.randn(1, 2, 80, dtype=torch.float64)
    seen = gradients(network, x, torch.tensor([40]))[0, 0, 0].nonzero().ravel()
    assert seen.min() < 20
    assert seen.max() > 60


def test_features_look_in_one_direction_only() -> None:
    """An early feature knows early pixels alone: pooling is shifted, convolutions look back."""
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module().double()
    x = torch.randn(1, 2, 64, dtype=torch.float64, requires_grad=True)
    network.encode(x, "enc_pre_latent")[0, :, 2].sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 2 * 8 + 1 :].abs().max() == 0


def test_features_on_the_way_are_those_of_the_encoder() -> None:
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module()
    x = torch.randn(3, 2, 50)
    output, features = network.through(x)
    assert torch.equal(output, network(x))
    for layer, found in network.taps(x, ("enc_pre_latent", "enc_last")).items():
        assert torch.allclose(features[layer], found, atol=1e-6)


def test_mean_and_variance_are_positive() -> None:
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module()
    found = network(torch.randn(3, 2, 50))
    assert found.shape == (3, 2, 50)
    assert (found > 0).all()


@pytest.mark.parametrize("batch_norm", [True, False])
def test_fresh_weights_begin_near_a_first_guess(batch_norm: bool) -> None:
    more = {"batch_norm": batch_norm, "first_guess": (0.5, 0.01)}
    network = SMALL.model_copy(update=more).build()
    with torch.no_grad():
        mean, variance = network(torch.rand(8, 2, 64)).mean((0, 2))
    assert abs(mean - 0.5) < 0.05
    assert abs(variance - 0.01) < 0.005
    assert not BlindspotShape().first_guess  # published: as they are drawn
    with pytest.raises(ValueError, match="above 0"):
        BlindspotShape(first_guess=(0.5, 0.0))


def test_flux_is_encoded_from_rows_or_channels() -> None:
    """S1.9: (B, L) or (B, 1, L), and an error where sigma is missing."""
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module()
    flux, sigma = torch.randn(2, 64), torch.rand(2, 64)
    rows = network.encode_flux(flux, sigma, "enc_last")
    assert torch.equal(rows, network.encode_flux(flux[:, None], sigma[:, None], "enc_last"))
    assert torch.equal(rows, network.encode(torch.stack([flux, sigma], 1), "enc_last"))
    with pytest.raises(ValueError, match="needs sigma"):
        network.encode_flux(flux, None, "enc_last")
    with pytest.raises(ValueError, match="no layer"):
        network.encode_flux(flux, sigma, "dec_input")
    alone = BlindspotUnet1d(shape=SMALL.model_copy(update={"sigma": False}))
    blind = alone.initialise(Seed(0)).module()
    assert blind.encode_flux(flux, None, "enc_last").shape == (2, 6, 8)
    with pytest.raises(ValueError, match="takes no sigma"):
        blind.encode_flux(flux, sigma, "enc_last")


def test_a_spectrum_that_is_too_short_says_so() -> None:
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module()
    with pytest.raises(ValueError, match="too short"):
        network(torch.randn(1, 2, 4))
