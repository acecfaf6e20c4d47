"""Known functions of one variable, by name: what regression data sample and spectra expand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "sin": np.sin,
    "cos": np.cos,
    "abs": np.abs,
    "gauss": lambda x: np.exp(-(x**2)),
    "runge": lambda x: 1 / (1 + x**2),
    "sinc": lambda x: np.sinc(x / np.pi),
    "step": lambda x: np.heaviside(x, 0.5),
    "linear": lambda x: x,
    "square": lambda x: x**2,
    "zero": np.zeros_like,
}


def truth(about: Mapping[str, Any]) -> tuple[Callable[[Floats], Floats], tuple[float, float]]:
    """Return the function that data state they sample, and its domain.

    Raises: ValueError when the data state no function.
    """
    if not {"function", "domain", "frequency", "amplitude"} <= set(about):
        raise ValueError(
            "the data state no function of one variable; use function_1d, whose `about` does"
        )
    shape = FUNCTIONS[about["function"]]
    frequency, amplitude = about["frequency"], about["amplitude"]
    low, high = about["domain"]
    return lambda x: amplitude * shape(frequency * x), (low, high)
