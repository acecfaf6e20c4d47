"""Patches of photographs that come with scikit-learn, for where no image files are at hand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.images.channels import MEAN, STD, Channels, std_problem
from runner.plugin import Data
from runner.types import Dataset, Seed

HEIGHT, WIDTH = 427, 640  # of both photographs, pixels
EVERY = 4  # the last of so many stripes is kept for the test split


class PhotoPatches(Data):
    """Colour patches of two photographs; the class says from which, and from which band of it.

    Each photograph is cut into `bands` horizontal bands of equal height (the sky, roofs, trees; the
    leaves and the flower), which are the classes, and into vertical stripes. Training patches lie
    within three stripes of four, test patches within the fourth: no pixel is in both. Positions
    are drawn uniformly; patches of one split may overlap. Row i has class i modulo their number.
    This is not CIFAR-10.

    Reads:  china.jpg and flower.jpg inside scikit-learn; no download.
    Gives:  splits train and test; x (n, 3, size, size) float32, (value / 255 - mean) / std, and y
            (n,) int64; about: name, source, inputs, shape, classes, mean, std.
    Raises: nothing once the parameters are valid.
    Source: the photographs' authors as named in scikit-learn's datasets/images/README.txt.
    """

    photographs: tuple[Literal["china", "flower"], ...] = Field(
        ("china", "flower"), min_length=1, description="which photographs, in the classes' order"
    )
    bands: int = Field(3, ge=1, le=13, description="classes of a photograph; five are too alike")
    size: int = Field(32, ge=8, le=128, description="width and height of a patch, pixels")
    stripe: int = Field(64, ge=8, le=160, description="width of a stripe, pixels")
    train: int = Field(4000, ge=1, description="patches in the training split")
    test: int = Field(1000, ge=1, description="patches in the test split")
    mean: Channels = Field(MEAN, description="taken off red, green, blue in [0, 1]")
    std: Channels = Field(STD, description="divide them after that")

    def check_parameters(self) -> str | None:
        if len(set(self.photographs)) < len(self.photographs):
            return f"photographs = {list(self.photographs)} names one twice"
        if self.size > min(self.stripe, HEIGHT // self.bands):
            return (
                f"size = {self.size} must fit a stripe of {self.stripe} and a band of "
                f"{HEIGHT // self.bands} pixels"
            )
        return std_problem(self.std)

    def run(self, seed: Seed) -> Dataset:
        import numpy as np
        from sklearn.datasets import load_sample_image

        from plugins.maths.images.pixels import normalised

        pictures = np.stack([load_sample_image(f"{name}.jpg") for name in self.photographs])
        windows = np.lib.stride_tricks.sliding_window_view(
            pictures, (self.size, self.size), axis=(1, 2)
        )  # (photograph, top, left, channel, row, column)
        classes, band = len(self.photographs) * self.bands, HEIGHT // self.bands
        stripes = np.arange(WIDTH // self.stripe)
        held_out = stripes % EVERY == EVERY - 1
        splits = {}
        for name, count, own in (
            ("train", self.train, stripes[~held_out]),
            ("test", self.test, stripes[held_out]),
        ):
            draw = seed.numpy("patches", name)
            y = np.arange(count) % classes
            top = y % self.bands * band + draw.integers(0, band - self.size + 1, count)
            left = draw.choice(own, count) * self.stripe
            left += draw.integers(0, self.stripe - self.size + 1, count)
            patches = windows[y // self.bands, top, left].transpose(0, 2, 3, 1)
            splits[name] = {"x": normalised(patches, self.mean, self.std), "y": y.astype(np.int64)}
        about = {
            "name": "photo_patches",
            "source": "patches of scikit-learn's photographs " + ", ".join(self.photographs),
            "inputs": 3 * self.size**2, "shape": [3, self.size, self.size], "classes": classes,
            "mean": list(self.mean), "std": list(self.std),
        }  # fmt: skip
        return Dataset(splits, about)
