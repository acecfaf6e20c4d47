"""Which pixels are kept: those whose median error over the training spectra is small."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runner.arrays import LazyArray

STRIP = 2**27  # bytes of the errors that are held at once


def quiet_pixels(error: NDArray[np.floating] | LazyArray, keep: float) -> NDArray[np.int64]:
    """Return the pixels whose median error lies below the `keep` quantile of all medians.

    Exact for any number of rows: columns are read in strips where all would not fit.
    """
    rows, pixels = error.shape
    if keep >= 1:
        return np.arange(pixels)
    medians = np.empty(pixels)
    width = max(1, STRIP // (4 * rows))
    for first in range(0, pixels, width):
        last = min(first + width, pixels)
        strip = np.empty((rows, last - first), np.float32)
        pieces = error.pieces() if isinstance(error, LazyArray) else [(0, error)]
        for start, part in pieces:
            strip[start : start + len(part)] = part[:, first:last]
        medians[first:last] = np.median(strip, axis=0, overwrite_input=True)
    return np.flatnonzero(medians < np.quantile(medians, keep))
