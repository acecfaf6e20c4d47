"""Curves smoothed, and fitted by a shape, in the coordinates of their axes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plugins.maths.figures.curves import Curve

Floats = NDArray[np.float64]
Shape = Literal["none", "line", "sigmoid"]
POINTS = 200  # of a fitted curve


@dataclass(frozen=True)
class Axes:
    """Which axes are logarithmic: there, distances are decades."""

    log_x: bool
    log_y: bool

    def forth(self, curve: Curve) -> tuple[Floats, Floats]:
        """Return the curve's finite points in the axes' coordinates.

        A mean that a log axis cannot hold is taken for a gap.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.log10(curve.x) if self.log_x else curve.x
            y = np.log10(curve.mean) if self.log_y else curve.mean
        known = np.isfinite(x) & np.isfinite(y)
        return x[known], y[known]

    def back(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return coordinates of the axes as numbers."""
        return (10.0**x if self.log_x else x), (10.0**y if self.log_y else y)


def smoothed(curve: Curve, width: float, axes: Axes) -> Curve:
    """Return the curve after a Gaussian of standard deviation `width` along its axis.

    The band of repeats is smoothed too; without repeats it is one standard deviation of the points
    about the smoothed line, weighted alike.

    Raises: ValueError when no point is left.
    """
    x, y = axes.forth(curve)
    if not len(x):
        raise ValueError(f"{curve.column!r}: no point is left to be smoothed")
    weight = np.exp(-0.5 * ((x[:, None] - x) / width) ** 2)
    weight /= weight.sum(1, keepdims=True)
    mean = weight @ y
    at, middle = axes.back(x, mean)
    if curve.has_band:
        ends = [axes.forth(replace(curve, mean=end)) for end in (curve.low, curve.high)]
        low, high = (_interpolated(x, weight, *end) for end in ends)
    else:
        deviation = np.sqrt(np.maximum(weight @ y**2 - mean**2, 0.0))
        low, high = mean - deviation, mean + deviation
    return replace(curve, x=at, mean=middle, low=axes.back(x, low)[1], high=axes.back(x, high)[1])


def _interpolated(x: Floats, weight: Floats, at: Floats, values: Floats) -> Floats:
    """Return smoothed values of an end of the band, which may lack points that a log axis loses."""
    if not len(at):
        return np.full(len(x), np.nan)
    return weight @ np.interp(x, at, values)


def fitted(curve: Curve, shape: Shape, axes: Axes) -> Curve:
    """Return the least-squares line or sigmoid through the curve's points, over their range.

    A line is a power law where both axes are logarithmic. A sigmoid goes from one level to another,
    a + (b - a) / (1 + exp(-(x - c) / s)).

    Raises: ValueError when there are too few points, or no sigmoid is found.
    """
    x, y = axes.forth(curve)
    needed = 2 if shape == "line" else 4
    if len(np.unique(x)) < needed:
        raise ValueError(f"{curve.column!r}: a {shape} needs {needed} points, there are {len(x)}")
    along = np.linspace(x.min(), x.max(), POINTS)
    values = np.polyval(np.polyfit(x, y, 1), along) if shape == "line" else _sigmoid(x, y, along)
    at, mean = axes.back(along, values)
    return replace(curve, x=at, mean=mean, low=mean, high=mean)


def _sigmoid(x: Floats, y: Floats, along: Floats) -> Floats:
    from scipy.optimize import OptimizeWarning, curve_fit

    def shape(u: Floats, first: float, last: float, middle: float, width: float) -> Floats:
        return first + (last - first) / (1 + np.exp(-np.clip((u - middle) / width, -60, 60)))

    span = x.max() - x.min()
    few = max(1, len(x) // 10)
    first, last = float(y[:few].mean()), float(y[-few:].mean())
    middle = float(x[np.abs(y - (first + last) / 2).argmin()])
    low = [-np.inf, -np.inf, x.min() - span, span / 1000]
    high = [np.inf, np.inf, x.max() + span, 10 * span]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # errors of the fit are not used
            found, _ = curve_fit(
                shape, x, y, [first, last, middle, span / 20], bounds=(low, high), max_nfev=20_000
            )
    except RuntimeError as error:
        raise ValueError(f"no sigmoid fits the points: {error}") from error
    return shape(along, *found)
