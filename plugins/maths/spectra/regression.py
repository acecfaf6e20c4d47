"""How well targets are predicted, over whole splits, and the predictions behind it.

Shapes: N rows, T targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.types import Json

Numbers = NDArray[np.float64]
ROUNDING = 64  # last digits that a stack of layers may round away
METRICS = ("split", "target", "r2", "rmse", "mae", "mse", "rows")


def scores(true: Numbers, predicted: Numbers) -> dict[str, float]:
    """Return r2, rmse, mae and mse of (N,) predictions; r2 is nan where the truth is constant."""
    away = predicted - true
    spread = float(((true - true.mean()) ** 2).sum())
    mse = float((away**2).mean())
    r2 = 1 - float((away**2).sum()) / spread if spread > 0 else float("nan")
    return {"r2": r2, "rmse": mse**0.5, "mae": float(np.abs(away).mean()), "mse": mse}


def varying(x: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which features of (N, F) real numbers vary by more than the rounding of their dtype.

    A convolution rounds as its batch is cut: what is constant differs in the last digits.
    """
    wide = x.astype(np.float64)
    rounding = ROUNDING * np.finfo(x.dtype).eps if x.dtype.kind == "f" else 0.0
    return np.asarray(wide.std(0) > rounding * np.sqrt((wide**2).mean(0)))


@dataclass(frozen=True)
class Predicted:
    """Truth and prediction of one split, (N, T) each."""

    true: Numbers
    predicted: Numbers


def unscaled(values: Any, about: Mapping[str, Json]) -> Numbers:
    """Return targets (N, T) in the labels' own units, whatever scaled them."""
    values = np.asarray(values, np.float64)
    values = values.reshape(len(values), -1)
    mean, std = about.get("target_mean", 0.0), about.get("target_std", 1.0)
    return values * np.asarray(std, np.float64) + np.asarray(mean, np.float64)


def tables(
    found: Mapping[str, Predicted], about: Mapping[str, Json], told: str
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return the metrics of every split and target, and the predictions of the split `told`."""
    width = next(iter(found.values())).true.shape[1]
    names = list(about.get("targets", [f"y{at}" for at in range(width)]))
    metrics: dict[str, list[Any]] = {name: [] for name in METRICS}
    for split, values in found.items():
        for at, name in enumerate(names):
            row = {"split": split, "target": name, "rows": len(values.true)}
            row |= scores(values.true[:, at], values.predicted[:, at])
            for key, column in metrics.items():
                column.append(row[key])
    predictions: dict[str, list[Any]] = {k: [] for k in ("target", "row", "true", "predicted")}
    if told in found:
        values = found[told]
        for at, name in enumerate(names):
            count = len(values.true)
            predictions["target"] += [name] * count
            predictions["row"] += list(range(count))
            predictions["true"] += values.true[:, at].tolist()
            predictions["predicted"] += values.predicted[:, at].tolist()
    return metrics, predictions
