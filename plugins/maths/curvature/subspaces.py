"""How eigenvectors of successive snapshots lie to each other, all from one Gram matrix.

Shapes: B snapshots, r vectors of each, d parameters. Rows are vectors, never parameters: the
matrix that is decomposed is (B r, B r), for d is far larger. A vector's sign means nothing; it is
chosen by the snapshot before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COLUMNS = 65_536  # of all vectors, brought to double precision at a time


@dataclass(frozen=True)
class Components:
    """Principal components of rows: variance along each, and where each row lies."""

    variances: Floats  # (c,) falling, of all components
    scores: Floats  # (B r, c) coordinates of the rows


def gram(rows: NDArray[np.floating]) -> Floats:
    """Return inner products of all rows (n, d) in double precision, (n, n)."""
    found = np.zeros((len(rows), len(rows)))
    for start in range(0, rows.shape[1], COLUMNS):
        part = np.asarray(rows[:, start : start + COLUMNS], np.float64)
        found += part @ part.T
    return found


def aligned_signs(inner: Floats, first: NDArray[np.floating], pairs: int) -> Floats:
    """Return the sign of each row (B r,), by which it points along its match one snapshot before.

    A row's match is the row of the snapshot before with the largest |cosine|, which need not have
    its index: eigenvalues cross. The first snapshot's rows (r, d) get a positive largest entry.
    """
    largest = np.abs(first).argmax(1)
    signs = list(np.where(first[np.arange(pairs), largest] < 0, -1.0, 1.0))
    for start in range(pairs, len(inner), pairs):
        before = slice(start - pairs, start)
        for row in range(start, start + pairs):
            match = int(np.abs(inner[row, before]).argmax())
            turned = inner[row, start - pairs + match] * signs[start - pairs + match]
            signs.append(-1.0 if turned < 0 else 1.0)
    return np.asarray(signs)


def components(inner: Floats, *, centred: bool) -> Components:
    """Return the principal components of rows whose inner products are given, (n, n).

    `centred` takes the rows' mean off, as PCA does. Each component's sign makes the score that is
    largest in magnitude positive. Variances are divided by n.
    """
    n = len(inner)
    if centred:
        rows = inner.mean(0)
        inner = inner - rows[:, None] - rows + rows.mean()
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    values, vectors = values[::-1].clip(min=0.0), vectors[:, ::-1]
    scores = vectors * np.sqrt(values)
    peaks = scores[np.abs(scores).argmax(0), np.arange(n)]
    return Components(values / n, scores * np.where(peaks < 0, -1.0, 1.0))


def participation(variances: Floats) -> float:
    """Return (sum)^2 over the sum of squares: how many components share the variance."""
    return float(variances.sum() ** 2 / (variances**2).sum())


def overlaps(inner: Floats, pairs: int) -> Floats:
    """Return |Vi'Vj|_F^2 / r between all snapshots, (B, B): 1 for equal spans, 0 for orthogonal."""
    count = len(inner) // pairs
    blocks = inner.reshape(count, pairs, count, pairs)
    found: Floats = np.square(blocks).sum((1, 3)) / pairs
    return found


def matches(inner: Floats, pairs: int) -> Floats:
    """Return each row's largest |cosine| with a row of the snapshot before; nan in the first."""
    found = np.full(len(inner), np.nan)
    for row in range(pairs, len(inner)):
        start = row // pairs * pairs - pairs
        found[row] = np.abs(inner[row, start : start + pairs]).max()
    return found


def largest_angle(inner: Floats, pairs: int, one: int, other: int) -> float:
    """Return the largest principal angle between the spans of two snapshots, degrees."""
    block = inner[one * pairs : (one + 1) * pairs, other * pairs : (other + 1) * pairs]
    least = float(np.linalg.svd(block, compute_uv=False).min())
    return float(np.degrees(np.arccos(min(1.0, least))))
