"""CIFAR-10 as its authors published it, the binary version or the one for Python."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plugins.maths.images.channels import MEAN, STD, Channels, std_problem
from runner.errors import RunnerError
from runner.parameters import InputFile, Obtained
from runner.plugin import Data
from runner.types import Array, Dataset

PLACE = "https://www.cs.toronto.edu/~kriz/cifar.html (the binary version, or that for Python)"
ROW = 1 + 3 * 32 * 32  # bytes of an image in the binary version: label, red, green, blue

BatchFile = Annotated[InputFile, Obtained(f"get it from {PLACE}")]


class Cifar10(Data):
    """50,000 training and 10,000 test images of ten classes, or whatever the files hold.

    Files of the binary version (data_batch_1.bin) and of the one for Python (data_batch_1, which
    torchvision keeps in its folder cifar-10-batches-py) give the same. The latter are pickles: they
    are followed by a reader that knows containers, numbers, text and arrays, and runs nothing.
    Order is kept: training rows are those of the files, in the order given.

    Reads:  the files; they are part of the identity by content.
    Gives:  splits train and test; x (n, 3, 32, 32) float32, (value / 255 - mean) / std, and y (n,)
            int64; about: name, source, inputs 3072, shape, classes 10, mean, std.
    Raises: RunnerError for a file that is neither version, is cut short, or has a label above 9.
    Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; its page.
    """

    train: tuple[BatchFile, ...] = Field(
        description="data_batch_1.bin to data_batch_5.bin, or those without .bin"
    )
    test: BatchFile = Field(description="test_batch.bin, or test_batch")
    mean: Channels = Field(MEAN, description="taken off red, green, blue in [0, 1]")
    std: Channels = Field(STD, description="divide them after that")

    def check_parameters(self) -> str | None:
        if not self.train:
            return "train = [] names no file"
        return std_problem(self.std)

    def run(self) -> Dataset:
        import numpy as np

        from plugins.maths.images.pixels import normalised

        splits = {}
        for name, files in (("train", self.train), ("test", (self.test,))):
            batches = [read_batch(file) for file in files]
            pixels = np.concatenate([images for images, _ in batches])
            labels = np.concatenate([labels for _, labels in batches])
            splits[name] = {"x": normalised(pixels, self.mean, self.std), "y": labels}
        about = {
            "name": "CIFAR-10", "source": "the published files", "inputs": 3072,
            "shape": [3, 32, 32], "classes": 10, "mean": list(self.mean), "std": list(self.std),
        }  # fmt: skip
        return Dataset(splits, about)


def read_batch(file: InputFile) -> tuple[Array, Array]:
    """Return the images (n, 32, 32, 3), bytes, and the labels (n,), int64, of a file.

    Raises: RunnerError naming the file and what is wrong with it.
    """
    import numpy as np

    content, name = file.path.read_bytes(), file.path.name
    if content[:1] == b"\x80":  # a pickle; the binary version begins with a label, 0 to 9
        flat, labels = _from_pickle(content, name)
    elif not content or len(content) % ROW:
        raise RunnerError(
            f"cifar10: {name} holds {len(content)} bytes, no multiple of the {ROW} of an image; "
            f"is it cut short, or no CIFAR-10? Get it from {PLACE}"
        )
    else:
        rows = np.frombuffer(content, np.uint8).reshape(-1, ROW)
        flat, labels = rows[:, 1:], rows[:, 0]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        raise RunnerError(
            f"cifar10: {name} holds labels from {labels.min()} to {labels.max()}; CIFAR-10's are "
            f"0 to 9. Get it from {PLACE}"
        )
    images = flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, labels.astype(np.int64)


def _from_pickle(content: bytes, name: str) -> tuple[Array, Array]:
    import numpy as np

    from plugins.maths.files.plain_pickle import loads

    try:
        found = loads(content)
    except ValueError as error:
        raise RunnerError(f"cifar10: {name}: {error}; get it from {PLACE}") from error
    if not isinstance(found, dict) or not {"data", "labels"} <= set(found):
        there = sorted(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise RunnerError(
            f"cifar10: {name} is a pickle without data and labels: {there}; get it from {PLACE}"
        )
    flat, labels = np.asarray(found["data"]), np.asarray(found["labels"])
    if (
        flat.dtype != np.uint8
        or flat.shape != (len(labels), ROW - 1)
        or labels.dtype.kind not in "iu"
    ):
        raise RunnerError(
            f"cifar10: {name}: data is {flat.dtype} of shape {flat.shape} beside labels "
            f"{labels.dtype} {labels.shape}; uint8 (n, {ROW - 1}) and n whole numbers are expected"
        )
    return flat, labels
