"""Ticks: powers of ten where two fit, plain numbers in less than that."""

import pytest

from plugins.maths.figures.ticks import log_ticks, number_label, value_ticks


def test_powers_of_ten_are_labelled_as_powers_when_two_or_more_fit() -> None:
    ticks = log_ticks(0.1, 10.0)
    assert ticks.labels == ["$10^{-1}$", "$10^{0}$", "$10^{1}$"]
    assert ticks.positions == pytest.approx([0.1, 1.0, 10.0])


def test_a_decade_without_two_powers_is_labelled_with_plain_numbers() -> None:
    assert log_ticks(0.3, 3.0).labels == ["0.3", "1", "3"]
    assert log_ticks(1.9, 5.5).labels == ["2", "5"]


def test_a_range_far_below_a_decade_has_evenly_spaced_round_numbers() -> None:
    ticks = log_ticks(46.2, 46.7)
    assert ticks.labels == ["46.2", "46.4", "46.6"]


@pytest.mark.parametrize(("low", "high"), [(1e-9, 1.2e-9), (0.00012, 0.00013), (7.0, 7.001)])
def test_every_range_has_two_ticks_inside_with_different_labels(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert len(ticks.positions) >= 2
    assert len(set(ticks.labels)) == len(ticks.labels) == len(ticks.positions)
    assert all(low * 0.999999 <= value <= high * 1.000001 for value in ticks.positions)


def test_many_decades_are_thinned_and_keep_one() -> None:
    ticks = log_ticks(1e-12, 1e6)
    assert len(ticks.positions) <= 7
    assert 1.0 in ticks.positions


def test_a_log_axis_refuses_zero_and_says_so() -> None:
    with pytest.raises(ValueError, match=r"0 < low < high, not 0\.0 to 1\.0"):
        log_ticks(0.0, 1.0)


def test_few_values_are_labelled_at_themselves() -> None:
    assert value_ticks([0.3, 3.0]) == ([0.3, 3.0], ["0.3", "3"], [])
    assert value_ticks([0.1, 10.0]).labels == ["$10^{-1}$", "$10^{1}$"]


def test_numbers_far_from_one_are_written_with_a_power() -> None:
    assert number_label(3e-5) == r"$3\times 10^{-5}$"
    assert number_label(1e6) == "$10^{6}$"
    assert number_label(0.94868) == "0.949"
    assert number_label(0.0) == "0"
