"""Curves smoothed and fitted in the coordinates of their axes."""

import numpy as np
import pytest

from plugins.maths.figures.curves import Curve
from plugins.maths.figures.smoothing import Axes, fitted, smoothed

PLAIN, LOG = Axes(log_x=False, log_y=False), Axes(log_x=True, log_y=True)
X = np.geomspace(1, 1000, 61)


def curve(x, mean, half: float = 0.0) -> Curve:
    mean = np.asarray(mean, float)
    return Curve(None, None, "loss", np.asarray(x, float), mean, mean - half, mean + half)


def test_a_line_stays_a_line_away_from_its_ends() -> None:
    found = smoothed(curve(np.arange(101), 3 * np.arange(101) + 1), 2.0, PLAIN)
    assert found.mean[20:80] == pytest.approx(3 * np.arange(20, 80) + 1)


def test_a_power_law_stays_one_on_log_axes_and_distances_are_decades() -> None:
    found = smoothed(curve(X, 5 * X**-2), 0.1, LOG)
    assert found.mean[15:45] == pytest.approx(5 * X[15:45] ** -2, rel=1e-6)
    jump = smoothed(curve(X, np.where(X < 31, 1.0, 100.0)), 0.1, LOG)
    inside = (jump.mean > 1.1) & (jump.mean < 90)
    assert np.ptp(np.log10(X[inside])) < 0.6


def test_noise_is_averaged_out_and_becomes_the_band() -> None:
    """Sixteen points a width each way: noise falls by about the root of 2 sqrt(pi) * 16."""
    noise = np.random.default_rng(0).normal(size=4000)
    found = smoothed(curve(np.arange(4000) / 16, noise), 1.0, PLAIN)
    middle = slice(100, -100)
    assert found.mean[middle].std() == pytest.approx((2 * np.pi**0.5 * 16) ** -0.5, rel=0.25)
    assert (found.high - found.mean)[middle].mean() == pytest.approx(1.0, rel=0.05)


def test_the_band_of_repeats_is_smoothed_with_the_line() -> None:
    found = smoothed(curve(np.arange(50), np.sin(np.arange(50)), half=0.5), 3.0, PLAIN)
    assert found.high - found.mean == pytest.approx(0.5)
    assert found.mean - found.low == pytest.approx(0.5)


def test_gaps_and_what_a_log_axis_cannot_hold_are_left_out() -> None:
    found = smoothed(curve([0, 1, 10, 100], [1, 1, np.nan, -3]), 0.5, LOG)
    assert found.x.tolist() == [1.0]
    with pytest.raises(ValueError, match="'loss': no point is left"):
        smoothed(curve([0.0], [1.0]), 1.0, LOG)


def test_a_line_on_log_axes_is_a_power_law() -> None:
    found = fitted(curve(X, 5 * X**-2), "line", LOG)
    assert found.mean == pytest.approx(5 * found.x**-2)
    assert (found.x[0], found.x[-1]) == pytest.approx((1, 1000))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sigmoid_is_found_again(sign: int) -> None:
    def shape(x):
        return 0.5 + sign * 0.4 / (1 + np.exp(-(np.log10(x) - 1.7) / 0.08))

    found = fitted(curve(X, shape(X)), "sigmoid", Axes(log_x=True, log_y=False))
    assert found.mean == pytest.approx(shape(found.x), abs=1e-4)


def test_too_few_points_are_told() -> None:
    with pytest.raises(ValueError, match="a sigmoid needs 4 points, there are 2"):
        fitted(curve([1, 2], [1, 2]), "sigmoid", PLAIN)
