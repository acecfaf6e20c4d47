"""Coefficients in orthonormal bases: closed forms, and Parseval's identity."""

import numpy as np
import pytest
from scipy.special import jv, spherical_jn

from plugins.maths.functions.bases import BASES, coefficients, quadrature

DOMAIN = (-2 * np.pi, 2 * np.pi)


def test_legendre_coefficients_of_sine_are_spherical_bessel_functions() -> None:
    """The integral of sin(a t) P_k over [-1, 1] is 2 (-1)^((k-1)/2) j_k(a) for odd k, else 0."""
    found = coefficients(np.sin, DOMAIN, "legendre", 100)
    k = np.arange(101)
    wanted = 2 * spherical_jn(k, 2 * np.pi) * np.sqrt(k + 0.5) * (k % 2)
    wanted *= np.where(k % 4 == 3, -1, 1)
    assert found.shape == (101,)
    assert np.allclose(found, wanted, atol=1e-13)
    assert np.abs(found[40:]).max() < 1e-12


def test_chebyshev_coefficients_of_sine_are_bessel_functions() -> None:
    """Jacobi and Anger: sin(a t) = 2 sum (-1)^n J_(2n+1)(a) T_(2n+1)(t)."""
    found = coefficients(np.sin, DOMAIN, "chebyshev", 60)
    k = np.arange(61)
    wanted = 2 * jv(k, 2 * np.pi) * (k % 2) * np.where(k % 4 == 3, -1, 1) * np.sqrt(np.pi / 2)
    assert np.allclose(found, wanted, atol=1e-13)


def test_a_sine_of_two_periods_is_one_fourier_coefficient() -> None:
    """sin(x) on [-2 pi, 2 pi] is sin(2 pi t): the third function after the constant."""
    found = coefficients(np.sin, DOMAIN, "fourier", 20)
    wanted = np.zeros(21)
    wanted[3] = 1
    assert np.allclose(found, wanted, atol=1e-12)
    constant = coefficients(np.ones_like, DOMAIN, "fourier", 4)
    assert np.allclose(constant, [np.sqrt(2), 0, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("basis", ["legendre", "fourier"])
def test_squares_of_coefficients_add_up_to_the_norm(basis: str) -> None:
    def bump(x: np.ndarray) -> np.ndarray:
        return np.exp(-(x**2)) + 0.3 * np.exp(-((x - 1) ** 2))

    found = coefficients(bump, DOMAIN, basis, 120)
    x = np.linspace(*DOMAIN, 20_001)
    norm = np.trapezoid(bump(x) ** 2, x) / (2 * np.pi)  # dt = dx / (2 pi)
    assert np.isclose((found**2).sum(), norm, rtol=1e-9)


@pytest.mark.parametrize("basis", BASES)
def test_a_basis_is_orthonormal(basis: str) -> None:
    """The coefficients of a basis function are a unit vector."""
    polynomial = np.polynomial
    values = {"legendre": polynomial.legendre.legval, "chebyshev": polynomial.chebyshev.chebval}
    if basis in values:
        unit = np.zeros(6)
        unit[5] = np.sqrt(5.5) if basis == "legendre" else np.sqrt(2 / np.pi)
        found = coefficients(lambda x: values[basis](x, unit), (-1.0, 1.0), basis, 12)
    else:
        found = coefficients(lambda x: np.sin(3 * np.pi * x), (-1.0, 1.0), basis, 12)
    assert np.allclose(found, np.eye(13)[5], atol=1e-12)


def test_an_unknown_basis_is_told() -> None:
    with pytest.raises(ValueError, match="legendre, chebyshev, fourier"):
        quadrature("wavelet", 3)
