"""MNIST as its authors published it: four idx files, plain or gzipped."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import InputFile, Obtained, Real
from runner.plugin import Data
from runner.types import Array, Dataset

PLACE = "https://ossci-datasets.s3.amazonaws.com/mnist/"


IdxFile = Annotated[InputFile, Obtained(f"get it from {PLACE} (gzipped or not)")]


class Mnist(Data):
    """60,000 training and 10,000 test digits, or whatever the four files hold.

    The files are those that torchvision's MNIST keeps in its folder `raw`. Order is kept: row i of
    a split is row i of its file.

    Reads:  the four files; they are part of the identity by content.
    Gives:  splits train and test; x (n, 1, h, w) float32, (grey / 255 - mean) / std, and y (n,)
            int64; about: name, source, inputs h w, shape, classes 10, mean, std.
    Raises: RunnerError for a file that is not idx, is cut short, or does not match its partner.
    Source: LeCun, Cortes and Burges 1998; the idx format as described on their page.
    """

    train_images: IdxFile = Field(description="train-images-idx3-ubyte, or that with .gz")
    train_labels: IdxFile = Field(description="train-labels-idx1-ubyte, or that with .gz")
    test_images: IdxFile = Field(description="t10k-images-idx3-ubyte, or that with .gz")
    test_labels: IdxFile = Field(description="t10k-labels-idx1-ubyte, or that with .gz")
    mean: Real = Field(0.1307, description="taken off the grey value in [0, 1]")
    std: Real = Field(0.3081, gt=0, description="divides the grey value after that")

    def run(self) -> Dataset:
        import numpy as np

        splits = {}
        for name in ("train", "test"):
            images = read_idx(getattr(self, f"{name}_images"), 3)
            labels = read_idx(getattr(self, f"{name}_labels"), 1)
            if len(images) != len(labels):
                raise RunnerError(
                    f"mnist: {len(images)} {name} images but {len(labels)} labels: "
                    "the two files do not belong together"
                )
            if len(labels) and int(labels.max()) > 9:
                raise RunnerError(f"mnist: {name}_labels holds {labels.max()}; digits are 0 to 9")
            x = images.astype(np.float32)[:, None]
            x *= 1 / (255 * self.std)
            x -= self.mean / self.std
            splits[name] = {"x": x, "y": labels.astype(np.int64)}
        shapes = {tuple(split["x"].shape[1:]) for split in splits.values()}
        if len(shapes) > 1:
            raise RunnerError(f"mnist: train and test images differ in size: {sorted(shapes)}")
        shape = list(shapes.pop())
        about = {
            "name": "MNIST", "source": "idx files", "inputs": shape[1] * shape[2], "shape": shape,
            "classes": 10, "mean": self.mean, "std": self.std,
        }  # fmt: skip
        return Dataset(splits, about)


def read_idx(file: InputFile, dimensions: int) -> Array:
    """Return the bytes of an idx file as an array of so many dimensions.

    Raises: RunnerError naming the file and what is wrong with it.
    """
    import gzip
    import zlib

    import numpy as np

    content = file.path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RunnerError(f"mnist: {file.path.name} is a damaged gzip file: {error}") from error
    head = 4 + 4 * dimensions
    if len(content) < head or content[:4] != bytes([0, 0, 8, dimensions]):
        raise RunnerError(
            f"mnist: {file.path.name} is no idx file of bytes in {dimensions} dimensions; "
            f"get it from {PLACE}"
        )
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
    if len(content) - head != shape.prod():
        raise RunnerError(
            f"mnist: {file.path.name} holds {len(content) - head} bytes where its head announces "
            f"{shape.prod()}; is it cut short? Get it from {PLACE}"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
