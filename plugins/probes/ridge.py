"""Ridge regression of targets on features: what a linear map can read there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Dataset, Table


@dataclass(frozen=True)
class Regression:
    """Metrics of every split and target, and the predictions of one split."""

    metrics: Table
    predictions: Table


class Ridge(Probe):
    """Fit a linear map with an L2 penalty on the training split, and predict all splits.

    Features are standardised by the training split; one whose deviation there is no more than
    rounding is left out, for standardised it would be noise. Inputs of any shape are flattened, the
    fit is in double precision, and each target has its own map.

    Reads:  data: x (N, ...) and y (N,) or (N, T) of every split; about targets, and their scaling.
            Deterministic: takes no seed.
    Raises: RunnerError when there is no split `train`, a split lacks x or y, or no feature varies.
    Source: Hoerl and Kennard 1970; scikit-learn's StandardScaler and Ridge.
    """

    columns: ClassVar[dict[str, str]] = {
        "split": "metrics: name of the split",
        "target": "metrics, predictions: name of the label",
        "r2": "metrics: 1 - SS_res / SS_tot over the split",
        "rmse": "metrics: root of the mean squared error, the label's unit",
        "mae": "metrics: mean absolute error, the label's unit",
        "mse": "metrics: mean squared error, the label's unit squared",
        "rows": "metrics: rows of the split",
        "row": "predictions: number of the row in the split",
        "true": "predictions: the label",
        "predicted": "predictions: what was predicted for it",
    }

    alpha: Real = Field(1e-3, ge=0, description="penalty on the squared weights, summed over rows")
    standardise: bool = Field(True, description="features have mean 0 and deviation 1 in training")
    predict: str = Field("test", description="split whose predictions are told")

    def run(self, data: Dataset) -> Regression:
        import numpy as np
        from sklearn.linear_model import Ridge as Model
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from plugins.maths.spectra.regression import Predicted, tables, unscaled, varying

        if "train" not in data.splits:
            raise RunnerError(f"ridge: the data has no split 'train', only {listed(data.splits)}")
        for name, split in data.splits.items():
            if missing := {"x", "y"} - set(split):
                raise RunnerError(f"ridge: split {name!r} has no {min(missing)!r}: {listed(split)}")
        rows = {name: np.asarray(split["x"]) for name, split in data.splits.items()}
        if self.standardise:
            kept = varying(rows["train"].reshape(len(rows["train"]), -1))
            if not kept.any():
                raise RunnerError("ridge: no feature varies over the split 'train'")
            rows = {name: x.reshape(len(x), -1)[:, kept] for name, x in rows.items()}
        rows = {name: x.reshape(len(x), -1).astype(np.float64) for name, x in rows.items()}
        true = {name: unscaled(split["y"], data.about) for name, split in data.splits.items()}
        scaler = [StandardScaler()] if self.standardise else []
        fitted = make_pipeline(*scaler, Model(alpha=self.alpha)).fit(rows["train"], true["train"])
        found = {
            name: Predicted(true[name], fitted.predict(x).reshape(len(x), -1))
            for name, x in rows.items()
        }
        metrics, predictions = tables(found, data.about, self.predict)
        return Regression(Table(metrics), Table(predictions))
