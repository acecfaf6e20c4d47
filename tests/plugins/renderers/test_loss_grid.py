"""Surfaces as files of arrays."""

import io
from typing import Any

import numpy as np
import pytest

from plugins.renderers.loss_grid import LossGrid
from runner.types import Table


def test_a_loss_grid_holds_arrays_of_numbers_alone(surface: Any, centres: Any) -> None:
    content = LossGrid(path="a.npz").run(surface(), centres(1)).contents[".npz"]
    found = np.load(io.BytesIO(content), allow_pickle=False)
    assert set(found) == {"alpha", "beta", "loss", "center_loss", "resolution", "seed"}
    assert found["loss"].shape == (5, 5)
    i, j = 4, 1  # alpha = 1, beta = -0.5
    assert found["loss"][i, j] == pytest.approx((1 + 0.25 + 2) ** 2)
    assert found["resolution"] == 5
    assert found["center_loss"] == 1.234


def test_a_grid_with_a_hole_is_told_of(surface: Any, centres: Any) -> None:
    whole = surface().columns
    table = Table({name: list(values)[:-1] for name, values in whole.items()})
    with pytest.raises(ValueError, match="24 points are no grid of 25"):
        LossGrid(path="a.npz").run(table, centres(1))
