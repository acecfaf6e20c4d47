"""A network's matrices by the names of its tensors, and the spread of their singular values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from runner.errors import listed
from runner.types import Network

Floats = NDArray[np.float64]


def chosen(network: Network, patterns: Sequence[str]) -> dict[str, Floats]:
    """Return the tensors whose names fit a pattern (`*` stands for any text), in double precision.

    Raises: ValueError naming a pattern that fits none, or a tensor that is not finite.
    """
    found = {}
    for pattern in patterns:
        names = [name for name in network.weights if fnmatchcase(name, pattern)]
        if not names:
            raise ValueError(
                f"no tensor is called {pattern!r}; there are {listed(sorted(network.weights), 40)}"
            )
        for name in names:
            found[name] = network.weights[name].double().numpy()
            if not np.isfinite(found[name]).all():
                raise ValueError(f"tensor {name!r} is not finite; did training diverge?")
    return found


def squares(network: Network, patterns: Sequence[str]) -> Iterator[tuple[str, Floats]]:
    """Yield the square matrices in the chosen tensors, with names such as "qkv.weight[1]".

    A tensor (k n, n) holds k of them, one below the other, as queries, keys and values are stored.

    Raises: ValueError for a tensor that is not made of squares.
    """
    for name, tensor in chosen(network, patterns).items():
        if tensor.ndim != 2 or tensor.shape[0] % tensor.shape[1]:
            raise ValueError(f"{name!r} of shape {tensor.shape} is not made of square matrices")
        parts = tensor.shape[0] // tensor.shape[1]
        for at, part in enumerate(np.split(tensor, parts)):
            yield (f"{name}[{at}]" if parts > 1 else name), part


def spectral_entropy(matrix: Floats) -> float:
    """Return -sum q ln q, nats, of the shares q = s^2 / sum s^2 of the singular values s.

    From 0 for rank one to ln of the smaller side; nan for a matrix of zeros.
    """
    energy = np.linalg.svd(matrix, compute_uv=False) ** 2
    if not energy.sum() > 0:
        return float("nan")
    shares = energy[energy > 0] / energy.sum()
    return float(-(shares * np.log(shares)).sum())
