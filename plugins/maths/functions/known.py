"""Parameters that name a function of one variable. Light: NumPy comes when it is evaluated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Data
from runner.types import Json

Shape = Literal[
    "sin", "cos", "abs", "gauss", "runge", "sinc", "step", "linear", "square", "zero"
]  # fmt: skip


class KnownFunction(Data):
    """Data that sample y = amplitude * f(frequency * x) on a domain."""

    function: Shape = Field("sin", description="f, by name")
    frequency: Real = Field(1.0, gt=0, description="factor on x, 1 / unit of x")
    amplitude: Real = Field(1.0, description="factor on f, unit of y")
    low: Real = Field("-2*pi", description="left end of the domain, unit of x")  # type: ignore[assignment]
    high: Real = Field("2*pi", description="right end of the domain, unit of x")  # type: ignore[assignment]

    def check_parameters(self) -> str | None:
        if self.low >= self.high:
            return f"low = {self.low} must lie below high = {self.high}"
        return None

    @property
    def about(self) -> dict[str, Json]:
        """What a model and a probe may know of the data."""
        return {
            "function": self.function, "frequency": self.frequency, "amplitude": self.amplitude,
            "domain": [self.low, self.high], "inputs": 1, "outputs": 1,
        }  # fmt: skip
