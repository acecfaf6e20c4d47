"""Arrays that are too large to hold: their rows are read or made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIECE = 2**24  # bytes that are read or made at once


class LazyArray:
    """Stands where a data set holds an array, and holds none of it.

    `array[10:20]` and `array[indices]` give rows as a NumPy array, `np.asarray(array)` gives all.
    The store takes it piece by piece, and gives back one that reads its own file. A subclass has
    `shape`, `dtype` and `rows`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from `start` up to `stop`, 0 <= start <= stop <= len."""
        raise NotImplementedError

    def take(self, indices: NDArray[Any]) -> NDArray[Any]:
        """Return rows in the order of indices, each run of neighbours in one piece."""
        import numpy as np

        order = np.argsort(indices, kind="stable")
        found = np.empty((len(indices), *self.shape[1:]), self.dtype)
        for run in np.split(order, np.flatnonzero(np.diff(indices[order]) != 1) + 1):
            if len(run):
                first = int(indices[run[0]])
                found[run] = self.rows(first, first + len(run))
        return found

    def pieces(self, size: int = PIECE) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the first row's number and the rows of pieces of about `size` bytes, in order."""
        step = self.rows_in(size)
        for start in range(0, len(self), step):
            yield start, self.rows(start, min(start + step, len(self)))

    def rows_in(self, size: int) -> int:
        """Return how many rows fit into so many bytes, at least one."""
        width = self.dtype.itemsize
        for length in self.shape[1:]:
            width *= length
        return max(1, size // max(1, width))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Any:
        import numpy as np

        if isinstance(key, tuple):
            first, *rest = key
            one = isinstance(first, int | np.integer)
            return self[first][tuple(rest)] if one else self[first][(slice(None), *rest)]
        if isinstance(key, int | np.integer):
            at = range(len(self))[int(key)]
            return self.rows(at, at + 1)[0]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self.rows(start, max(start, stop))
            return self.take(np.arange(start, stop, step))
        indices = np.asarray(key)
        if indices.dtype.kind == "b":
            indices = np.flatnonzero(indices)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise IndexError(f"rows are chosen by numbers in one dimension, not by {key!r}")
        if len(indices) and not (-len(self) <= indices.min() and indices.max() < len(self)):
            raise IndexError(f"there are {len(self)} rows; asked for {indices.max()}")
        return self.take(np.where(indices < 0, indices + len(self), indices))

    def __iter__(self) -> Iterator[Any]:
        for _, rows in self.pieces():
            yield from rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        if copy is False:
            raise ValueError("an array that is read when asked for cannot be had without a copy")
        found = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for start, rows in self.pieces():
            found[start : start + len(rows)] = rows
        return found


@dataclass(frozen=True)
class Hdf5Array(LazyArray):
    """An array of numbers in an HDF5 file, opened for each reading."""

    path: Path
    name: str  # its path in the file
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @staticmethod
    def of(path: Path, name: str) -> Hdf5Array:
        """Return the array of that name.

        Raises: OSError for what is no HDF5 file, KeyError when the file has no such array.
        """
        import h5py

        with h5py.File(path, "r") as file:
            item = file[name]
            return Hdf5Array(path, name, tuple(item.shape), item.dtype)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from `start` up to `stop`."""
        import h5py
        import numpy as np

        found = np.empty((stop - start, *self.shape[1:]), self.dtype)
        if found.size:
            with h5py.File(self.path, "r") as file:
                file[self.name].read_direct(found, np.s_[start:stop])
        return found

    def take(self, indices: NDArray[Any]) -> NDArray[Any]:
        """Return rows in the order of indices, read in the order of the file."""
        import h5py
        import numpy as np

        found = np.empty((len(indices), *self.shape[1:]), self.dtype)
        with h5py.File(self.path, "r") as file:
            item = file[self.name]
            for at in np.argsort(indices, kind="stable"):  # along the file
                item.read_direct(found, np.s_[int(indices[at])], np.s_[int(at)])
        return found
