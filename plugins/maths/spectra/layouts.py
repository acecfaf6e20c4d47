"""Spectra in HDF5 files, in two layouts, read with h5py alone; the flat one is also written.

flat: `wave` (L,), `flux` and `error` (N, L), and one array (N,) for each label, at the top.
grouped: `spectrumdataset/wave`, `dataset/arrays/flux/value`, `dataset/arrays/error/value`, and the
labels in a pandas table anywhere in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from plugins.maths.files.plain_pickle import loads
from plugins.maths.spectra.cleaned import Cleaned
from runner.arrays import Hdf5Array
from runner.errors import RunnerError, listed, near

Layout = Literal["auto", "flat", "grouped"]
PLACES = {
    "flat": ("wave", "flux", "error"),
    "grouped": (
        "spectrumdataset/wave", "dataset/arrays/flux/value", "dataset/arrays/error/value",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class SpectraFile:
    """One file: its wavelengths and labels, and its spectra left where they are."""

    wave: NDArray[np.float64]
    flux: Cleaned
    error: Cleaned
    labels: Mapping[str, NDArray[np.float32]]


def named(path: Path) -> str:
    """Return how messages call a file: splits often differ in their folder alone."""
    return f"{path.parent.name}/{path.name}"


def read_file(path: Path, layout: Layout, labels: Sequence[str], *, clip: bool) -> SpectraFile:
    """Return what a file holds, its spectra not read yet.

    Raises: RunnerError naming the file for one that is no HDF5 file or is cut short, lacks an array
    or a label, or whose arrays do not fit each other.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file, layout, labels, clip)
    except OSError as error:
        message = f"{named(path)} cannot be read as HDF5: {error}"
        if "truncated" in str(error):
            message = f"{named(path)} is cut short: {error}; copy it again"
        raise RunnerError(message) from error


def _read(
    path: Path, file: h5py.File, layout: Layout, labels: Sequence[str], clip: bool
) -> SpectraFile:
    if layout == "auto":
        layout = "grouped" if PLACES["grouped"][0] in file else "flat"
    wave, flux, error = (_array(path, file, place, layout) for place in PLACES[layout])
    if flux.ndim != 2:
        raise RunnerError(
            f"{named(path)}: {flux.name} has shape {flux.shape}; spectra are rows of pixels"
        )
    rows, pixels = flux.shape
    for item, wanted in ((error, (rows, pixels)), (wave, (pixels,))):
        if item.shape != wanted:
            raise RunnerError(
                f"{named(path)}: {item.name} has shape {item.shape}, and {flux.name} of shape "
                f"{flux.shape} needs {wanted}"
            )
    if not rows:
        raise RunnerError(f"{named(path)} holds no spectra")
    known = _flat_labels(file) if layout == "flat" else _table_labels(file)
    found = {}
    for label in labels:
        column = next((name for name in known if name.lower() == label.lower()), None)
        if column is None:
            raise RunnerError(
                f"{named(path)} has no label {label!r}{near(label, known)} "
                f"(it has: {listed(sorted(known))})"
            )
        values = np.asarray(known[column], np.float32)
        if values.shape != (rows,):
            raise RunnerError(
                f"{named(path)}: {column} has {len(values)} values for {rows} spectra"
            )
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise RunnerError(f"{named(path)}: {column} is not finite in row {row}")
        found[label] = values
    arrays = [Hdf5Array(path, item.name, tuple(item.shape), item.dtype) for item in (flux, error)]
    cleaned = Cleaned(arrays[0], clip), Cleaned(arrays[1], clip=False)
    return SpectraFile(np.asarray(wave[()], np.float64), *cleaned, found)


def _array(path: Path, file: h5py.File, place: str, layout: str) -> h5py.Dataset:
    item = file.get(place)
    if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
        return item
    there = listed(sorted(_names(file)), 12)
    raise RunnerError(
        f"{named(path)} has no array of numbers {place!r}, which the {layout} layout needs "
        f"(it has: {there})"
    )


def _names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names


def _flat_labels(file: h5py.File) -> dict[str, NDArray[Any]]:
    return {
        name: item[()]
        for name, item in file.items()
        if isinstance(item, h5py.Dataset) and item.ndim == 1 and item.dtype.kind in "fiu"
        and name != "wave"
    }  # fmt: skip


def _table_labels(file: h5py.File) -> dict[str, NDArray[Any]]:
    """Return the columns of numbers of all pandas tables in the file."""
    found: dict[str, NDArray[Any]] = {}
    groups: list[h5py.Group] = []

    def see(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "pandas_type" in item.attrs:
            groups.append(item)

    file.visititems(see)
    for group in groups:
        kind = _text(group.attrs["pandas_type"])
        columns = {"frame": _fixed, "frame_table": _appendable}.get(kind)
        if columns is not None:
            found |= {name: values for name, values in columns(group) if values.dtype.kind in "fiu"}
    return found


def _fixed(group: h5py.Group) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the columns of a frame in pandas' format "fixed": blocks of columns of one type."""
    for number in range(int(group.attrs.get("nblocks", 0))):
        items, values = group[f"block{number}_items"], group[f"block{number}_values"]
        if values.dtype.kind in "fiu" and values.ndim == 2:
            by_column = values[()].T if values.shape[1] == len(items) else values[()]
            yield from zip(map(_text, items[()]), by_column, strict=True)


def _appendable(group: h5py.Group) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the columns of a frame in pandas' format "table": one table of records."""
    table = group["table"]
    rows = table[()]
    for field in rows.dtype.names or ():
        kind = table.attrs.get(f"{field}_kind")
        if field == "index":
            continue
        try:
            names = loads(_bytes(kind)) if field.startswith("values_block") else [field]
        except ValueError as error:
            message = f"{table.name}: the names of its columns are no plain text: {error}"
            raise RunnerError(message) from error
        values = rows[field].reshape(len(rows), -1)
        yield from zip(map(_text, names), values.T, strict=False)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def write_flat(
    target: Any, wave: NDArray[Any], pieces: Iterable[Mapping[str, NDArray[Any]]], rows: int
) -> None:
    """Write pieces of flux, error (n, L) and labels (n,), in order, as one file of flat layout.

    `target` is a path or a stream of bytes. Raises: ValueError when there are not `rows` rows.
    """
    with h5py.File(target, "w") as file:
        file.create_dataset("wave", data=wave, track_times=False)
        done = 0
        for piece in pieces:
            count = len(piece["flux"])
            for name, values in piece.items():
                if name not in file:
                    shape = (rows, *values.shape[1:])
                    file.create_dataset(name, shape, values.dtype, track_times=False)
                file[name][done : done + count] = values
            done += count
    if done != rows:
        raise ValueError(f"{done} rows were given where {rows} were announced")
