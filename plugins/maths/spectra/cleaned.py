"""Spectra as they are read: edges filled, negative flux clipped, noisy pixels left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.arrays import Hdf5Array, LazyArray
from runner.errors import RunnerError


@dataclass(frozen=True, eq=False)
class Cleaned(LazyArray):
    """Rows of an array on disk as float32, mended and cut to some pixels as they are read."""

    source: Hdf5Array
    clip: bool  # at 0
    pixels: NDArray[np.int64] | None = None  # None: all

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Rows and kept pixels."""
        rows, width = self.source.shape
        return rows, width if self.pixels is None else len(self.pixels)

    @property
    def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
        """Single precision."""
        return np.dtype(np.float32)

    def cut(self, pixels: NDArray[np.int64]) -> Cleaned:
        """Return the same array with these pixels alone."""
        return replace(self, pixels=None if len(pixels) == self.source.shape[1] else pixels)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from `start` up to `stop`."""
        return self._mended(self.source.rows(start, stop), np.arange(start, stop))

    def take(self, indices: NDArray[Any]) -> NDArray[Any]:
        """Return rows in the order of indices."""
        return self._mended(self.source.take(indices), indices)

    def _mended(self, rows: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
        rows = filled_edges(rows.astype(np.float32, copy=False), numbers, self._name())
        if self.clip:
            np.maximum(rows, 0, out=rows)
        return rows if self.pixels is None else rows[:, self.pixels]

    def _name(self) -> str:
        path = self.source.path
        return f"{path.parent.name}/{path.name}: {self.source.name}"


def filled_edges(rows: NDArray[Any], numbers: NDArray[Any], name: str) -> NDArray[Any]:
    """Fill values that are not finite at both ends of each row from their neighbour.

    Raises: RunnerError naming the row and pixel of one that is not at an end.
    """
    fine = np.isfinite(rows)
    for at in np.flatnonzero(~fine.all(1)):
        good = np.flatnonzero(fine[at])
        if not len(good):
            raise RunnerError(f"{name}: row {numbers[at]} holds no finite value")
        first, last = good[0], good[-1] + 1
        if len(good) < last - first:
            hole = first + int(np.argmin(fine[at, first:last]))
            raise RunnerError(
                f"{name}: row {numbers[at]}, pixel {hole} is not finite and lies between values; "
                "only the edges of a spectrum are filled"
            )
        rows[at, :first] = rows[at, first]
        rows[at, last:] = rows[at, last - 1]
    return rows
