"""The fifteen corruptions of CIFAR-10-C, batched: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from plugins.maths.images import blurs, digital, noises, weather
from plugins.maths.images.kinds import LEVELS, SEVERITIES
from plugins.maths.images.pixels import cut_off
from runner.types import Array, Seed

CHUNK = 250  # images at once; a constant, because each chunk has a stream of its own

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gaussian_noise": noises.gaussian_noise,
    "shot_noise": noises.shot_noise,
    "impulse_noise": noises.impulse_noise,
    "defocus_blur": blurs.defocus_blur,
    "glass_blur": blurs.glass_blur,
    "motion_blur": blurs.motion_blur,
    "zoom_blur": blurs.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}


def corrupted(pixels: Array, kind: str, level: int, seed: Seed, *stream: str) -> Array:
    """Return images (n, h, w, 3), bytes, corrupted: bytes again, cut off, not rounded.

    What is drawn depends on the seed, the stream and an image's place, not on the level: levels are
    compared under common random numbers.

    Args:
        pixels: at least 32 x 32.
        kind: a key of `FUNCTIONS`.
        level: 1 to 5.
        seed: of the draws.
        stream: further names of the draws' stream.

    Raises: ValueError for a level that is not there or images that are too small.
    """
    if not 1 <= level <= LEVELS:
        raise ValueError(f"level = {level}: there are 1 to {LEVELS}")
    if min(pixels.shape[1:3]) < 32:
        raise ValueError(f"images of {pixels.shape[1]} x {pixels.shape[2]}: at least 32 x 32")
    constants, function = SEVERITIES[kind][level - 1], FUNCTIONS[kind]
    found = np.empty_like(pixels)
    for number, first in enumerate(range(0, len(pixels), CHUNK)):
        rows = slice(first, first + CHUNK)
        draw = seed.numpy("corruption", kind, *stream, number)
        x = pixels[rows].astype(np.float32) / np.float32(255)
        found[rows] = cut_off(function(x, draw, *constants))
    return found
