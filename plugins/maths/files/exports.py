"""Nested dicts as the bytes of files that other programs read: equal values, equal bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from plugins.maths.files.grid_files import npz
from plugins.maths.files.nesting import flat
from plugins.maths.files.plain_pickle import dumps


def written(tree: Mapping[Any, Any], suffix: str) -> bytes:
    """Return nested dicts of numbers, text and arrays in the format of a suffix.

    Raises: TypeError for a value that the format does not hold.
    """
    return _WRITERS[suffix](tree)


def _npz(tree: Mapping[Any, Any]) -> bytes:
    arrays = {name: np.asarray(value) for name, value in flat(dict(tree)).items()}
    return npz({n: a.astype(str) if a.dtype.kind == "O" else a for n, a in arrays.items()})


def _h5(tree: Mapping[Any, Any]) -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", track_order=True) as file:
        _fill(file, tree)
    return stream.getvalue()


def _fill(group: Any, tree: Mapping[Any, Any]) -> None:
    for key, value in tree.items():
        name = str(key).replace("/", "|")  # a slash would be a path
        if isinstance(value, Mapping):
            _fill(group.create_group(name, track_order=True), value)
        elif isinstance(value, np.ndarray):
            put_array(group, name, value)
        else:
            group.attrs[name] = value


def put_array(group: Any, name: str, value: Any) -> None:
    """Store an array in an HDF5 group; text as UTF-8."""
    import h5py

    if value.dtype.kind in "OU":
        group.create_dataset(
            name, data=value.astype(object), dtype=h5py.string_dtype(), track_times=False
        )
    else:
        group.create_dataset(name, data=value, track_times=False)


def _json(tree: Mapping[Any, Any]) -> bytes:
    return (json.dumps(_plain(tree), indent=1, allow_nan=True) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


_WRITERS: dict[str, Callable[[Mapping[Any, Any]], bytes]] = {
    ".pkl": dumps, ".npz": _npz, ".h5": _h5, ".json": _json,
}  # fmt: skip
