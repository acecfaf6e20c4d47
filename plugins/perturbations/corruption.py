"""Noise, blur, weather and digital faults on images, as in CIFAR-10-C."""

from __future__ import annotations

from pydantic import Field

from plugins.maths.images.kinds import LEVELS, Kind
from runner.errors import RunnerError, listed
from runner.plugin import Perturbation
from runner.types import Circumstance, Dataset, Seed


class Corruption(Perturbation):
    """Corrupt the images of a data set by one of fifteen kinds at one of five levels.

    Constants are those published for images of 32 x 32, outputs whole bytes. Draws depend on the
    seed, the kind, the split and an image's place in it, not on the level. Frost is added from
    generated pictures, since the photographs of the published code are not shipped; all else
    follows that code, larger images too. Everything but `x` stays as it is.

    Reads:  data: x (n, 3, h, w) of the splits, h and w at least 32; about: shape, mean, std.
    Raises: RunnerError when there is no such split, or x is not colour images of that size.
    Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions
            and Perturbations, ICLR 2019, and the code published with it.
    """

    kind: Kind = Field("gaussian_noise", description="which corruption, by CIFAR-10-C's name")
    level: int = Field(5, ge=1, le=LEVELS, description="severity, 1 the least")
    only: tuple[str, ...] = Field((), description="splits to corrupt; empty: all")

    def run(self, data: Dataset, seed: Seed, here: Circumstance) -> Dataset:
        from plugins.maths.images.corruptions import corrupted
        from plugins.maths.images.pixels import bytes_of, normalised, scales

        if missing := [name for name in self.only if name not in data.splits]:
            raise RunnerError(f"the data has no split {missing[0]!r}, only {listed(data.splits)}")
        mean, std = scales(data.about)
        splits = dict(data.splits)
        for done, name in enumerate(chosen := self.only or tuple(splits)):
            x = splits[name].get("x")
            if x is None or x.ndim != 4 or min(x.shape[2:]) < 32:
                what = "no x" if x is None else f"x of shape {tuple(x.shape)}"
                raise RunnerError(
                    f"split {name!r} has {what}; corruptions need colour images (n, 3, h, w) of "
                    "at least 32 x 32 pixels"
                )
            pixels = corrupted(bytes_of(x, mean, std), self.kind, self.level, seed, name)
            splits[name] = {**splits[name], "x": normalised(pixels, mean, std)}
            here.progress(done + 1, len(chosen), "split")
        return Dataset(splits, {**data.about, "corruption": self.kind, "level": self.level})
