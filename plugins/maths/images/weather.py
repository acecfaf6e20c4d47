"""Weather on images (n, h, w, 3), float32 in [0, 1]; results may leave that range."""

from __future__ import annotations

from functools import cache

import numpy as np

from plugins.maths.images.noises import Draw
from plugins.maths.images.pixels import cut_off
from plugins.maths.images.resampling import RGB_TO_GREY, moved, zoomed
from runner.types import Array

FROST_SIDE = 256  # smallest side of a frost picture, pixels
# Mean red, green, blue and contrast (standard deviation) of the five photographs of frost that the
# published code draws from, shrunk as there; the second and the third are the same one.
FROST = (
    (0.304, 0.584, 0.650, 0.170),
    (0.787, 0.805, 0.841, 0.089),
    (0.787, 0.805, 0.841, 0.089),
    (0.541, 0.601, 0.649, 0.123),
    (0.440, 0.483, 0.528, 0.173),
)


def snow(x: Array, draw: Draw, *constants: float) -> Array:
    """Let flakes fall, moved along an angle of the image's own, over a whitened image.

    Constants are the flakes' mean, std, zoom and threshold, radius and sigma of their motion, and
    the share of the image that is not whitened.
    """
    mean, std, zoom, threshold, radius, sigma, blend = constants
    n, height, width = x.shape[:3]
    flakes = mean + std * draw.standard_normal((n, height, width), dtype=np.float32)
    flakes = zoomed(flakes, np.array([zoom]))
    flakes[flakes < threshold] = 0
    flakes = cut_off(flakes) / np.float32(255)
    angles = draw.uniform(-135, -45, n)
    flakes = moved(flakes[..., None], int(radius), sigma, angles)
    flakes = np.rint(flakes * 255) / np.float32(255)  # both as bytes, as published
    grey = (x @ np.asarray(RGB_TO_GREY, np.float32))[..., None]
    white = blend * x + (1 - blend) * np.maximum(x, 1.5 * grey + 0.5)
    return white + flakes + flakes[:, ::-1, ::-1]


def frost(x: Array, draw: Draw, image: float, ice: float) -> Array:
    """Add a random cutting of one of five frost pictures, which are generated, not photographs."""
    n, height, width = x.shape[:3]
    side = max(FROST_SIDE, height + 1, width + 1)
    pictures = np.stack([frost_picture(number, side) for number in range(len(FROST))])
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (height, width), axis=(1, 2))
    which = draw.integers(0, len(FROST), n)
    top, left = draw.integers(0, side - height, n), draw.integers(0, side - width, n)
    cuttings = windows[which, top, left].transpose(0, 2, 3, 1)
    return image * x + ice * cuttings


@cache
def frost_picture(number: int, side: int) -> Array:
    """Return a picture (side, side, 3) of frost in [0, 1]: bright needles on glass.

    Needles are ridges of noise that is smooth along a direction and rough across it; several
    directions lie over one another, brighter in some regions than in others. Mean colour and
    contrast are a photograph's. The same in every run: it stands for that photograph.
    """
    draw = np.random.default_rng([number, 2019])
    frequency = np.fft.fftfreq(side)
    down, right = frequency[:, None], frequency[None]
    radius = np.hypot(down, right)

    def noise(gain: Array) -> Array:
        field = np.fft.ifft2(np.fft.fft2(draw.standard_normal((side, side))) * gain).real
        return field / field.std()

    needles = np.zeros((side, side))
    for angle in draw.uniform(0, np.pi, 6):
        along = right * np.cos(angle) + down * np.sin(angle)
        across = down * np.cos(angle) - right * np.sin(angle)
        gain = np.exp(-((along / 0.02) ** 2) - (across / 0.16) ** 2)
        ridges = np.exp(-((noise(gain) / 0.35) ** 2))
        region = 1 / (1 + np.exp(-2 * noise(np.exp(-((radius / 0.02) ** 2)))))
        needles = np.maximum(needles, ridges * region)
    light = needles + 0.1 * noise(1 / np.maximum(radius, 1 / side) ** 1.5)
    *colour, contrast = FROST[number]
    light = contrast * (light - light.mean()) / light.std()
    return np.clip(light[..., None] + colour, 0, 1).astype(np.float32)


def fog(x: Array, draw: Draw, strength: float, decay: float) -> Array:
    """Add a cloud of plasma to each image and darken it to the brightness it had."""
    n, height, width = x.shape[:3]
    side = 1 << (max(height, width) - 1).bit_length()
    cloud = plasma(n, side, decay, draw)[:, :height, :width, None]
    most = x.max((1, 2, 3), keepdims=True)
    return (x + np.float32(strength) * cloud) * most / (most + np.float32(strength))


def plasma(count: int, side: int, decay: float, draw: Draw) -> Array:
    """Return height maps (count, side, side) in [0, 1] by diamond and square on a torus.

    Each round sets the middles of squares, then of edges, to the mean of their four neighbours plus
    uniform noise, which is smaller by `decay` in the next round.
    """
    heights = np.zeros((count, side, side), np.float32)
    step, swing = side, 100.0
    while step >= 2:
        half = step // 2

        def jittered(four: Array, swing: float = swing) -> Array:
            noise = draw.random(four.shape, dtype=np.float32) * 2 - 1
            return four / 4 + np.float32(swing * swing) * noise

        corners = heights[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, 1)
        heights[:, half::step, half::step] = jittered(pairs + np.roll(pairs, -1, 2))
        middles = heights[:, half::step, half::step]
        across = corners + np.roll(corners, -1, 2)
        heights[:, ::step, half::step] = jittered(across + middles + np.roll(middles, 1, 1))
        down = corners + np.roll(corners, -1, 1)
        heights[:, half::step, ::step] = jittered(down + middles + np.roll(middles, 1, 2))
        step, swing = half, swing / decay
    heights -= heights.min((1, 2), keepdims=True)
    return heights / heights.max((1, 2), keepdims=True)


def brightness(x: Array, draw: Draw, more: float) -> Array:
    """Raise the value of hue, saturation, value; hue and saturation stay."""
    del draw
    value = x.max(-1, keepdims=True)
    raised = np.clip(value + np.float32(more), 0, 1)
    dark = value == 0  # black has neither hue nor saturation: it becomes grey
    return np.where(dark, raised, x * (raised / np.where(dark, 1, value)))
