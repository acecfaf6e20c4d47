"""Blurs of images (n, h, w, 3), float32 in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter1d

from plugins.maths.images.noises import Draw
from plugins.maths.images.pixels import cut_off
from plugins.maths.images.resampling import moved, zoomed
from runner.types import Array

SHIFT = 1  # largest shift of a pixel in glass_blur, at every published level


def defocus_blur(x: Array, draw: Draw, radius: float, smoothing: float) -> Array:
    """Average over a disk of `radius` pixels, itself smoothed by a 3 x 3 Gaussian."""
    del draw
    reach = int(radius) + 1
    offsets = np.arange(-reach, reach + 1)
    disk = (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(float)
    taps = np.exp(-(np.arange(-1, 2) ** 2) / (2 * smoothing**2))
    taps /= taps.sum()
    kernel = disk / disk.sum()
    for axis in (0, 1):
        kernel = correlate1d(kernel, taps, axis, mode="constant")
    return _filtered(x, kernel.astype(np.float32))


def _filtered(x: Array, kernel: Array) -> Array:
    """Return the images correlated with a kernel (k, k); outside they are mirrored."""
    reach = len(kernel) // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    height, width = x.shape[1:3]
    found = np.zeros_like(x)
    for (row, column), weight in np.ndenumerate(kernel):
        if weight > 1e-7:  # below what float32 adds to a grey value
            found += weight * padded[:, row : row + height, column : column + width]
    return found


def glass_blur(x: Array, draw: Draw, sigma: float, rounds: float) -> Array:
    """Smooth, let pixels take a neighbour's place `rounds` times, smooth again.

    A pixel takes the value of itself or of the pixel above, left or both. The published code means
    to swap the two, but assigns views of one array, so that the other pixel keeps its value; and
    it goes from the last pixel to the first, so that all values taken are old ones. The published
    images are made that way.
    """
    n, height, width, channels = x.shape
    found = cut_off(_smoothed(x, sigma))
    inner = np.zeros((height, width), bool)
    inner[SHIFT + 1 : height - SHIFT + 1, SHIFT + 1 : width - SHIFT + 1] = True
    own = np.arange(n * height * width).reshape(n, height, width)
    for _ in range(int(rounds)):
        up, left = draw.integers(0, SHIFT + 1, (2, n, height, width))
        source = own - inner * (up * width + left)
        found = found.reshape(-1, channels)[source]
    return _smoothed(found.astype(np.float32) / 255, sigma)


def _smoothed(x: Array, sigma: float) -> Array:
    for axis in (1, 2):
        x = gaussian_filter1d(x, sigma, axis, mode="nearest", truncate=4.0)
    return x


def motion_blur(x: Array, draw: Draw, radius: float, sigma: float) -> Array:
    """Move each image along an angle of its own, within 45 degrees of the horizontal."""
    angles = draw.uniform(-45, 45, len(x))
    # the published code has the blurred image rounded to bytes by the program that blurs it
    return np.rint(moved(x, int(radius), sigma, angles) * 255) / np.float32(255)


def zoom_blur(x: Array, draw: Draw, end: float) -> Array:
    """Average the image and its zooms by 1, 1.01, 1.02 and so on, below `end`."""
    del draw
    factors = np.arange(1, end, 0.01)  # rounding decides whether it reaches its end, as published
    return (x + zoomed(x, factors)) / np.float32(len(factors) + 1)
