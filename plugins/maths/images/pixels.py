"""Colour images between grey values of one byte and the normalised inputs of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runner.errors import RunnerError
from runner.types import Array, Json

WHERE = "about states shape [3, h, w], mean and std, as cifar10 and photo_patches do"
ROUNDING = 1e-3  # grey values, added before cutting off: 128 computed as 127.9999 stays 128


def normalised(pixels: Array, mean: Sequence[float], std: Sequence[float]) -> Array:
    """Return bytes (n, h, w, 3) as (value / 255 - mean) / std, float32 (n, 3, h, w)."""
    x = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
    x *= np.asarray([1 / (255 * s) for s in std], np.float32)[:, None, None]
    x -= np.asarray([m / s for m, s in zip(mean, std, strict=True)], np.float32)[:, None, None]
    return x


def scales(about: Mapping[str, Json]) -> tuple[list[float], list[float]]:
    """Return mean and std of each of three channels.

    Raises: RunnerError when the data does not state them or has no three channels.
    """
    if len(shape := about.get("shape", ())) != 3 or shape[0] != 3:
        raise RunnerError(f"colour images are needed, not rows of shape {list(shape)}: {WHERE}")
    if missing := [name for name in ("mean", "std") if name not in about]:
        raise RunnerError(f"the data does not state {missing[0]!r} of its pixels: {WHERE}")
    mean, std = (
        value if isinstance(value, list | tuple) else [value] * 3
        for value in (about["mean"], about["std"])
    )
    return list(mean), list(std)


def bytes_of(x: Array, mean: Sequence[float], std: Sequence[float]) -> Array:
    """Return normalised images (n, 3, h, w) as the bytes (n, h, w, 3) they were, exactly.

    Raises: RunnerError when values lie outside of what bytes give.
    """
    grey = np.asarray(x, np.float32) * np.asarray([255 * s for s in std], np.float32)[:, None, None]
    grey += np.asarray([255 * m for m in mean], np.float32)[:, None, None]
    if grey.size and not (grey.min() > -0.5 and grey.max() < 255.5):
        raise RunnerError(
            f"x gives grey values from {grey.min():.3g} to {grey.max():.3g} where 0 to 255 are "
            "expected; mean and std in the data's about do not belong to it"
        )
    return np.ascontiguousarray(np.rint(grey).astype(np.uint8).transpose(0, 2, 3, 1))


def cut_off(x: Array) -> Array:
    """Return values in [0, 1], what lies outside clipped, as bytes: cut off, not rounded."""
    return np.clip(x * np.float32(255) + np.float32(ROUNDING), 0, 255).astype(np.uint8)
