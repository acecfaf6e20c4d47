"""Spectra themselves as inputs x: their error alone (a control), or noisy or clean flux."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Perturbation
from runner.types import Dataset, Seed


class SpectraInputs(Perturbation):
    """Take one part of the spectra as inputs x, and labels as targets y.

    `error` gives the logarithm of the error alone: what can be predicted from it has leaked, for
    noise should tell nothing of the star. `noisy` gives flux with the noise that `encode` has for
    equal seeds, `clean` the flux itself.

    Reads:  data: flux and error (N, L) of every split, all of them held, and the targets (N,).
    Gives:  x (N, L) float32, y (N, targets) float32; about: inputs, outputs, channels, positions,
            targets, target_mean 0, target_std 1.
    Raises: RunnerError when an array is missing or an error is not positive.
    Source: none.
    """

    persist = False

    part: Literal["error", "noisy", "clean"] = Field("error", description="what x is made of")
    targets: tuple[str, ...] = Field(("log_g",), min_length=1, description="labels, in order")
    noise_level: Real = Field(1.0, ge=0, description="of `noisy`: factor on the error")

    def run(self, data: Dataset, seed: Seed) -> Dataset:
        import numpy as np

        from plugins.maths.spectra.noise import fixed_noise

        splits = {}
        for name, split in data.splits.items():
            if missing := [k for k in ("flux", "error", *self.targets) if k not in split]:
                raise RunnerError(
                    f"spectra_inputs: {name} has no {missing[0]!r}, only {listed(split)}"
                )
            if self.part == "clean":
                x = np.asarray(split["flux"], np.float32)
            elif self.part == "noisy":
                x, error = (np.asarray(split[key], np.float32) for key in ("flux", "error"))
                x = x + self.noise_level * error * fixed_noise(seed, name, 0, *x.shape)
            else:
                error = np.asarray(split["error"], np.float32)
                if not (error > 0).all():
                    raise RunnerError(
                        f"spectra_inputs: an error of {name} is not above 0; it has no logarithm"
                    )
                x = np.log(error)
            y = np.stack([np.asarray(split[key], np.float32) for key in self.targets], 1)
            splits[name] = {"x": x.astype(np.float32), "y": y}
        width, count = x.shape[1], len(self.targets)
        about = {
            **{key: data.about[key] for key in ("name", "source") if key in data.about},
            "inputs": width, "outputs": count, "channels": width, "positions": 1,
            "targets": list(self.targets), "target_mean": [0.0] * count,
            "target_std": [1.0] * count,
        }  # fmt: skip
        return Dataset(splits, about)
