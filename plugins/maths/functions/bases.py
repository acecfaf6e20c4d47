"""Coefficients of functions of one variable in orthonormal bases, by quadrature.

The domain is mapped to t in [-1, 1]. Legendre: c_k = integral f P_k sqrt(k + 1/2) dt. Chebyshev:
orthonormal for the weight 1 / sqrt(1 - t^2). Fourier: 1 / sqrt(2), then sin(pi t), cos(pi t),
sin(2 pi t), cos(2 pi t), ...
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev, legendre
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BASES = ("legendre", "chebyshev", "fourier")
FOURIER_NODES = 8  # Gauss nodes for each coefficient: two for each half wave and to spare


@lru_cache(maxsize=16)
def quadrature(basis: str, order: int) -> tuple[Floats, Floats]:
    """Return nodes t (Q,) and the matrix (order + 1, Q) that turns values there to coefficients.

    Legendre and Chebyshev take order + 1 Gauss nodes.
    """
    if basis == "chebyshev":
        t, weights = chebyshev.chebgauss(order + 1)
        values = chebyshev.chebvander(t, order) * np.sqrt(2 / np.pi)
        values[:, 0] = np.sqrt(1 / np.pi)
        return t, (values * weights[:, None]).T
    if basis == "legendre":
        t, weights = legendre.leggauss(order + 1)
        values = legendre.legvander(t, order) * np.sqrt(np.arange(order + 1) + 0.5)
        return t, (values * weights[:, None]).T
    if basis != "fourier":
        raise ValueError(f"no basis {basis!r}; there are {', '.join(BASES)}")
    t, weights = legendre.leggauss(FOURIER_NODES * (order + 1))
    wave = (np.arange(order + 1) + 1) // 2
    odd = np.arange(order + 1) % 2 == 1
    angle = np.pi * t[:, None] * wave
    values = np.where(odd, np.sin(angle), np.cos(angle))
    values[:, 0] = np.sqrt(0.5)
    return t, (values * weights[:, None]).T


def nodes(domain: tuple[float, float], basis: str, order: int) -> Floats:
    """Return the places (Q,) on a domain where a function's values give its coefficients."""
    low, high = domain
    return low + (high - low) * (quadrature(basis, order)[0] + 1) / 2


def expanded(values: Floats, basis: str, order: int) -> Floats:
    """Return the coefficients (order + 1,) of a function from its values at the nodes."""
    return quadrature(basis, order)[1] @ values


def coefficients(
    function: Callable[[Floats], Floats], domain: tuple[float, float], basis: str, order: int
) -> Floats:
    """Return the coefficients (order + 1,) of a function on a domain."""
    return expanded(function(nodes(domain, basis, order)), basis, order)
