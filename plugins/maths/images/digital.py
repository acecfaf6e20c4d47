"""Digital corruptions of images (n, h, w, 3), float32 in [0, 1] and multiples of 1 / 255."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from plugins.maths.images.noises import Draw
from plugins.maths.images.resampling import sampled
from runner.types import Array


def contrast(x: Array, draw: Draw, factor: float) -> Array:
    """Shrink each channel towards its mean over the image."""
    del draw
    mean = x.mean((1, 2), keepdims=True)
    return (x - mean) * np.float32(factor) + mean


def elastic_transform(x: Array, draw: Draw, alpha: float, sigma: float, jitter: float) -> Array:
    """Map three points of each image to jittered ones, then shift each pixel smoothly.

    All three constants are shares of the smaller side.
    """
    n, height, width = x.shape[:3]
    side = min(height, width)
    middle, reach = np.array([width // 2, height // 2]), side // 3
    points = middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = points + draw.uniform(-jitter * side, jitter * side, (n, 3, 2))
    ones = np.ones((n, 3, 1))
    back = np.linalg.solve(np.concatenate([moved, ones], 2), np.broadcast_to(points, (n, 3, 2)))
    rows, columns = np.mgrid[0:height, 0:width]
    grid = np.stack([columns, rows, np.ones_like(rows)], -1).astype(float)
    places = np.einsum("hwk,nkd->nhwd", grid, back).astype(np.float32)
    x = sampled(x, places[..., 1], places[..., 0], edge="mirror")
    if not alpha:
        return x
    shifts = draw.uniform(-1, 1, (2, n, height, width)).astype(np.float32)
    for axis in (2, 3):
        shifts = gaussian_filter1d(shifts, sigma * side, axis, mode="reflect", truncate=3)
    right, down = shifts * np.float32(alpha * side)
    return sampled(x, rows + down, columns + right, edge="reflect")


def pixelate(x: Array, draw: Draw, share: float) -> Array:
    """Average boxes of pixels down to a share of each side and repeat them back to its size.

    As Pillow does it: along rows first, each pass rounded to bytes.
    """
    del draw
    grey = np.rint(x * 255)
    height, width = x.shape[1:3]
    small = (int(height * share), int(width * share))
    for to in (small, (height, width)):
        down, across = _boxes(grey.shape[1], to[0]), _boxes(grey.shape[2], to[1])
        grey = np.floor(np.einsum("vw,nhwc->nhvc", across, grey, optimize=True) + 0.5)
        grey = np.floor(np.einsum("gh,nhwc->ngwc", down, grey, optimize=True) + 0.5)
    return grey / np.float32(255)


def _boxes(side: int, to: int) -> Array:
    """Return (to, side) weights of Pillow's box filter along a line."""
    line = Image.fromarray(np.eye(side, dtype=np.float32))
    return np.asarray(line.resize((to, side), Image.Resampling.BOX)).T


def jpeg_compression(x: Array, draw: Draw, quality: float) -> Array:
    """Write and read each image as JPEG, one by one: a shared picture would mix their edges."""
    del draw
    found = np.empty_like(x)
    for at, grey in enumerate(np.rint(x * 255).astype(np.uint8)):
        stream = io.BytesIO()
        Image.fromarray(grey).save(stream, "JPEG", quality=int(quality))
        found[at] = np.asarray(Image.open(stream))
    return found / np.float32(255)
