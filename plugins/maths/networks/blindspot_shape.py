"""Sizes of the blind-spot network. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from plugins.maths.training.optimisers import Options

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

    def build(self) -> BlindspotUnet:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.blindspot import BlindspotUnet

        return BlindspotUnet(
            self.layers, self.width, self.kernel, self.dilation,
            sigma=self.sigma, norm=self.batch_norm,
        )  # fmt: skip

    def length(self, pixels: int) -> int:
        """Return the length of the features of so many pixels."""
        return pixels >> (self.layers - 1)
