"""Eigenpairs by the block method, against dense decompositions."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.curvature.lobpcg import lobpcg
from plugins.maths.curvature.operators import Curvature
from plugins.maths.curvature.pairs import Wish, chosen


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest", "both"])
def test_pairs_equal_the_dense_decomposition(small, which: str) -> None:
    values, vectors = torch.linalg.eigh(small.hessian())
    best = chosen(values, which, 4)
    operator = Curvature(small.module, small.x, small.y)
    found = lobpcg(operator, Wish(4, which, 1e-7, 2000), generator())
    assert found.converged.all()
    torch.testing.assert_close(found.values, values[best], rtol=0, atol=1e-6)
    cosines = (found.vectors * vectors.T[best]).sum(1).abs()
    torch.testing.assert_close(cosines, torch.ones(4).double(), rtol=0, atol=1e-6)
    assert found.products == operator.products


def test_what_has_not_converged_is_marked_and_residuals_are_true(with_spectrum) -> None:
    values = torch.cat([torch.tensor([9.0, -8.0, 7.0]), torch.linspace(-1, 1, 97)]).double()
    operator = with_spectrum(values)
    found = lobpcg(operator, Wish(6, tolerance=1e-6, most=60), generator())
    assert found.products <= 60
    assert not found.converged.all()
    left = operator(found.vectors) - found.values[:, None] * found.vectors
    torch.testing.assert_close(found.residuals, left.norm(dim=1) / found.values.abs())


def test_near_vectors_save_products(with_spectrum) -> None:
    values = torch.cat([torch.tensor([9.0, -8.0, 7.0]), torch.linspace(-1, 1, 97)]).double()
    operator = with_spectrum(values)
    cold = lobpcg(operator, Wish(3), generator())
    warm = lobpcg(operator, Wish(3), generator(), known=cold.vectors)
    assert warm.products < cold.products


def test_a_block_wider_than_the_matrix_ends(as_operator) -> None:
    found = lobpcg(as_operator(torch.arange(1.0, 5.0).double().diag()), Wish(4), generator())
    torch.testing.assert_close(found.values, torch.tensor([4.0, 3.0, 2.0, 1.0]).double())


def test_too_few_products_are_told_of(as_operator) -> None:
    with pytest.raises(ValueError, match="allow more products"):
        lobpcg(as_operator(torch.eye(20)), Wish(5, most=6), generator())
