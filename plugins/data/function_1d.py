"""Samples of a known function of one variable, the data of the outlier study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.functions.known import KnownFunction
from runner.parameters import Real
from runner.types import Dataset, Seed

Points = Literal["grid", "random"]


class Function1d(KnownFunction):
    """Sample y = amplitude * f(frequency * x) + noise on a grid or at uniform random points.

    A grid holds both ends of the domain; random points are sorted. Test targets carry no noise.
    Both splits and the noise are drawn from streams of the seed of their own, so that changing
    one leaves the others.

    Reads:  nothing but its parameters.
    Gives:  splits train and test; x (n, 1) and y (n,), float64; about: function, frequency,
            amplitude, domain, inputs 1, outputs 1.
    Raises: nothing once the parameters are valid.
    Source: the definition; step is 1/2 at 0, gauss exp(-x^2), runge 1 / (1 + x^2), sinc sin(x) / x.
    """

    train: int = Field(17, ge=1, description="number of training points")
    test: int = Field(100, ge=1, description="number of test points")
    train_points: Points = Field("grid", description="where training points lie")
    test_points: Points = Field("random", description="where test points lie")
    noise: Real = Field(
        0.0, ge=0, description="standard deviation of normal noise on training y, unit of y"
    )

    def run(self, seed: Seed) -> Dataset:
        import numpy as np

        from plugins.maths.functions.functions import truth

        function, _ = truth(self.about)
        splits = {}
        for name, count, points in (
            ("train", self.train, self.train_points),
            ("test", self.test, self.test_points),
        ):
            if points == "grid":
                x = np.linspace(self.low, self.high, count)
            else:
                x = np.sort(seed.numpy(name).uniform(self.low, self.high, count))
            splits[name] = {"x": x[:, None], "y": function(x)}
        if self.noise:
            splits["train"]["y"] = splits["train"]["y"] + self.noise * seed.numpy(
                "noise"
            ).standard_normal(self.train)
        return Dataset(splits, self.about)
