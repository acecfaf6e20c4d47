"""Learning coefficients lambda and their multiplicities by formula: exact, no data, no sampling.

lambda and m are those of the integral of exp(-n K(w)), which falls like (log n)^(m - 1) / n^lambda.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple


class Coefficient(NamedTuple):
    """A learning coefficient and its multiplicity."""

    value: Fraction
    multiplicity: int


def monomials(powers: Sequence[Sequence[int]]) -> Coefficient:
    """Return those of K = sum_o prod_j w_j^(2 k_oj) at the origin, for k = `powers`.

    One monomial has lambda = min_j 1 / (2 k_j), m the number of j that attain it. Monomials that
    share no variable add: lambda the sum, m - 1 the sum of m - 1. A weight in no monomial counts
    for nothing.

    Raises: ValueError when two monomials share a variable, or one is constant.
    Source: Watanabe 2009, section 2.4 and remark 7.3; sums as in llc of independent parts.
    """
    value, multiplicity = Fraction(0), 1
    if any(sum(row[at] > 0 for row in powers) > 1 for at in range(len(powers[0]))):
        raise ValueError(f"powers {list(powers)}: monomials that share a variable do not add")
    for row in powers:
        if not any(row):
            raise ValueError(f"powers {list(row)}: a constant is no zero")
        most = max(row)
        value += Fraction(1, 2 * most)
        multiplicity += sum(power == most for power in row) - 1
    return Coefficient(value, multiplicity)


def reduced_rank(inputs: int, hidden: int, outputs: int, rank: int) -> Fraction:
    """Return lambda of reduced-rank regression with a true map of rank `rank`.

    Source: Aoyagi and Watanabe, Neural Networks 18 (2005) 924-933, main theorem.
    """
    m, h, n, r = inputs, hidden, outputs, rank
    if n + r > m + h:
        return Fraction(m * h - h * r + n * r, 2)
    if m + r > n + h:
        return Fraction(n * h - h * r + m * r, 2)
    if h + r > m + n:
        return Fraction(m * n, 2)
    whole = -((h + r) ** 2) - m**2 - n**2 + 2 * (h + r) * (m + n) + 2 * m * n
    return Fraction(whole + (m + h + n + r) % 2, 8)


def deep_linear(widths: Sequence[int], rank: int) -> Coefficient:
    """Return those of a product of matrices of these widths with a true map of rank `rank`.

    The value is that of the most singular minimum, where all excess units are zero.

    Raises: ValueError when the rank is above a width.
    Source: Aoyagi, Consideration on the learning efficiency of multiple-layered neural networks
            with linear units, Neural Networks 172 (2024), main theorem.
    """
    if not 0 <= rank <= min(widths):
        raise ValueError(f"rank {rank} does not fit widths {list(widths)}")
    excess = sorted(width - rank for width in widths)
    chosen = _bottleneck(excess)
    layers, total = len(chosen) - 1, sum(chosen)
    over = total - (ceil(Fraction(total, layers)) - 1) * layers
    pairs = (total**2 - sum(one**2 for one in chosen)) // 2
    value = (
        Fraction(rank * (widths[0] + widths[-1]) - rank**2, 2)
        + Fraction(over * (layers - over), 4 * layers)
        - Fraction(layers * (layers - 1), 4) * Fraction(total, layers) ** 2
        + Fraction(pairs, 2)
    )
    return Coefficient(value, over * (layers - over) + 1)


def _bottleneck(excess: list[int]) -> list[int]:
    """Return the smallest widths that decide, out of excess widths in ascending order."""
    for count in range(2, len(excess) + 1):
        chosen, rest = excess[:count], excess[count:]
        layers, total = count - 1, sum(chosen)
        inside = total >= layers * chosen[-1]
        if inside and (not rest or (chosen[-1] < rest[0] and total < layers * rest[0])):
            return chosen
    raise ValueError(f"no set of widths satisfies the theorem's conditions: {excess}")
