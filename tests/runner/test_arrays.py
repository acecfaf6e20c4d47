"""Lazy arrays behave as the arrays they stand for, whichever rows are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from runner.arrays import Hdf5Array, LazyArray

WHOLE = np.arange(60, dtype=np.float32).reshape(12, 5)


class Counted(LazyArray):
    """An array in memory that counts how many rows each call asks for."""

    shape = WHOLE.shape
    dtype = WHOLE.dtype

    def __init__(self) -> None:
        self.asked: list[int] = []

    def rows(self, start: int, stop: int) -> Any:
        self.asked.append(stop - start)
        return WHOLE[start:stop].copy()


@pytest.fixture(params=["own", "hdf5"])
def lazy(request: pytest.FixtureRequest, tmp_path: Path) -> LazyArray:
    if request.param == "own":
        return Counted()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["deep/x"] = WHOLE
    return Hdf5Array.of(tmp_path / "a.h5", "deep/x")


@pytest.mark.parametrize(
    "key",
    [
        0, -1, slice(2, 5), slice(None), slice(5, 2), slice(None, None, 3), slice(None, None, -1),
        [3, 1, 1, 11], np.array([-1, 0]), WHOLE[:, 0] > 20, (slice(1, 3), 2), (2, 3),
        np.array([], int),
    ],
    ids=str,
)  # fmt: skip
def test_rows_are_those_of_the_whole_array(lazy: LazyArray, key: Any) -> None:
    assert np.array_equal(lazy[key], WHOLE[key])


def test_all_of_it_is_the_array(lazy: LazyArray) -> None:
    assert np.array_equal(np.asarray(lazy), WHOLE)
    assert np.asarray(lazy, np.float64).dtype == np.float64
    assert np.array_equal(np.stack(list(lazy)), WHOLE)
    assert (len(lazy), lazy.ndim) == (12, 2)


@pytest.mark.parametrize("key", [12, [12], [[0, 1]], "x"])
def test_rows_that_are_not_there_are_errors(lazy: LazyArray, key: Any) -> None:
    with pytest.raises(IndexError):
        lazy[key]


def test_pieces_are_no_larger_than_asked_for() -> None:
    lazy = Counted()
    pieces = list(lazy.pieces(3 * 5 * 4))
    assert [start for start, _ in pieces] == [0, 3, 6, 9]
    assert max(lazy.asked) == 3


def test_neighbours_are_taken_in_one_piece() -> None:
    lazy = Counted()
    assert np.array_equal(lazy[np.array([4, 3, 9, 5])], WHOLE[[4, 3, 9, 5]])
    assert sorted(lazy.asked) == [1, 3]
