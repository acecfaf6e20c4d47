"""Named groups of named arrays as HDF5 files, equal for equal arrays; a file is data and no more.

Read are plain arrays of numbers that lie in the file itself: links, virtual and external arrays,
which could lead out of it, are refused.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.arrays import Hdf5Array, LazyArray
from runner.storage.parquet import Room

Groups = dict[str, dict[str, Any]]  # group -> name -> array
_LAZY = "lazy"  # attribute of an array that is not to be held whole


def write(target: Path | io.BytesIO, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Write named groups of named arrays, lazy ones piece by piece; group "" is the file itself.

    Raises: TypeError for what is no array of numbers, ValueError for a name that is a path.
    """
    import h5py
    import numpy as np

    with h5py.File(target, "w", track_order=True) as file:
        for group, arrays in groups.items():
            _check_name(group)
            place = file.create_group(group, track_order=True) if group else file
            for name, array in arrays.items():
                _check_name(name)
                data = array if isinstance(array, LazyArray) else np.asarray(array)
                if data.dtype.kind not in "biufc":
                    raise TypeError(f"array {name!r} may not hold {data.dtype}")
                if not isinstance(data, LazyArray):
                    place.create_dataset(name, data=data, track_times=False)
                    continue
                item = place.create_dataset(
                    name, shape=data.shape, dtype=data.dtype, track_times=False
                )
                item.attrs[_LAZY] = True
                for start, rows in data.pieces():
                    item[start : start + len(rows)] = rows


def _check_name(name: str) -> None:
    if "/" in name or name == ".":
        raise ValueError(f"{name!r} cannot name an array or a split: HDF5 reads it as a path")


def read(path: Path, only: str | None = None) -> Groups:
    """Return the arrays by group, of one group if `only` names it; lazy ones stay in the file.

    Raises: ValueError for what may not be in it, or has more bytes in memory than in the file.
    """
    import h5py

    groups: Groups = {}
    room = Room(path.stat().st_size)
    with h5py.File(path, "r") as file:
        for name in file:
            _check_link(file, name)
            item = file[name]
            if isinstance(item, h5py.Dataset):
                groups.setdefault("", {})[name] = _plain_array(file, name, room, path)
            elif only is None or name == only:
                groups[name] = {key: _plain_array(item, key, room, path) for key in item}
    return groups


def _check_link(group: Any, name: str) -> None:
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is a link; stored HDF5 holds plain arrays only")


def _plain_array(group: Any, name: str, room: Room, path: Path) -> Any:
    """Return an array that lies in the file itself and is made of numbers."""
    import h5py
    import numpy as np

    _check_link(group, name)
    item = group[name]
    if (
        not isinstance(item, h5py.Dataset)
        or item.dtype.kind not in "biufc"
        or item.external
        or item.is_virtual
    ):
        raise ValueError(f"{name!r} is no plain array of numbers; stored HDF5 holds nothing else")
    room.take(name, item.nbytes)
    if _LAZY in item.attrs:
        return Hdf5Array(path, item.name, tuple(item.shape), item.dtype)
    return np.asarray(item[()])
