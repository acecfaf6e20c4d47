"""Sizes of the blind-spot network. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from plugins.maths.training.optimisers import Options
from runner.parameters import Real

if TYPE_CHECKING:
    from plugins.maths.networks.blindspot import BlindspotUnet


class BlindspotShape(Options):
    """Sizes of the blind-spot network's layers; the defaults are the published ones."""

    layers: int = Field(9, ge=2, description="resolutions, each half of the one before")
    width: int = Field(48, ge=1, description="channels of every layer")
    kernel: int = Field(25, ge=2, description="pixels of a convolution")
    dilation: int = Field(1, ge=1, description="distance of a convolution's pixels")
    sigma: bool = Field(True, description="the error of each pixel is a second input channel")
    batch_norm: bool = Field(True, description="every convolution is followed by batch norm")
    first_guess: tuple[Real, ...] = Field(
        (),
        description="mean and variance, above 0, near which fresh weights begin, where few steps "
        "must do; empty: as they are drawn",
    )

    @field_validator("first_guess")
    @classmethod
    def _mean_and_variance(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if value and (len(value) != 2 or min(value) <= 0):
            raise ValueError(f"first_guess = {list(value)}: give a mean and a variance above 0")
        return value

    def build(self) -> BlindspotUnet:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.blindspot import BlindspotUnet

        network = BlindspotUnet(
            self.layers, self.width, self.kernel, self.dilation,
            sigma=self.sigma, norm=self.batch_norm,
        )  # fmt: skip
        if self.first_guess:
            network.guess(*self.first_guess)
        return network

    def length(self, pixels: int) -> int:
        """Return the length of the features of so many pixels."""
        return pixels >> (self.layers - 1)
