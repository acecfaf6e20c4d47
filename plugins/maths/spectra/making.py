"""Splits of synthetic spectra, made block by block: in memory where they fit, else on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from plugins.maths.spectra.cleaned import Cleaned
from plugins.maths.spectra.mask import quiet_pixels
from plugins.maths.spectra.stars import BLOCK, LABELS, Stars, Survey
from runner.arrays import Hdf5Array
from runner.types import Circumstance, Seed

HELD = 2**28  # bytes of spectra that are made in memory; more go by way of a file
Splits = dict[str, dict[str, Any]]


def blocks(
    survey: Survey, seed: Seed, split: str, rows: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the first row and the arrays of each block of a split."""
    for number in range(-(-rows // BLOCK)):
        stars: Stars = survey.block(seed, split, number)
        count = min(BLOCK, rows - number * BLOCK)
        arrays = {"flux": stars.flux, "error": stars.error, **stars.labels}
        yield number * BLOCK, {name: values[:count] for name, values in arrays.items()}


def made(
    survey: Survey, seed: Seed, sizes: Mapping[str, int], keep: float, here: Circumstance
) -> tuple[Splits, Any]:
    """Return the splits, cut to the pixels that are kept, and these pixels' numbers."""
    total = sum(sizes.values())
    folder = here.scratch if 8 * total * survey.pixels > HELD and here.scratch.parts else None
    splits: Splits = {}
    done = 0
    for split, rows in sizes.items():
        arrays = _room(split, rows, survey.pixels, folder)
        for start, part in blocks(survey, seed, split, rows):
            for name, values in part.items():
                arrays[name][start : start + len(values)] = values
            here.progress(done + start, total, "spectrum")
        done += rows
        splits[split] = arrays if folder is None else _closed(arrays, folder / f"{split}.h5")
    if folder is None:
        pixels = quiet_pixels(splits["train"]["error"], keep)
        if len(pixels) < survey.pixels:
            for arrays in splits.values():
                arrays |= {name: arrays[name][:, pixels] for name in ("flux", "error")}
        return splits, pixels
    pixels = quiet_pixels(splits["train"]["error"].source, keep)
    for arrays in splits.values():
        arrays |= {name: arrays[name].cut(pixels) for name in ("flux", "error")}
    return splits, pixels


def _room(split: str, rows: int, pixels: int, folder: Path | None) -> dict[str, Any]:
    labels = {name: np.empty(rows, np.float32) for name in LABELS}
    if folder is None:
        return {name: np.empty((rows, pixels), np.float32) for name in ("flux", "error")} | labels
    folder.mkdir(parents=True, exist_ok=True)
    file = h5py.File(folder / f"{split}.h5", "w")
    return {
        name: file.create_dataset(name, (rows, pixels), np.float32) for name in ("flux", "error")
    } | labels


def _closed(arrays: dict[str, Any], path: Path) -> dict[str, Any]:
    """Close the file that spectra were written to; return arrays that read it."""
    arrays["flux"].file.close()
    spectra = {
        name: Cleaned(Hdf5Array.of(path, name), clip=False) for name in ("flux", "error")
    }  # made here: whole and positive already
    return arrays | spectra
