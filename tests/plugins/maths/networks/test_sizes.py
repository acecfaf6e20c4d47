"""Sizes that a spec leaves open are read off the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugins.maths.networks.sizes import read_off
from plugins.models.linear import Linear
from runner.errors import RunnerError
from runner.types import Dataset

NAMES = ("outputs", "classes")


def data(**about: Any) -> Dataset:
    return Dataset({"train": {"x": np.zeros((1, 1))}}, about)


def test_the_first_name_that_the_data_states_fills_a_size() -> None:
    model = read_off(Linear(inputs=3), data(inputs=9, classes=4), inputs="inputs", outputs=NAMES)
    assert (model.inputs, model.outputs) == (3, 4)
    both = data(outputs=2, classes=4)
    assert read_off(Linear(inputs=3), both, outputs=NAMES).outputs == 2


def test_a_size_that_nobody_states_is_an_error_with_its_cure() -> None:
    with pytest.raises(RunnerError, match=r"^linear: outputs is open .* 'outputs'; set outputs in"):
        read_off(Linear(), data(), outputs=NAMES)
