"""Named arrays as a file for other programs, whole or at one place along a dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Renderer
from runner.types import Array, Arrays, Files

if TYPE_CHECKING:
    from collections.abc import Mapping


class ArraysFile(Renderer):
    """Write arrays to .npz or .h5, all of them or the slices where coordinates have given values.

    A coordinate is an array of one dimension, such as `steps` along `snapshot`:
    `at = { steps = 20 }` keeps that snapshot of every array that has the dimension, which is
    then gone from it. What does not have the dimension stays whole.

    Reads:  arrays of numbers, with the names of their dimensions.
    Raises: RunnerError for an array or a coordinate that is not there, or a value that none or
            several of its entries have.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".npz", ".h5")

    keep: tuple[str, ...] = Field((), description="arrays to write; empty: all")
    at: dict[str, Real] = Field({}, description="coordinate -> its value")
    rename: dict[str, str] = Field({}, description="array -> its name in the file")

    def run(self, arrays: Arrays) -> Files:
        import numpy as np

        from plugins.maths.files.exports import written

        names = self.keep or tuple(arrays.arrays)
        if missing := [n for n in (*names, *self.at) if n not in arrays.arrays]:
            raise RunnerError(f"there is no array {missing[0]!r}, only {listed(arrays.arrays)}")
        places = self._places(arrays)
        found: dict[str, Array] = {}
        for name in names:
            index = tuple(places.get(d, slice(None)) for d in arrays.dimensions[name])
            new = self.rename.get(name, name)
            if new in found:
                raise RunnerError(f"two arrays would be called {new!r}; see keep and rename")
            found[new] = np.asarray(arrays[name][index])
        return Files({suffix: written(found, suffix) for suffix in self.suffixes()})

    def _places(self, arrays: Arrays) -> Mapping[str, int]:
        """Return where along which dimension the wanted values stand."""
        import numpy as np

        places: dict[str, int] = {}
        for name, value in self.at.items():
            dimensions = arrays.dimensions[name]
            if len(dimensions) != 1:
                raise RunnerError(f"{name!r} has dimensions {list(dimensions)}; one is needed")
            found = np.flatnonzero(np.asarray(arrays[name]) == value)
            if len(found) != 1:
                raise RunnerError(
                    f"at {name} = {value:g}: {len(found)} of its entries have this value, one is "
                    f"needed; it holds {listed(arrays[name].tolist(), 20)}"
                )
            places[dimensions[0]] = int(found[0])
        return places
