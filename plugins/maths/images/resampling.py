"""Images at other places than their pixels: shifts, zooms, bilinear sampling. All batched.

Shapes: n images of h x w pixels, (n, h, w) or (n, h, w, 3).
"""

from __future__ import annotations

import numpy as np

from runner.types import Array

RGB_TO_GREY = (0.299, 0.587, 0.114)


def zoomed(x: Array, factors: Array) -> Array:
    """Return the sum over the factors of the images' middles, enlarged to the images' size.

    A middle has ceil(side / factor) pixels; enlarged linearly, it may be a little larger than the
    image and is then cut. A factor that leaves the middle whole returns the image itself.
    """
    n, height, width = x.shape[:3]
    flat = x.reshape(n, height, width, -1).transpose(0, 1, 3, 2)  # (n, h, c, w)
    channels = flat.shape[2]
    flat = np.ascontiguousarray(flat).reshape(n, height, channels * width)
    total = np.zeros((n, height, channels, width), np.float32)
    for factor in factors:
        rows, columns = zoom_matrix(height, factor), zoom_matrix(width, factor)
        tall = np.matmul(rows, flat).reshape(n * height * channels, width)
        total += (tall @ columns.T).reshape(total.shape)
    return np.ascontiguousarray(total.transpose(0, 1, 3, 2)).reshape(x.shape)


def zoom_matrix(side: int, factor: float) -> Array:
    """Return (side, side) weights: which pixels of a line each pixel of the zoomed line mixes."""
    from scipy.ndimage import zoom

    middle = int(np.ceil(side / factor))
    first = (side - middle) // 2
    whole = zoom(np.eye(middle), (factor, 1.0), order=1)  # (side or more, middle)
    cut = (len(whole) - side) // 2
    found = np.zeros((side, side), np.float32)
    found[:, first : first + middle] = whole[cut : cut + side]
    return found


def moved(x: Array, radius: int, sigma: float, angles: Array) -> Array:
    """Blur images (n, h, w, c) as if each moved along its angle (n,), degrees.

    Half a Gaussian of 2 radius + 1 steps of whole pixels, from the pixel on; edges go on outside.
    """
    n, height, width = x.shape[:3]
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    image = np.arange(n)[:, None, None] * height
    flat = x.reshape(n * height * width, -1)
    down, right = np.sin(np.deg2rad(angles)), np.cos(np.deg2rad(angles))
    found = np.zeros_like(flat).reshape(n, height, width, -1)
    for step, weight in zip(steps, weights, strict=True):
        if weight < 1e-7:  # below what float32 adds to a grey value
            break
        dy = np.ceil(step * down - 0.5).astype(np.int64)[:, None]
        dx = np.ceil(step * right - 0.5).astype(np.int64)[:, None]
        rows = np.clip(np.arange(height) + dy, 0, height - 1)  # (n, h)
        columns = np.clip(np.arange(width) + dx, 0, width - 1)
        at = (image + rows[:, :, None]) * width + columns[:, None, :]
        found += np.float32(weight) * flat[at]
    return found.reshape(x.shape)


def sampled(x: Array, rows: Array, columns: Array, *, edge: str) -> Array:
    """Return images at fractional places, bilinear.

    Args:
        x: (n, h, w, c).
        rows: (n, h, w), the place that each pixel takes its value from.
        columns: (n, h, w).
        edge: how images go on outside: "mirror" (c b | a b c, the edge once) or "reflect"
            (b a | a b c, the edge twice).
    """
    n, height, width = x.shape[:3]
    flat = x.reshape(n * height * width, -1)
    top, left = np.floor(rows), np.floor(columns)
    below, right = (rows - top)[..., None], (columns - left)[..., None]
    image = np.arange(n)[:, None, None] * height

    def at(row: Array, column: Array) -> Array:
        inside = folded(row.astype(np.int64), height, edge)
        place = (image + inside) * width + folded(column.astype(np.int64), width, edge)
        return np.take(flat, place, axis=0)

    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return upper * (1 - below) + lower * below


def folded(at: Array, side: int, edge: str) -> Array:
    """Return indices folded back into 0 .. side - 1."""
    if edge == "mirror":
        period = max(2 * side - 2, 1)
        at = np.abs(at) % period
        return np.where(at >= side, period - at, at)
    period = 2 * side
    at = np.mod(at, period)
    return np.where(at >= side, period - 1 - at, at)
