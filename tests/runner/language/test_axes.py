"""Axes: lists, ranges and variants, and what they stand for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.language.axes import AxisError, read_axis

SMALL = st.floats(-100, 100).filter(lambda v: v == 0 or abs(v) > 1e-6)


@given(SMALL, SMALL, st.integers(2, 40))
def test_linspace_is_that_of_numpy(start: float, stop: float, count: int) -> None:
    if abs(start - stop) > 1e-6:
        labels = read_axis("a", {"linspace": [start, stop, count]}).labels
        scale = max(abs(start), abs(stop))
        np.testing.assert_allclose(
            labels, np.linspace(start, stop, count), rtol=0, atol=1e-11 * scale
        )
        assert len(labels) == count


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.integers(2, 40), st.booleans())
def test_geomspace_is_that_of_numpy(start: float, ratio: float, count: int, minus: bool) -> None:
    ends = [-start, -start * ratio] if minus else [start, start * ratio]
    labels = read_axis("a", {"geomspace": [*ends, count]}).labels
    np.testing.assert_allclose(labels, np.geomspace(*ends, count), rtol=1e-11)


@given(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from([0.1, 0.25, 0.3, 1.0, -0.1, -0.7]))
def test_arange_is_that_of_numpy(start: float, stop: float, step: float) -> None:
    expected = np.arange(start, stop, step)
    if len(expected) == 0:
        with pytest.raises(AxisError, match="no values"):
            read_axis("a", {"arange": [start, stop, step]})
    elif len({f"{v:.12g}" for v in expected}) == len(expected):
        labels = read_axis("a", {"arange": [start, stop, step]}).labels
        np.testing.assert_allclose(labels, expected, rtol=1e-11, atol=1e-11)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_arange_of_whole_numbers_is_that_of_python(start: int, stop: int, step: int) -> None:
    wanted = tuple(range(start, stop, step))
    if wanted:
        axis = read_axis("a", {"arange": [start, stop, step]})
        assert axis.labels == wanted
        assert all(type(v) is int for v in axis.labels)


def test_a_range_of_tenths_has_the_labels_that_a_person_would_write() -> None:
    assert read_axis("a", {"arange": [0, 0.5, 0.1]}).labels == (0.0, 0.1, 0.2, 0.3, 0.4)
    assert read_axis("a", {"linspace": [0, 1, 11]}).labels[3] == 0.3
    assert read_axis("a", {"geomspace": [0.001, 1000, 7]}).labels == (
        0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0,
    )  # fmt: skip


def test_the_ends_of_a_range_may_be_expressions() -> None:
    labels = read_axis("a", {"linspace": ["-pi", "pi", 3]}).labels
    assert labels == pytest.approx((-np.pi, 0, np.pi), rel=1e-11)
    assert read_axis("a", {"linspace": [0, 1, 1]}).labels == (0.0,)


def test_numbers_in_a_list_may_be_expressions_and_then_all_are_numbers() -> None:
    assert read_axis("a", ["pi/2", 0, "2"]).labels == (np.pi / 2, 0.0, 2.0)
    assert read_axis("a", ["1", "two"]).labels == ("1", "two")  # not all numbers: all text


def test_whole_numbers_stay_whole_unless_one_has_a_point() -> None:
    assert [type(v) for v in read_axis("a", [1, 2]).labels] == [int, int]
    assert [type(v) for v in read_axis("a", [1, 2.5]).labels] == [float, float]
    assert read_axis("a", [True, False]).labels == (True, False)


def test_variants_are_labelled_by_their_names() -> None:
    axis = read_axis("s", {"one": {"points": [[0, 1]]}, "two": {"points": [[2, 3]]}})
    assert axis.labels == ("one", "two")
    assert axis.value("two", "points") == [[2, 3]]
    assert axis.value("two", None) == "two"
    assert axis.check_field("points") is None
    assert axis.check_field("pionts") == (
        'variant "one" of axis s has no field "pionts"; did you mean "points"?'
    )


@pytest.mark.parametrize(
    "value", [[], {}, 3, "x", None, [[1]], [{}], {"one": 1}, {"linspace": 3}, {"arange": [0, 1]},
              {"linspace": [0, 1, 2], "a": 1}, [1, "x"], [1, True], [1, 1.0], ["a", "a"]]
)  # fmt: skip
def test_what_is_no_axis_is_refused(value: Any) -> None:
    with pytest.raises(AxisError):
        read_axis("a", value)


@given(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=8))
def test_labels_are_always_distinct(values: list[Any]) -> None:
    try:
        labels = read_axis("a", values).labels
    except AxisError:
        return
    assert len(set(labels)) == len(labels) == len(values)
