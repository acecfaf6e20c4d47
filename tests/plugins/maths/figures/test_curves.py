"""Curves out of tables: means, bands, gaps, and what log axes cannot hold."""

import numpy as np
import pandas as pd
import pytest

from plugins.maths.figures.curves import Curve, curves_of, for_log_axes


def frame() -> pd.DataFrame:
    """Return two seeds of a curve over three steps, rows out of order."""
    return pd.DataFrame(
        {
            "step": [10, 1, 5, 5, 1, 10],
            "seed": [0, 0, 0, 1, 1, 1],
            "v": [3.0, 1.0, 2.0, 4.0, 1.0, 9.0],
        }
    )


def curve(mean: list[float], low: list[float]) -> Curve:
    values, least = np.array(mean), np.array(low)
    x = np.arange(float(len(mean)))
    return Curve(None, None, "v", x, values, least, 2 * values - least)


def test_replicates_are_averaged_with_one_sample_standard_deviation() -> None:
    (found,) = curves_of(frame(), "step", ["v"], replicate="seed").curves
    np.testing.assert_array_equal(found.x, [1, 5, 10])
    np.testing.assert_array_equal(found.mean, [1, 3, 6])
    np.testing.assert_allclose(found.high - found.mean, [0, np.sqrt(2), np.sqrt(18)])
    np.testing.assert_allclose(found.mean - found.low, [0, np.sqrt(2), np.sqrt(18)])


def test_a_range_goes_from_the_least_to_the_largest() -> None:
    (found,) = curves_of(frame(), "step", ["v"], replicate="seed", band="range").curves
    np.testing.assert_array_equal(found.low, [1, 2, 3])
    np.testing.assert_array_equal(found.high, [1, 4, 9])


def test_one_replicate_has_no_band() -> None:
    (found,) = curves_of(frame()[:3], "step", ["v"], replicate="seed").curves
    assert not found.has_band


def test_a_replicate_that_is_not_finite_leaves_a_gap() -> None:
    table = frame().replace({"v": {9.0: np.inf}})
    (found,) = curves_of(table, "step", ["v"], replicate="seed").curves
    np.testing.assert_array_equal(found.mean, [1, 3, np.nan])


def test_rows_at_one_point_are_refused_unless_they_are_replicates() -> None:
    with pytest.raises(ValueError, match=r"they differ in seed, v.*`replicate`"):
        curves_of(frame(), "step", ["v"])


def test_each_hue_panel_and_column_is_a_curve() -> None:
    table = frame().assign(w=frame()["v"], task="add")
    found = curves_of(table, "step", ["v", "w"], hue="seed", panels="task")
    assert [(c.panel, c.hue, c.column) for c in found.curves] == [
        ("add", 0, "v"), ("add", 0, "w"), ("add", 1, "v"), ("add", 1, "w"),
    ]  # fmt: skip


def test_a_missing_column_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ValueError, match=r"y = 'vv'.*no such column"):
        curves_of(frame(), "step", ["vv"])
    with pytest.raises(ValueError, match=r"hue = 'sead'.*did you mean \"seed\""):
        curves_of(frame(), "step", ["v"], hue="sead")


def test_a_band_on_a_log_axis_ends_above_zero() -> None:
    kept, lost = for_log_axes(curve([1.0, 0.5, 0.01], [0.8, -0.2, 0.0]), x=False, y=True)
    np.testing.assert_allclose(kept.low, [0.8, 0.01, 0.01])
    assert lost == 0


def test_points_a_log_axis_cannot_hold_are_counted() -> None:
    kept, lost = for_log_axes(curve([1.0, -1.0, 2.0], [1.0, -1.0, 2.0]), x=True, y=True)
    np.testing.assert_array_equal(kept.x, [1, 2])
    np.testing.assert_array_equal(kept.mean, [np.nan, 2])
    assert lost == 2


def test_linear_axes_leave_a_curve_as_it_is() -> None:
    given = curve([1.0, -1.0], [0.5, -2.0])
    kept, lost = for_log_axes(given, x=False, y=False)
    assert lost == 0
    np.testing.assert_array_equal(kept.low, given.low)
    np.testing.assert_array_equal(kept.x, given.x)
