"""Circulant scores and frequencies, against matrices and tables that are known."""

import numpy as np
import pytest
from scipy.linalg import circulant, dft

from plugins.maths.features import cycles

DRAWS = np.random.default_rng(0)


def test_the_score_of_a_circulant_matrix_is_one() -> None:
    for size in (2, 5, 64):
        assert cycles.circulant_score(circulant(DRAWS.normal(size=size))) == pytest.approx(1)


def test_the_score_is_that_of_the_matrix_between_transforms() -> None:
    matrix, turn = DRAWS.normal(size=(9, 9)), dft(9)
    turned = np.abs(turn @ matrix @ np.linalg.inv(turn)) ** 2
    found = cycles.circulant_score(matrix)
    assert found == pytest.approx(turned.trace() / turned.sum(), rel=1e-12)


def test_a_random_matrix_is_at_its_baseline() -> None:
    """The share in n of n^2 dimensions has a Beta(n / 2, n (n - 1) / 2) distribution."""
    size, draws = 32, 400
    scores = [cycles.circulant_score(DRAWS.normal(size=(size, size))) for _ in range(draws)]
    a, b = size / 2, size * (size - 1) / 2
    deviation = np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
    assert deviation / draws**0.5 < 0.02 / size
    assert np.mean(scores) == pytest.approx(1 / size, abs=4 * deviation / draws**0.5)


def test_a_score_of_part_circulant_part_not_is_the_share() -> None:
    part = circulant(DRAWS.normal(size=8))
    rest = np.diag([1.0, -1.0] * 4)  # every cyclic diagonal sums to zero
    share = (part**2).sum() / (part**2 + rest**2).sum()
    rest_of_mean = part.diagonal().mean()
    assert rest_of_mean != 0
    assert cycles.circulant_score(part + rest) == pytest.approx(share)


def test_what_has_no_score_is_told() -> None:
    with pytest.raises(ValueError, match="square matrix, not one of"):
        cycles.circulant_score(np.ones((2, 3)))
    with pytest.raises(ValueError, match="zeros has no circulant score"):
        cycles.circulant_score(np.zeros((3, 3)))


@pytest.mark.parametrize("length", [7, 8])
def test_energies_sum_to_that_of_the_table_about_its_mean(length: int) -> None:
    table = DRAWS.normal(size=(length, 3)) + 5
    energies = cycles.frequency_energies(table)
    assert len(energies) == length // 2
    assert energies.sum() == pytest.approx(length * ((table - table.mean(0)) ** 2).sum())


@pytest.mark.parametrize("length", [7, 8])
def test_a_wave_has_all_its_energy_at_its_frequency_whatever_its_phase(length: int) -> None:
    at = 2 * np.pi * 3 * np.arange(length) / length
    table = np.stack([np.cos(at), np.sin(at), np.cos(at + 1)], 1)
    energies = cycles.frequency_energies(table)
    assert energies.argmax() == 2
    assert cycles.concentration(energies, 1) == pytest.approx((1, 1 - 1 / len(energies), 1))


def test_equal_energies_are_not_concentrated() -> None:
    found = cycles.concentration(np.full(10, 3.0), 5)
    assert found == pytest.approx((0.5, 0.0, 0.1))


def test_the_gini_coefficient_is_half_the_mean_difference_over_the_mean() -> None:
    values = DRAWS.exponential(size=20)
    wanted = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert cycles.gini(values) == pytest.approx(wanted)


@pytest.mark.parametrize("length", [11, 12])
def test_random_tables_have_their_baseline_of_participation(length: int) -> None:
    width, draws = 4, 3000
    found = [
        cycles.concentration(cycles.frequency_energies(DRAWS.normal(size=(length, width)))).ipr
        for _ in range(draws)
    ]
    error = np.std(found) / draws**0.5
    assert error < 0.005 * np.mean(found)
    assert np.mean(found) == pytest.approx(cycles.random_ipr(length, width), abs=4 * error)


def test_energy_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="rows are all equal"):
        cycles.concentration(cycles.frequency_energies(np.ones((6, 2))))


@pytest.mark.parametrize("prime", [3, 5, 17, 59, 97])
def test_discrete_logarithms_turn_multiplication_into_addition(prime: int) -> None:
    order = cycles.cyclic_order(prime, "discrete_log")
    assert sorted(order) == list(range(1, prime))
    log = {int(residue): at for at, residue in enumerate(order)}
    for x in range(1, prime):
        for y in range(1, prime):
            assert log[x * y % prime] == (log[x] + log[y]) % (prime - 1)


def test_only_the_logarithmic_order_shows_a_multiplicative_cycle() -> None:
    """The token axis of mul and div: in natural order their waves look like noise."""
    order = cycles.cyclic_order(59, "discrete_log")
    table = np.zeros((59, 2))
    at = 2 * np.pi * 7 * np.arange(58) / 58
    table[order] = np.stack([np.cos(at), np.sin(at)], 1)
    shares = {
        name: cycles.concentration(
            cycles.frequency_energies(table[cycles.cyclic_order(59, name)]), 1
        ).top
        for name in ("natural", "discrete_log")
    }
    assert shares["discrete_log"] == pytest.approx(1)
    assert shares["natural"] < 0.3


def test_the_least_primitive_root_is_found_and_composites_are_refused() -> None:
    assert [cycles.primitive_root(p) for p in (2, 3, 7, 41, 97)] == [1, 2, 3, 6, 5]
    with pytest.raises(ValueError, match="91 is no prime"):
        cycles.cyclic_order(91, "discrete_log")
    assert list(cycles.cyclic_order(4, "natural")) == [0, 1, 2, 3]
