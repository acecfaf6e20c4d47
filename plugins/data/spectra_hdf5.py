"""Spectra in HDF5 files, read row by row: 100,000 of 4,096 pixels need no more memory than ten."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import InputFile, Obtained, Real
from runner.plugin import Data
from runner.types import Dataset

PLACE = (
    "the study's spectra are not public; `synthetic_spectra` generates like ones, and the renderer "
    "`spectra_file` writes them as such a file"
)

SpectraFile = Annotated[InputFile, Obtained(PLACE)]


class SpectraHdf5(Data):
    """Read spectra, their errors and labels from one file for each split.

    Two layouts. flat: arrays `wave` (L,), `flux` and `error` (N, L) and one (N,) for each label.
    grouped: `spectrumdataset/wave`, `dataset/arrays/flux/value`, `dataset/arrays/error/value`, and
    labels in a pandas table (fixed or table format) anywhere in the file. Names of labels are
    those of the files whatever their case. Values at the ends of a spectrum that are not finite are
    filled from their neighbour, negative flux is clipped at 0. Spectra stay in their file: a
    row is read when it is asked for.

    Reads:  the three files; they are part of the identity by content.
    Gives:  splits train, val and test; flux and error (n, kept pixels) float32, read when asked
            for, and labels (n,) float32; about: name, source, labels, pixels, kept, wave (A).
    Raises: RunnerError naming the file for one that is no HDF5 file or is cut short, lacks an array
            or a label, or whose arrays do not fit each other or the other files.
    Source: none.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    persist: ClassVar[bool] = False

    train: SpectraFile = Field(description="file of the training split")
    val: SpectraFile = Field(description="file of the validation split")
    test: SpectraFile = Field(description="file of the test split")
    layout: Literal["auto", "flat", "grouped"] = Field(
        "auto", description="where arrays lie in the files; auto: as the file looks"
    )
    labels: tuple[str, ...] = Field(
        ("t_eff", "log_g", "m_h"), min_length=1, description="labels that are read"
    )
    clip: bool = Field(True, description="negative flux becomes 0")
    keep: Real = Field(
        0.85, gt=0, le=1, description="share of pixels kept, least median training error; 1: all"
    )

    def run(self) -> Dataset:
        from plugins.maths.spectra.layouts import named, read_file
        from plugins.maths.spectra.mask import quiet_pixels

        files = {name: getattr(self, name).path for name in self.splits}
        found = {
            name: read_file(path, self.layout, self.labels, clip=self.clip)
            for name, path in files.items()
        }
        wave = found["train"].wave
        for name, file in found.items():
            if file.wave.shape != wave.shape or abs(file.wave - wave).max() > 1e-3:
                raise RunnerError(
                    f"{named(files[name])} has other wavelengths than {named(files['train'])}: the "
                    "splits need one grid"
                )
        pixels = quiet_pixels(found["train"].error, self.keep)
        splits = {
            name: {"flux": file.flux.cut(pixels), "error": file.error.cut(pixels), **file.labels}
            for name, file in found.items()
        }
        about = {
            "name": "spectra", "source": ", ".join(named(path) for path in files.values()),
            "labels": list(self.labels), "pixels": len(wave), "kept": len(pixels),
            "wave": [round(float(w), 3) for w in wave[pixels]],
        }  # fmt: skip
        return Dataset(splits, about)
