"""Noise of spectra. Drawn on the CPU, so that every device sees the same."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.types import Seed

BLOCK = 64  # rows drawn together: row i's noise depends on the seed, the split and i alone


def fixed_noise(seed: Seed, split: str, start: int, stop: int, pixels: int) -> NDArray[np.float32]:
    """Return unit normal noise (stop - start, pixels) of rows of a split, equal at each call."""
    first = start // BLOCK
    blocks = [
        seed.numpy("noise", split, number).standard_normal((BLOCK, pixels), np.float32)
        for number in range(first, -(-stop // BLOCK))
    ]
    drawn = np.concatenate(blocks) if blocks else np.empty((0, pixels), np.float32)
    return drawn[start - first * BLOCK : stop - first * BLOCK]


def fresh_noise(seed: Seed, step: int, rows: int, pixels: int) -> Tensor:
    """Return unit normal noise (rows, pixels) of one training step."""
    return torch.randn(rows, pixels, generator=seed.torch("noise", step))
