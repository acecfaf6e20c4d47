"""CIFAR-10-C, corrupted images as published: one kind of corruption at one level."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plugins.maths.images.channels import MEAN, STD, Channels, std_problem
from plugins.maths.images.kinds import LEVELS, Kind
from runner.errors import RunnerError
from runner.parameters import InputFile, Obtained
from runner.plugin import Data
from runner.types import Array, Dataset

PLACE = "https://zenodo.org/records/2535967 (CIFAR-10-C.tar)"

CorruptedFile = Annotated[InputFile, Obtained(f"get it from {PLACE}")]


class Cifar10c(Data):
    """The test images of CIFAR-10 under one of fifteen corruptions, at one of five levels.

    A file holds the five levels one after the other: level s is its s-th fifth, rows
    [10,000 (s - 1), 10,000 s). It is memory-mapped, so that only those rows are read. Order is
    kept: row i is the corrupted row i of CIFAR-10's test split.

    Reads:  the two files; they are part of the identity by content.
    Gives:  split test alone; x (n, 3, h, w) float32, (value / 255 - mean) / std, and y (n,) int64;
            about: name, source, corruption, level, inputs, shape, classes 10, mean, std.
    Raises: RunnerError for a file that is no npy file of bytes of shape (5 n, h, w, 3), is cut
            short, or does not match the labels.
    Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions
            and Perturbations, ICLR 2019.
    """

    splits = ("test",)

    kind: Kind = Field(description="which corruption; the images' file is named after it")
    images: CorruptedFile = Field(description="path of {kind}.npy, such as gaussian_noise.npy")
    labels: CorruptedFile = Field(description="path of labels.npy")
    level: int = Field(5, ge=1, le=LEVELS, description="severity, 1 the least")
    mean: Channels = Field(MEAN, description="taken off red, green, blue in [0, 1]")
    std: Channels = Field(STD, description="divide them after that")

    def check_parameters(self) -> str | None:
        if self.images.path.name != f"{self.kind}.npy":
            return (
                f"images = {self.images.path.name!r} is not the file of kind = {self.kind!r}, "
                f"{self.kind}.npy"
            )
        return std_problem(self.std)

    def run(self) -> Dataset:
        import numpy as np

        from plugins.maths.images.pixels import normalised

        images, labels = mapped(self.images, 4), mapped(self.labels, 1)
        name = self.images.path.name
        if images.shape[3] != 3 or len(images) % LEVELS:
            raise RunnerError(
                f"cifar10c: {name} has shape {images.shape}; {LEVELS} levels of colour images are "
                f"(50000, 32, 32, 3). Get it from {PLACE}"
            )
        if len(labels) != len(images):
            raise RunnerError(
                f"cifar10c: {len(images)} images in {name} but {len(labels)} labels in "
                f"{self.labels.path.name}: the two files do not belong together"
            )
        each = len(images) // LEVELS
        rows = slice((self.level - 1) * each, self.level * each)
        y = np.asarray(labels[rows]).astype(np.int64)
        if len(y) and int(y.max()) > 9:
            raise RunnerError(f"cifar10c: labels.npy holds {y.max()}; CIFAR-10's are 0 to 9")
        x = normalised(np.asarray(images[rows]), self.mean, self.std)
        about = {
            "name": "CIFAR-10-C", "source": "the published files", "corruption": self.kind,
            "level": self.level, "inputs": int(np.prod(x.shape[1:])), "shape": list(x.shape[1:]),
            "classes": 10, "mean": list(self.mean), "std": list(self.std),
        }  # fmt: skip
        return Dataset({"test": {"x": x, "y": y}}, about)


def mapped(file: InputFile, dimensions: int) -> Array:
    """Return an npy file of bytes, memory-mapped: nothing is read yet and nothing can execute.

    Raises: RunnerError naming the file and what is wrong with it.
    """
    import numpy as np

    name = file.path.name
    try:
        found = np.load(file.path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise RunnerError(
            f"cifar10c: {name} is no npy file, or cut short: {error}. Get it from {PLACE}"
        ) from error
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.ndim != dimensions:
        what = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else "an archive"
        raise RunnerError(
            f"cifar10c: {name} holds {what}; bytes in {dimensions} dimensions are expected. "
            f"Get it from {PLACE}"
        )
    return found
