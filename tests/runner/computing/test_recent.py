"""What was read lately is not read again, and never fills the memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from runner.computing.recent import Recent, size_of
from runner.types import Dataset, Files, Table


def maker(made: list[str], size: int = 0) -> Callable[[str], Callable[[], np.ndarray]]:
    """Return what makes an array of `size` bytes for a name, and notes that it did."""

    def make(name: str) -> Callable[[], np.ndarray]:
        return lambda: (made.append(name), np.zeros(size, np.uint8))[1]

    return make


def test_a_value_is_made_once_while_it_is_remembered() -> None:
    made: list[str] = []
    recent, make = Recent(values=2), maker(made)
    for name in "aabab":
        recent.get(name, make(name))
    assert made == ["a", "b"]


def test_the_one_not_asked_for_longest_makes_room() -> None:
    made: list[str] = []
    recent, make = Recent(values=2), maker(made)
    for name in "abacab":
        recent.get(name, make(name))
    assert made == ["a", "b", "c", "b"]


def test_values_make_room_by_their_size() -> None:
    made: list[str] = []
    recent, make = Recent(values=9, size=100), maker(made, size=40)
    for name in "abcba":
        recent.get(name, make(name))
    assert made == ["a", "b", "c", "a"]  # two fit: c drove a out


def test_one_that_is_larger_than_all_room_is_kept_alone() -> None:
    made: list[str] = []
    recent = Recent(values=9, size=100)
    recent.get("small", maker(made, 10)("small"))
    for _ in range(2):
        recent.get("large", maker(made, 400)("large"))
    recent.get("small", maker(made, 10)("small"))
    assert made == ["small", "large", "small"]


def test_a_size_counts_arrays_wherever_they_lie() -> None:
    array = np.zeros((3, 4))
    assert size_of(Dataset({"train": {"x": array, "y": array[:, 0]}})) >= 96 + 24
    assert size_of({"w": torch.zeros(5, dtype=torch.float64)}) == 40
    assert size_of(Table({"a": [1.0, 2.0], "b": ["text", "t"]})) >= 16 + 5
    assert size_of(Files({".png": b"123"})) == 3
    assert size_of(7) == 0
