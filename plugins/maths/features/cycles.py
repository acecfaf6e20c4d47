"""Traces of the cyclic group in weights: circulant matrices, and frequencies along the tokens.

Shapes: W (n, n); a table of tokens (p, D), one row for each residue, in the order of the cycle.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Order = Literal["natural", "discrete_log"]


def circulant_score(matrix: Floats) -> float:
    """Return the share of |F W F^-1|^2 on the diagonal, F the discrete Fourier transform.

    1 for a circulant matrix, W[i, j] = c[i - j mod n]; 1/n on average for independent entries of
    mean zero, since the circulant matrices are n of n^2 dimensions.

    Raises: ValueError unless the matrix is square and not zero.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a circulant score needs a square matrix, not one of {matrix.shape}")
    turned = np.fft.fft(np.fft.ifft(matrix, axis=1), axis=0)
    energy = np.abs(turned) ** 2
    if not energy.sum() > 0:
        raise ValueError("a matrix of zeros has no circulant score")
    return float(np.trace(energy) / energy.sum())


def frequency_energies(table: Floats) -> Floats:
    """Return the energy of a table (p, D) at each frequency 1 .. p // 2 along its rows.

    Sine and cosine of one frequency count together, columns are summed; the mean over rows,
    frequency 0, is no part of any cycle and left out. They sum to p |table - its mean row|^2.
    """
    energies = (np.abs(np.fft.rfft(table, axis=0)) ** 2).sum(1)[1:]
    return energies * _parts(len(table))


def _parts(length: int) -> Floats:
    """Return the real dimensions of each frequency: 2, but 1 for the highest of an even length."""
    parts = np.full(length // 2, 2.0)
    if length % 2 == 0:
        parts[-1] = 1.0
    return parts


class Concentration(NamedTuple):
    """How few frequencies hold the energy: all three are 1 (Gini: nearly) when it is one."""

    top: float  # share of the `count` largest
    gini: float
    ipr: float  # inverse participation ratio, sum of squared shares; 1/K when all are equal


def concentration(energies: Floats, count: int = 5) -> Concentration:
    """Return how concentrated energies (K,) are.

    Raises: ValueError when there is no energy.
    """
    total = energies.sum()
    if not total > 0:
        raise ValueError("a table whose rows are all equal has no frequency to concentrate on")
    shares = np.sort(energies / total)
    return Concentration(float(shares[-count:].sum()), gini(shares), float((shares**2).sum()))


def gini(values: Floats) -> float:
    """Return the Gini coefficient of values >= 0: 0 when all are equal, (n - 1) / n when one is."""
    ranked = np.sort(values)
    ranks = np.arange(1, len(ranked) + 1)
    return float((2 * ranks - len(ranked) - 1) @ ranked / (len(ranked) * ranked.sum()))


def random_ipr(length: int, width: int) -> float:
    """Return the mean IPR of a table (length, width) of independent normal entries, exactly.

    Energies are then gamma distributed with shape width / 2 for each real dimension, their shares
    Dirichlet: E[sum q^2] = sum a (a + 1) / (A (A + 1)).
    """
    shapes = _parts(length) * width / 2
    return float((shapes * (shapes + 1)).sum() / (shapes.sum() * (shapes.sum() + 1)))


def cyclic_order(modulus: int, order: Order) -> NDArray[np.int64]:
    """Return the residues in the order of the cycle that an operation turns.

    natural: 0, 1, .. p - 1, turned by addition. discrete_log: g^0, g^1, .. g^(p - 2) for the least
    primitive root g of a prime p, turned by multiplication, which adds logarithms modulo p - 1;
    0 has no logarithm and is left out.

    Raises: ValueError for a discrete_log of a modulus that is no prime.
    """
    if order == "natural":
        return np.arange(modulus)
    root = primitive_root(modulus)
    return np.array([pow(root, power, modulus) for power in range(modulus - 1)])


def primitive_root(prime: int) -> int:
    """Return the least g whose powers are all residues but 0.

    Raises: ValueError when the number is not prime.
    """
    if not is_prime(prime):
        raise ValueError(f"{prime} is no prime: not all of its residues are powers of one")
    rest = prime - 1
    factors = [d for d in range(2, rest + 1) if rest % d == 0 and is_prime(d)]
    return next(g for g in range(1, prime) if all(pow(g, rest // f, prime) != 1 for f in factors))


def is_prime(number: int) -> bool:
    """Return whether a number has no divisor but 1 and itself."""
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))
