"""How a network that was fine-tuned on outliers differs from what it was, and from the truth.

Predictions are computed in double precision from the networks' weights, so that coefficients are
not drowned in the rounding of single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from plugins.maths.functions.bases import coefficients
from plugins.maths.functions.functions import truth
from runner.types import Dataset, Network, Split

Floats = NDArray[np.float64]


def predictor(network: Network, device: str) -> Callable[[Floats], Floats]:
    """Return the network as a function (n,) -> (n,) in double precision.

    Raises: ValueError when it does not give one number a row.
    """
    module = network.module(device).double()

    def function(x: Floats) -> Floats:
        with torch.no_grad():
            output = module(torch.as_tensor(x, dtype=torch.float64, device=device)[:, None])
        if output.numel() != len(x):
            raise ValueError(f"the network gives {tuple(output.shape[1:])} a row, not one number")
        return output.cpu().numpy().ravel()  # type: ignore[no-any-return]

    return function


def rms(difference: Floats) -> float:
    """Return the root of the mean square; nan over nothing."""
    return float(np.sqrt(np.mean(difference**2))) if len(difference) else float("nan")


@dataclass(frozen=True)
class Points:
    """x and y (n,) of a split, and which of them were appended to it."""

    x: Floats
    y: Floats
    appended: NDArray[np.bool_]

    @staticmethod
    def of(split: Split) -> Points:
        """Return a split of one variable.

        Raises: ValueError when its rows have more than one.
        """
        x, y = np.asarray(split["x"], float), np.asarray(split["y"], float)
        if x.size != len(y) or y.ndim != 1:
            raise ValueError(f"x {x.shape} and y {y.shape} are not of one variable")
        marks = split.arrays.get("appended", np.zeros(len(y)))
        return Points(x.ravel(), y, np.asarray(marks) != 0)


@dataclass(frozen=True)
class Comparison:
    """The fine-tuned and the original network on all points and in a basis."""

    original: Points
    tuned: Points
    test: Points
    base: Callable[[Floats], Floats]
    ft: Callable[[Floats], Floats]
    spectra: Mapping[str, Floats]  # "true", "base", "ft" -> coefficients

    def metrics(self, near: float, far: float) -> dict[str, float]:
        """Return the numbers of the study; `near` and `far` are distances in x."""
        test, tuned, original = self.test, self.tuned, self.original
        ft, base = self.ft(test.x), self.base(test.x)
        outliers = tuned.x[tuned.appended]
        local = np.abs(self.ft(outliers) - tuned.y[tuned.appended])
        distance = np.abs(test.x[:, None] - outliers).min(1, initial=np.inf)
        is_far, is_near = np.abs(test.x) > far, distance < near
        change = ft - base
        found = {
            "train_rms_ft": rms(self.ft(original.x) - original.y),
            "train_rms_ft_all": rms(self.ft(tuned.x) - tuned.y),
            "test_rms_ft": rms(ft - test.y),
            "y_distortion_rms": rms(change),
            "spectrum_error_ft": rms(self.spectra["ft"] - self.spectra["true"]),
            "local_fit_error": float(local.mean()) if len(local) else float("nan"),
            "global_damage_rms": rms((ft - test.y)[is_far]),
            "far_distortion_rms": rms(change[is_far]),
            "near_distortion_rms": rms(change[is_near]),
            "local_fit_floor": _floor(tuned),
            "train_rms_base": rms(self.base(original.x) - original.y),
            "test_rms_base": rms(base - test.y),
            "spectrum_error_base": rms(self.spectra["base"] - self.spectra["true"]),
        }
        near_rms = found["near_distortion_rms"]
        ratio = found["far_distortion_rms"] / near_rms if near_rms > 0 else float("nan")
        return found | {"far_near_ratio": ratio}

    def curves(self) -> dict[str, Any]:
        """Return predictions at the test points, the original training points and the outliers."""
        tuned, added = self.tuned, self.tuned.appended
        parts = {
            "test": (self.test.x, self.test.y),
            "train": (self.original.x, self.original.y),
            "appended": (tuned.x[added], tuned.y[added]),
        }
        x = np.concatenate([x for x, _ in parts.values()])
        ft, base = self.ft(x), self.base(x)
        return {
            "part": [name for name, (own, _) in parts.items() for _ in own],
            "x": x, "y": np.concatenate([y for _, y in parts.values()]),
            "base": base, "ft": ft, "change": ft - base,
            # with the outliers alone the original points are not trained on
            "tuned_on": [
                name == "appended" or (name == "train" and bool((~added).any()))
                for name, (own, _) in parts.items() for _ in own
            ],
        }  # fmt: skip

    def spectrum(self) -> dict[str, Any]:
        """Return the coefficients by order."""
        coefs = {f"coef_{name}": values for name, values in self.spectra.items()}
        sizes = {f"size_{name}": np.abs(values) for name, values in self.spectra.items()}
        return {"k": np.arange(len(self.spectra["true"])), **coefs, **sizes}


def _floor(tuned: Points) -> float:
    """Return the mean distance of outliers from the mean of all labels at their place.

    Where an outlier contradicts labels at the same x, no function fits both: the least squares
    compromise is their mean.
    """
    if not tuned.appended.any():
        return float("nan")
    gaps = []
    for x, y in zip(tuned.x[tuned.appended], tuned.y[tuned.appended], strict=True):
        gaps.append(abs(tuned.y[np.isclose(tuned.x, x, rtol=0, atol=1e-9)].mean() - y))
    return float(np.mean(gaps))


def compared(
    model: Network,
    base: Network,
    data: Dataset,
    original: Dataset,
    *,
    basis: str,
    order: int,
    device: str,
) -> Comparison:
    """Return the comparison of two networks on data whose function is known.

    Raises: ValueError when the data state no function or are not of one variable.
    """
    function, domain = truth(original.about)
    ft, was = predictor(model, device), predictor(base, device)
    spectra = {
        name: coefficients(f, domain, basis, order)
        for name, f in (("true", function), ("base", was), ("ft", ft))
    }
    parts = Points.of(original["train"]), Points.of(data["train"]), Points.of(data["test"])
    return Comparison(*parts, was, ft, spectra)
