"""What fine-tuning on outliers did to a fit: where, how far, and in which orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Circumstance, Dataset, Network, Table


@dataclass(frozen=True)
class Fit:
    """One row of numbers, the predictions, and the coefficients."""

    metrics: Table
    curves: Table
    spectrum: Table


class FitMetrics(Probe):
    """Compare a network of one variable with what it was before fine-tuning, and with the truth.

    Errors on the training points are over the original ones; `train_rms_ft_all` has the outliers
    too. Predictions are in double precision. A number over no points is nan.

    Reads:  splits train and test of data (what was fine-tuned on; rows appended to it are the
            outliers) and of original; original.about for the function and the domain.
            Deterministic: takes no seed.
    Raises: ValueError when the data state no function or are not of one variable.
    Source: the definitions; orthonormal bases as in `plugins/maths/functions/bases.py`.
    """

    columns: ClassVar[dict[str, str]] = {
        "train_rms_ft": "metrics: root mean square error on the original training points",
        "train_rms_ft_all": "metrics: the same on all that was fine-tuned on, outliers included",
        "test_rms_ft": "metrics: root mean square error on all test points",
        "y_distortion_rms": "metrics: root mean square change of the prediction, test points",
        "spectrum_error_ft": "metrics: root mean square error of the coefficients",
        "local_fit_error": "metrics: mean |f(x) - y| over the outliers",
        "global_damage_rms": "metrics: root mean square error on test points with |x| > far",
        "far_distortion_rms": "metrics: y_distortion_rms on test points with |x| > far",
        "near_distortion_rms": "metrics: the same on those within `near` of an outlier",
        "local_fit_floor": "metrics: local_fit_error of the least squares compromise with labels "
        "at the same x",
        "train_rms_base": "metrics: train_rms_ft of the original network",
        "test_rms_base": "metrics: test_rms_ft of the original network",
        "spectrum_error_base": "metrics: spectrum_error_ft of the original network",
        "far_near_ratio": "metrics: far_distortion_rms / near_distortion_rms, no unit",
        "part": "curves: test, train (original points) or appended (outliers)",
        "x": "curves: place",
        "y": "curves: target there",
        "base": "curves: prediction of the original network",
        "ft": "curves: prediction of the fine-tuned network",
        "change": "curves: ft - base",
        "tuned_on": "curves: whether the point was in the fine-tuning set",
        "k": "spectrum: order of the basis function",
        "coef_true": "spectrum: coefficient of the true function",
        "coef_base": "spectrum: coefficient of the original network",
        "coef_ft": "spectrum: coefficient of the fine-tuned network",
        "size_true": "spectrum: |coef_true|",
        "size_base": "spectrum: |coef_base|",
        "size_ft": "spectrum: |coef_ft|",
    }

    basis: Literal["legendre", "chebyshev", "fourier"] = Field(
        "legendre", description="orthonormal functions on the domain, mapped to [-1, 1]"
    )
    order: int = Field(100, ge=0, le=2000, description="largest order; one coefficient each")
    near: Real = Field("pi/4", gt=0, description="distance in x to an outlier that counts as near")  # type: ignore[assignment]
    far: Real = Field("pi", ge=0, description="test points with |x| beyond it are the far field")  # type: ignore[assignment]

    def run(
        self, model: Network, base: Network, data: Dataset, original: Dataset, here: Circumstance
    ) -> Fit:
        from plugins.maths.functions.fits import compared

        found = compared(
            model, base, data, original,
            basis=self.basis, order=self.order, device=here.device,
        )  # fmt: skip
        numbers = found.metrics(self.near, self.far)
        return Fit(
            Table({name: [value] for name, value in numbers.items()}),
            Table(found.curves()),
            Table(found.spectrum()),
        )
