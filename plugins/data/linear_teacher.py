"""Noise-free linear regression data: Gaussian inputs and a teacher matrix of a given rank."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Data
from runner.types import Dataset, Seed


class LinearTeacher(Data):
    """Inputs x ~ N(0, I), targets y = x T exactly, T of `rank` equal singular values.

    Reads:  nothing but its parameters.
    Gives:  split train; x (points, inputs) and y (points, outputs), float64;
            about: inputs, outputs, rank.
    Raises: nothing once the parameters are valid.
    Source: the setting of Aoyagi and Watanabe, Neural Networks 18 (2005), without noise.
    """

    splits: ClassVar[tuple[str, ...]] = ("train",)

    inputs: int = Field(1, ge=1, description="number of inputs")
    outputs: int = Field(1, ge=1, description="number of outputs")
    rank: int = Field(0, ge=0, description="rank of the teacher T; 0: all targets are zero")
    strength: Real = Field(1.0, gt=0, description="singular values of T")
    points: int = Field(1000, ge=2, description="number of inputs drawn")
    whiten: bool = Field(
        False, description="make x'x / points the identity exactly, so that the loss is the "
        "population's",
    )  # fmt: skip

    def check_parameters(self) -> str | None:
        if self.rank > min(self.inputs, self.outputs):
            return f"rank = {self.rank} is above {self.inputs} inputs or {self.outputs} outputs"
        if self.whiten and self.points < self.inputs:
            return f"whiten = true needs at least {self.inputs} points"
        return None

    def run(self, seed: Seed) -> Dataset:
        import numpy as np

        x = seed.numpy("inputs").standard_normal((self.points, self.inputs))
        if self.whiten:
            x = np.linalg.qr(x)[0] * self.points**0.5
        draw = seed.numpy("teacher")
        left, right = (
            np.linalg.qr(draw.standard_normal((size, self.rank)))[0]
            for size in (self.inputs, self.outputs)
        )
        y = self.strength * (x @ left) @ right.T
        about = {"inputs": self.inputs, "outputs": self.outputs, "rank": self.rank}
        return Dataset({"train": {"x": x, "y": y}}, about)
