import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from plugins.maths.sampling.local_posterior import _Field, matrix_product, monomials, quadratic
from runner.types import Seed

N_BETA = 1000 / math.log(1000)


@pytest.mark.parametrize(
    ("powers", "value"),
    [
        ([[2]], 0.2431),
        ([[3]], 0.1569),
        ([[1, 1]], 0.3614),
        ([[1, 2]], 0.2095),
        ([[1, 0], [0, 2]], 0.7414),
    ],
)
def test_monomials_at_n_1000_are_the_reference_values(powers, value):
    """Values that the study was given, to the digits stated: K itself, not half of it."""
    found = monomials(powers, [1.0] * len(powers[0]), N_BETA).value
    assert found == pytest.approx(value, abs=6e-5)
    finer = monomials(powers, [1.0] * len(powers[0]), N_BETA, points=2200).value
    assert finer == pytest.approx(found, rel=1e-9)


def test_multiplicity_two_nears_one_half_like_one_over_log_n():
    found = [monomials([[1, 1]], [1.0, 1.0], n / math.log(n)).value for n in (1e3, 1e4, 1e6)]
    assert found == pytest.approx([0.361, 0.391, 0.425], abs=6e-4)


def test_a_square_monomial_is_a_quadratic_form():
    one = quadratic(np.array([[2.0]]), np.array([3.0]), 10.0).value
    assert monomials([[1]], [3.0], 10.0).value == pytest.approx(one, rel=1e-10)
    with pytest.raises(ValueError, match="one or two weights"):
        monomials([[1, 1, 1]], [1.0] * 3, 10.0)


def test_a_quadratic_form_with_a_step_is_the_chain_iterated_to_equilibrium():
    generator = np.random.default_rng(0)
    root = generator.standard_normal((4, 3))
    hessian, stiffness = root @ root.T, generator.random(4) + 0.5
    metric, n_beta, step = generator.random(4) + 0.1, 20.0, 0.02
    curved = n_beta * hessian + np.diag(stiffness)
    forth = np.eye(4) - step / 2 * metric[:, None] * curved
    covariance = np.zeros((4, 4))
    for _ in range(5000):
        covariance = forth @ covariance @ forth.T + step * np.diag(metric)
    expected = n_beta / 2 * np.trace(hessian @ covariance)
    assert quadratic(hessian, stiffness, n_beta, step, metric).value == pytest.approx(expected)
    exact = n_beta / 2 * np.trace(hessian @ np.linalg.inv(curved))
    assert quadratic(hessian, stiffness, n_beta).value == pytest.approx(exact)
    with pytest.raises(ValueError, match="diverges"):
        quadratic(hessian, stiffness, n_beta, 100.0)


def test_the_slope_is_that_of_the_energy():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (4, 2), (2, 5)]
    layers = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    root = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    field = _Field(layers, root.mT @ root, [1.0, 2.0, 0.5], 7.0)
    state = [layer.requires_grad_() for layer in field.start(2, generator)]
    expected = torch.autograd.grad(field.energy(state).sum(), state)
    for found, one in zip(field.slope([layer.detach() for layer in state]), expected, strict=True):
        torch.testing.assert_close(found, one, rtol=1e-12, atol=1e-12)


def rank_zero(inputs: int, hidden: int, outputs: int, points: int) -> float:
    """Two layers, no signal, S = 1, gamma = 1: an integral over `hidden` eigenvalues.

    Given the first layer the second is Gaussian; its determinant depends on the eigenvalues of
    W_1' W_1 alone, whose law is that of a Wishart matrix. The trapezium rule in their logarithms.
    """
    size = np.exp(np.linspace(np.log(1e-7), np.log(90.0), points))
    law = size ** ((inputs - hidden - 1) / 2) * np.exp(-size / 2)
    law = law * (1 + N_BETA * size) ** (-outputs / 2) * size
    excess = outputs / 2 * N_BETA * size / (N_BETA * size + 1)
    gap = np.abs(size[:, None] - size)
    weight, value = gap * np.outer(law, law), excess[:, None] + excess
    if hidden == 3:
        both = gap[:, None, :] * gap[None, :, :] * law
        weight, value = weight[..., None] * both, value[..., None] + excess
    return float((weight * value).sum() / weight.sum())


@pytest.mark.parametrize(("widths", "points"), [((4, 2, 3), 600), ((5, 3, 5), 120)])
def test_hamiltonian_chains_find_the_value_of_an_integral_over_eigenvalues(widths, points):
    """5-3-5 is 6.038; a reference made by Langevin chains of a finite step was 6.12."""
    exact = rank_zero(*widths, points)
    assert rank_zero(*widths, points // 2) == pytest.approx(exact, rel=1e-3)
    layers = [torch.zeros(a, b) for a, b in pairwise(widths)]
    moments = torch.eye(widths[0], dtype=torch.float64)
    found = matrix_product(
        layers, moments, [1.0, 1.0], N_BETA, Seed(0), chains=200, warm_up=60, draws=60
    )
    assert found.error < 0.01 * exact
    assert found.value == pytest.approx(exact, abs=4 * found.error)
    assert found.value == pytest.approx(exact, rel=0.02)
    assert found.rhat < 1.05
    assert 0.7 < found.accepted < 1.0
    if widths == (5, 3, 5):
        assert exact == pytest.approx(6.038, abs=1e-3)


def test_hamiltonian_chains_of_one_layer_find_the_closed_form():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    moments = x.mT @ x / 40
    layer = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    found = matrix_product([layer], moments, [2.0], 30.0, Seed(0), chains=100, warm_up=50, draws=80)
    exact = 2 * quadratic(moments.numpy(), np.full(5, 2.0), 30.0).value
    assert found.error < 0.01 * exact
    assert found.value == pytest.approx(exact, abs=4 * found.error)
