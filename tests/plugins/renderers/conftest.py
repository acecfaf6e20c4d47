"""Small surfaces and samples that the tests of several renderers draw, as functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runner.types import Split, Table

AT = np.linspace(-1, 1, 5)


def _surface(panels: int = 1, size: float = 1.0) -> Table:
    """Return loss = (alpha - beta / 2 + 2)^2 times ten to the panel's number."""
    rows = [(k, a, b, size * 10.0**k * (a - b / 2 + 2) ** 2)
            for k in range(panels) for a in AT for b in AT]  # fmt: skip
    rank, alpha, beta, loss = zip(*rows, strict=True)
    columns = {"rank": rank, "alpha": alpha, "beta": beta, "loss": loss}
    return Table({name: list(values) for name, values in columns.items()})


def _centres(panels: int) -> Table:
    columns: dict[str, list[Any]] = {
        "rank": list(range(panels))[::-1],  # in another order than the panels
        "index": [12340 + k for k in range(panels)][::-1],
        "label": [7] * panels,
        "prediction": [9] * panels,
        "probability": [0.634] * panels,
        "centre_loss": [1.234] * panels,
        "drawn_with": [0] * panels,
    }
    return Table(columns)


def _images(rows: int = 3) -> Split:
    """Return pictures whose upper half is white, row k a little darker."""
    x = np.zeros((rows, 1, 28, 28))
    for k in range(rows):
        x[k, 0, :14] = 1 - 0.1 * k
    return Split({"x": ((x - 0.1307) / 0.3081).astype(np.float32)}, {
        "shape": [1, 28, 28], "mean": 0.1307, "std": 0.3081,
    })  # fmt: skip


@pytest.fixture
def surface() -> Callable[..., Table]:
    """Return a function that makes a surface of so many panels."""
    return _surface


@pytest.fixture
def centres() -> Callable[..., Table]:
    """Return a function that makes the rows of as many samples."""
    return _centres


@pytest.fixture
def images() -> Callable[..., Split]:
    """Return a function that makes pictures, so many rows."""
    return _images
