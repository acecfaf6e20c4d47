"""PyHessian as a check on our own pairs."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.curvature.lanczos import lanczos
from plugins.maths.curvature.operators import Curvature
from plugins.maths.curvature.pairs import Wish
from plugins.maths.curvature.power import power_iteration
from runner.types import Seed


@pytest.fixture
def single(small):
    small.module.float()
    small.x = small.x.float()
    return small


def test_pyhessian_and_ours_agree_on_the_largest(single) -> None:
    operator = Curvature(single.module, single.x, single.y, chunk=7)
    ours = lanczos(operator, Wish(2, tolerance=1e-4), torch.Generator().manual_seed(0))
    theirs = power_iteration(operator, single.module, Wish(2, tolerance=1e-6, most=800), Seed(0))
    torch.testing.assert_close(theirs.values, ours.values, rtol=1e-3, atol=0)
    cosines = (theirs.vectors * ours.vectors).sum(1).abs()
    assert float(cosines.min()) > 0.99


def test_its_pairs_are_judged_by_true_residuals(single) -> None:
    operator = Curvature(single.module, single.x, single.y)
    found = power_iteration(operator, single.module, Wish(6, tolerance=1e-3, most=600), Seed(0))
    left = operator(found.vectors) - found.values.float()[:, None] * found.vectors
    true = left.double().norm(dim=1) / found.values.abs()
    torch.testing.assert_close(found.residuals, true, rtol=1e-2, atol=1e-5)
    assert torch.equal(found.converged, found.residuals <= 1e-3)
    # it stops where two values agree to 1e-3, long before the vectors stand still
    assert not found.converged.all()
    assert found.products <= 600


def test_global_generators_are_left_alone(single) -> None:
    operator = Curvature(single.module, single.x, single.y)
    state = torch.get_rng_state()
    one, other = (
        power_iteration(operator, single.module, Wish(1, most=50), Seed(3)) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.vectors, other.vectors)


def test_too_few_products_are_told_of(single) -> None:
    operator = Curvature(single.module, single.x, single.y)
    with pytest.raises(ValueError, match="too few for 6 power iterations"):
        power_iteration(operator, single.module, Wish(6, most=12), Seed(0))
