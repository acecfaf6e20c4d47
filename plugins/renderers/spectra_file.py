"""Spectra as an HDF5 file of flat layout, which `spectra_hdf5` reads."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.plugin import Renderer
from runner.types import Files, Split

MOST = 2**30  # bytes


class SpectraFile(Renderer):
    """Write a split as `wave`, `flux`, `error` and one array for each label.

    Pixels that a mask left out are not in it: read such a file with keep = 1.

    Reads:  data: flux and error (n, L), the labels that its `about` names, and `wave` there.
    Raises: RunnerError when these are not there, or the file would be larger than 1 GiB.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    labels: tuple[str, ...] = Field((), description="labels to write; empty: all that there are")

    def run(self, data: Split) -> Files:
        import io

        import numpy as np

        from plugins.maths.spectra.layouts import write_flat

        labels = self.labels or tuple(data.about.get("labels", ()))
        names = ("flux", "error", *labels)
        if missing := [name for name in names if name not in data.arrays]:
            raise RunnerError(
                f"spectra_file: the split has no {missing[0]!r}, only {listed(data.arrays)}"
            )
        if "wave" not in data.about:
            raise RunnerError("spectra_file: the data does not state `wave`; is it of spectra?")
        rows, pixels = data["flux"].shape
        if 8 * rows * pixels > MOST:
            raise RunnerError(
                f"spectra_file: {rows} spectra of {pixels} pixels take more than 1 GiB; write fewer"
            )
        stream = io.BytesIO()
        pieces = (
            {name: np.asarray(data[name][start : start + 512]) for name in names}
            for start in range(0, rows, 512)
        )
        write_flat(stream, np.asarray(data.about["wave"]), pieces, rows)
        return Files(dict.fromkeys(self.suffixes(), stream.getvalue()))
