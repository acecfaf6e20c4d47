"""The blind-spot denoiser: its sizes as published, and that it is blind."""

from __future__ import annotations

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


@pytest.mark.parametrize("pixels", [40, 41, 45, 64, 87])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_no_pixel_sees_itself(pixels: int, batch_norm: bool) -> None:
    """dy_j / dx_j = 0 for every pixel, channel and output, and all other pixels count somewhere."""
    shape = SMALL.model_copy(update={"batch_norm": batch_norm})
    network = BlindspotUnet1d(shape=shape).initialise(Seed(0)).module().double()
    x = torch.randn(1, 2, pixels, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(network, x)[0, :, :, 0]  # (2, L, 2, L)
    assert jacobian.diagonal(dim1=1, dim2=3).abs().max() == 0
    seen = (jacobian.abs().sum((0, 2)) > 0).float()  # (output pixel, input pixel)
    near = [(j, i) for j in range(pixels) for i in (j - 1, j + 1) if 0 <= i < pixels]
    assert all(seen[j, i] for j, i in near)


def test_a_pixel_sees_far_to_both_sides() -> None:
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module().double()
    x = torch.randn(1, 2, 80, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(network, x)[0, 0, 40, 0, 0]
    seen = (jacobian.abs() > 0).nonzero().ravel()
    assert seen.min() < 20
    assert seen.max() > 60


def test_features_look_in_one_direction_only() -> None:
    """An early feature knows early pixels alone: pooling is shifted, convolutions look back."""
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module().double()
    x = torch.randn(1, 2, 64, dtype=torch.float64, requires_grad=True)
    network.encode(x, "enc_pre_latent")[0, :, 2].sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 2 * 8 + 1 :].abs().max() == 0


def test_mean_and_variance_are_positive() -> None:
    network = BlindspotUnet1d(shape=SMALL).initialise(Seed(0)).module()
    found = network(torch.randn(3, 2, 50))
    assert found.shape == (3, 2, 50)
    assert (found > 0).all()


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
