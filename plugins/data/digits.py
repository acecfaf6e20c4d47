"""Real handwritten digits that come with scikit-learn, for where no files are at hand."""

from __future__ import annotations

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Data
from runner.types import Dataset

ROWS = 1797
PIXELS = 8


class Digits(Data):
    """The 1,797 digits of 8 x 8 pixels, enlarged and padded with 0 to 28 x 28. This is not MNIST.

    Each pixel is repeated `enlarge` times both ways and the picture put in the middle. Splits are
    fixed: the first rows train, the last ones, of other writers, test; so that row i of `train` is
    row i of the set.

    Reads:  the set inside scikit-learn; no file, no download. Deterministic: takes no seed.
    Gives:  splits train and test; x (n, 1, 28, 28) float32, (grey / 16 - mean) / std, and y (n,)
            int64; about: name, source, inputs 784, shape, classes 10, mean, std.
    Raises: nothing once the parameters are valid.
    Source: Alpaydin and Kaynak 1998, UCI "Optical recognition of handwritten digits", test part.
    """

    train: int = Field(1500, ge=1, lt=ROWS, description="rows of the training split; rest: test")
    enlarge: int = Field(3, ge=1, le=3, description="width and height of an original pixel, pixels")
    mean: Real = Field(0.1307, description="taken off the grey value in [0, 1]")
    std: Real = Field(0.3081, gt=0, description="divides the grey value after that")

    def run(self) -> Dataset:
        import numpy as np
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        grey = (pixels / 16.0).reshape(-1, PIXELS, PIXELS)
        grey = grey.repeat(self.enlarge, axis=1).repeat(self.enlarge, axis=2)
        margin = (28 - grey.shape[1]) // 2
        grey = np.pad(grey, ((0, 0), (margin, margin), (margin, margin)))
        x = ((grey - self.mean) / self.std).astype(np.float32)[:, None]
        y = labels.astype(np.int64)
        about = {
            "name": "digits",
            "source": f"scikit-learn's 8x8 digits, {self.enlarge}x enlarged, padded to 28x28",
            "inputs": 784, "shape": [1, 28, 28], "classes": 10, "mean": self.mean, "std": self.std,
        }  # fmt: skip
        splits = {"train": slice(0, self.train), "test": slice(self.train, ROWS)}
        return Dataset({name: {"x": x[at], "y": y[at]} for name, at in splits.items()}, about)
