"""The factorised sum against logarithms of sums taken plainly, however large the logits."""

from typing import Any

import pytest
import torch

from plugins.maths.landscape.factorised import Factorised

ALPHAS, BETAS = [-1.0, -0.4, 0.0, 0.7], [-0.5, 0.0, 1.0]


def logits(scale: float, rows: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(rows, 5, generator=generator) for _ in range(3)]


def exactly(parts: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
    z, zd, ze = (part.double() for part in parts)
    a, b = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (ALPHAS, BETAS))
    found = z[:, None, None] + (a * zd[:, None])[:, :, None] + (b * ze[:, None])[:, None]
    return (
        found.logsumexp(3)
        - found.gather(3, y[:, None, None, None].expand(*found.shape[:3], 1))[..., 0]
    )


# 1: plain; 8: beyond products of four; 60: beyond single precision; 2000: beyond double
@pytest.mark.parametrize("scale", [1.0, 8.0, 60.0, 2000.0])
def test_logits_however_large_neither_overflow_nor_vanish(scale: float) -> None:
    parts, y = logits(scale), torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    wanted = exactly(parts, y)
    way: Any = Factorised(*parts)
    each = way.losses(y, ALPHAS, BETAS, each=True)
    torch.testing.assert_close(each, wanted, rtol=1e-9, atol=1e-9)
    total = way.losses(y, ALPHAS, BETAS, each=False)
    torch.testing.assert_close(total, wanted.sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 7, 8])
def test_any_number_of_rows_is_summed(rows: int) -> None:
    parts, y = logits(1.0, rows), torch.arange(rows) % 5
    total = Factorised(*parts).losses(y, ALPHAS, BETAS, each=False)
    torch.testing.assert_close(total, exactly(parts, y).sum(0), rtol=1e-5, atol=1e-5)


def test_the_centre_of_a_confident_network_is_not_rounded_away() -> None:
    """A loss of e^-12 beside logits of 40: differences to the label's logit keep it."""
    z = torch.tensor([[52.0, 40.0, 0.0, 0.0, 0.0]])
    flat = torch.zeros(1, 5)
    found = Factorised(z, flat, flat).losses(torch.tensor([0]), [0.0], [0.0], each=True)
    assert found.item() == pytest.approx(6.1442e-06, rel=1e-4)
