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

from plugins.maths.functions.bases import expanded, nodes
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


Values = Mapping[str, Floats]  # "test", "original", "tuned", "nodes" -> values there


@dataclass(frozen=True)
class Comparison:
    """The fine-tuned and the original network on all points and in a basis."""

    original: Points
    tuned: Points
    test: Points
    base: Values
    ft: Values
    spectra: Mapping[str, Floats]  # "true", "base", "ft" -> coefficients

    def metrics(self, near: float, far: float) -> dict[str, float]:
        """Return the numbers of the study; `near` and `far` are distances in x."""
        test, tuned, original = self.test, self.tuned, self.original
        ft, base, added = self.ft["test"], self.base["test"], tuned.appended
        local = np.abs(self.ft["tuned"] - tuned.y)[added]
        distance = np.abs(test.x[:, None] - tuned.x[added]).min(1, initial=np.inf)
        is_far, is_near = np.abs(test.x) > far, distance < near
        change = ft - base
        found = {
            "train_rms_ft": rms(self.ft["original"] - original.y),
            "train_rms_ft_all": rms(self.ft["tuned"] - tuned.y),
            "test_rms_ft": rms(ft - test.y),
            "y_distortion_rms": rms(change),
            "spectrum_error_ft": rms(self.spectra["ft"] - self.spectra["true"]),
            "local_fit_error": float(local.mean()) if len(local) else float("nan"),
            "global_damage_rms": rms((ft - test.y)[is_far]),
            "far_distortion_rms": rms(change[is_far]),
            "near_distortion_rms": rms(change[is_near]),
            "local_fit_floor": _floor(tuned),
            "train_rms_base": rms(self.base["original"] - original.y),
            "test_rms_base": rms(base - test.y),
            "spectrum_error_base": rms(self.spectra["base"] - self.spectra["true"]),
        }
        near_rms = found["near_distortion_rms"]
        ratio = found["far_distortion_rms"] / near_rms if near_rms > 0 else float("nan")
        return found | {"far_near_ratio": ratio}

    def curves(self) -> dict[str, Any]:
        """Return predictions at the test points, the original training points and the outliers."""
        added = self.tuned.appended
        kept = bool((~added).any())  # with the outliers alone the original points are not used
        parts = {
            "test": (self.test, "test", slice(None), False),
            "train": (self.original, "original", slice(None), kept),
            "appended": (self.tuned, "tuned", added, True),
        }
        rows = [
            {
                "part": np.full(len(points.y[at]), part), "x": points.x[at], "y": points.y[at],
                "base": self.base[name][at], "ft": self.ft[name][at],
                "change": self.ft[name][at] - self.base[name][at],
                "tuned_on": np.full(len(points.y[at]), used),
            }
            for part, (points, name, at, used) in parts.items()
        ]  # fmt: skip
        found = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        return found | {"part": found["part"].tolist()}

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
    points = {
        "test": Points.of(data["test"]),
        "original": Points.of(original["train"]),
        "tuned": Points.of(data["train"]),
    }
    places = {name: one.x for name, one in points.items()} | {"nodes": nodes(domain, basis, order)}
    x, ends = np.concatenate(list(places.values())), np.cumsum([len(v) for v in places.values()])

    def at_places(f: Callable[[Floats], Floats]) -> dict[str, Floats]:
        return dict(zip(places, np.split(f(x), ends[:-1]), strict=True))  # one call for all

    values = {
        "true": at_places(function),
        "base": at_places(predictor(base, device)),
        "ft": at_places(predictor(model, device)),
    }
    spectra = {name: expanded(own["nodes"], basis, order) for name, own in values.items()}
    return Comparison(**points, base=values["base"], ft=values["ft"], spectra=spectra)
