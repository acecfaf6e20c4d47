"""The quadratic form of squared losses against residuals squared at each point."""

import pytest
import torch

from plugins.maths.landscape.quadratic import Quadratic

ALPHAS, BETAS = [-1.0, -0.4, 0.0, 0.7], [-0.5, 0.0, 1.0]
GENERATOR = torch.Generator().manual_seed(0)
PARTS = [torch.randn(7, 3, generator=GENERATOR) for _ in range(3)]
Y = torch.randn(7, 3, generator=GENERATOR)


@pytest.mark.parametrize("each", [True, False])
def test_the_grid_is_that_of_residuals_at_each_point(each: bool) -> None:
    z, zd, ze = (part.double() for part in PARTS)
    wanted = torch.stack(
        [torch.stack([(z + a * zd + b * ze - Y).square().mean(1) for b in BETAS], 1)
         for a in ALPHAS], 1
    )  # fmt: skip
    found = Quadratic(*PARTS).losses(Y, ALPHAS, BETAS, each=each)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, wanted if each else wanted.sum(0), rtol=1e-12, atol=1e-12)


def test_a_perfect_fit_is_not_drowned_by_long_directions() -> None:
    """Terms of 1e8 must cancel where the line leads back: 1 along the first is -1 of the second."""
    long = 1e4 * PARTS[1]
    found = Quadratic(Y, long, -long).losses(Y, [0.0, 1.0], [0.0, 1.0], each=True)
    assert found[:, 1, 1].max() < 1e-6
    assert found.min() >= 0.0


def test_one_output_a_row_fits_targets_without_an_axis() -> None:
    parts = [part[:, :1] for part in PARTS]
    found = Quadratic(*parts).losses(Y[:, 0], [0.0], [0.0], each=True)
    wanted = (parts[0][:, 0] - Y[:, 0]).double().square()
    torch.testing.assert_close(found[:, 0, 0], wanted)
