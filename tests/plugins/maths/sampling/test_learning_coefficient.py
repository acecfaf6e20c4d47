from fractions import Fraction
from itertools import pairwise

import pytest

from plugins.maths.sampling.learning_coefficient import deep_linear, monomials, reduced_rank


@pytest.mark.parametrize(
    ("powers", "value", "multiplicity"),
    [
        ([[1]], "1/2", 1),
        ([[2]], "1/4", 1),
        ([[3]], "1/6", 1),
        ([[1, 1]], "1/2", 2),
        ([[1, 2]], "1/4", 1),
        ([[1, 0], [0, 2]], "3/4", 1),
        ([[1, 1, 0, 0], [0, 0, 1, 1]], "1", 3),
    ],
)
def test_monomials(powers, value, multiplicity):
    assert monomials(powers) == (Fraction(value), multiplicity)


def test_monomials_that_share_a_variable_or_are_constant_have_no_such_formula():
    with pytest.raises(ValueError, match="share a variable"):
        monomials([[1, 1], [0, 1]])
    with pytest.raises(ValueError, match="constant"):
        monomials([[0, 0]])


@pytest.mark.parametrize(
    ("widths", "rank", "value"),
    [
        ((10, 1), 1, "5"), ((100, 1), 0, "50"), ((5, 3, 5), 0, "13/2"), ((5, 3, 5), 3, "21/2"),
        ((10, 6, 10), 3, "35"), ((4, 4, 4, 4), 0, "11/2"), ((5, 5, 5, 5), 2, "11"),
    ],
)  # fmt: skip
def test_cases_of_the_study(widths, rank, value):
    assert deep_linear(widths, rank).value == Fraction(value)
    if len(widths) == 3:
        assert reduced_rank(*widths, rank) == Fraction(value)


def test_two_layers_are_reduced_rank_regression_in_every_regime():
    """Aoyagi 2024 against Aoyagi and Watanabe 2005: all widths up to 6 and all ranks."""
    sizes = range(1, 7)
    for widths in ((m, h, n) for m in sizes for h in sizes for n in sizes):
        for rank in range(min(widths) + 1):
            assert deep_linear(widths, rank).value == reduced_rank(*widths, rank), (widths, rank)


def test_scalar_chains_are_monomials():
    """Widths 1, 1, ..., 1 and rank 0: K = (w_1 ... w_L)^2, lambda 1/2, multiplicity L."""
    for layers in (1, 2, 3, 4):
        assert deep_linear((1,) * (layers + 1), 0) == monomials([[1] * layers])


def test_lambda_is_at_most_half_the_number_of_weights_and_ranks_fit():
    for widths in ((3, 4, 2, 5), (2, 2, 2), (7, 1, 7)):
        weights = sum(a * b for a, b in pairwise(widths))
        values = [deep_linear(widths, rank).value for rank in range(min(widths) + 1)]
        assert all(0 < value <= Fraction(weights, 2) for value in values)
        assert values == sorted(values)
    with pytest.raises(ValueError, match="rank 3 does not fit"):
        deep_linear((2, 2), 3)
