"""The average gradient outer product (AGOP) and what it is summed up by. J_n is (C, d), N rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plugins.maths.features.gradients import Of, RowGradients
from runner.types import Network, Split

Floats = NDArray[np.float64]
BACK = 2.0  # memory of a backward pass over that of what the forward pass keeps
MOST = 4096  # rows at once, however small


@dataclass(frozen=True)
class Average:
    """M = (1/N) sum_n J_n^T J_n, (d, d), symmetric; `rows` is N, `outputs` is C."""

    matrix: Tensor  # float64, on the CPU
    rows: int
    outputs: int


def average(
    gradients: RowGradients, x: Tensor, y: Tensor, *, centred: bool, memory: int
) -> Average:
    """Return the AGOP over all rows, summed in double precision, `memory` bytes at a time.

    Centred, it is (1/N) sum_n (J_n - mean J)^T (J_n - mean J).

    Raises: FloatingPointError naming the first row whose gradient is not finite.
    """
    outputs, size = gradients.sizes(x)
    total = torch.zeros(size, size, dtype=torch.float64, device=x.device)
    mean = torch.zeros(outputs, size, dtype=torch.float64, device=x.device)
    start = 0
    for some, targets in _chunks(gradients, x, y, memory):
        try:
            for at, rows in enumerate(gradients.each(some, targets)):
                total += rows.T @ rows
                mean[at] += rows.sum(0, dtype=torch.float64)
        except FloatingPointError as error:
            raise FloatingPointError(f"in rows {start} to {start + len(some)}: {error}") from error
        start += len(some)
    matrix, mean = total / len(x), mean / len(x)
    if centred:
        matrix = matrix - mean.T @ mean
    return Average(((matrix + matrix.T) / 2).cpu(), len(x), outputs)


def _chunks(
    gradients: RowGradients, x: Tensor, y: Tensor, memory: int
) -> Iterator[tuple[Tensor, Tensor]]:
    room = memory / (BACK * gradients.bytes_a_row(x))
    size = int(min(max(1.0, room), MOST))
    yield from zip(x.split(size), y.split(size), strict=True)


def of_network(
    network: Network,
    data: Split,
    *,
    of: Of,
    block: str,
    centred: bool,
    rows: int | None,
    precision: str,
    memory: int,
    device: str,
) -> Average:
    """Return the AGOP of a network over the first `rows` of a split (None: all)."""
    dtype = getattr(torch, precision)
    module = network.module(device).to(dtype)
    x, y = (torch.as_tensor(np.asarray(data[name][:rows])).to(device) for name in ("x", "y"))
    x, y = (value.to(dtype) if value.is_floating_point() else value for value in (x, y))
    gradients = RowGradients.by(module, block, of, x)
    return average(gradients, x, y, centred=centred, memory=memory)


def summed_up(matrix: Tensor) -> tuple[dict[str, float], Floats]:
    """Return the numbers that describe a symmetric matrix M >= 0, and its eigenvalues, falling.

    agop is the Frobenius norm; effective_rank is exp of the entropy of the eigenvalues' shares,
    from 1 for a rank-one matrix to d for a multiple of the identity, nan for zero.
    """
    spectrum = torch.linalg.eigvalsh(matrix).flip(0).numpy()
    shares = np.clip(spectrum, 0.0, None)
    shares = shares[shares > 0] / shares.sum() if shares.any() else np.array([np.nan])
    return {
        "agop": float(torch.linalg.matrix_norm(matrix)),
        "trace": float(matrix.trace()),
        "top_eigenvalue": float(spectrum[0]),
        "effective_rank": float(np.exp(-(shares * np.log(shares)).sum())),
    }, spectrum
