"""Noises of images (n, h, w, 3), float32 in [0, 1]; results may leave that range."""

from __future__ import annotations

import numpy as np

from runner.types import Array

Draw = np.random.Generator


def gaussian_noise(x: Array, draw: Draw, sigma: float) -> Array:
    """Add normal noise of standard deviation sigma to every channel."""
    return x + np.float32(sigma) * draw.standard_normal(x.shape, dtype=np.float32)


def shot_noise(x: Array, draw: Draw, photons: float) -> Array:
    """Count Poisson photons, so many on average where x is 1."""
    return (draw.poisson(x * np.float32(photons)) / photons).astype(np.float32)


def impulse_noise(x: Array, draw: Draw, share: float) -> Array:
    """Set a share of all values to 0 or 1, as often one as the other."""
    u = draw.random(x.shape, dtype=np.float32)
    found = np.where(u < share / 2, np.float32(0), x)
    return np.where(u > 1 - share / 2, np.float32(1), found)
