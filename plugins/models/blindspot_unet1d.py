"""The blind-spot denoiser of spectra: a U-Net that predicts each pixel from all the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from plugins.maths.networks.blindspot_shape import BlindspotShape
from runner.plugin import Model

if TYPE_CHECKING:
    from plugins.maths.networks.blindspot import BlindspotUnet


class BlindspotUnet1d(Model):
    """Predict mean and variance of each pixel's flux from the flux and error of all other pixels.

    Maps x (B, 2, L), noisy flux and its error, to (B, 2, L), mean and variance, both above 0. With
    the defaults it has 1,889,670 parameters, 522,240 of them in the encoder, whose features of
    3,481 pixels are (B, 48, 13). Any length will do that can be halved `layers` - 1 times.

    Reads:  nothing but its parameters.
    Raises: nothing once the parameters are valid.
    Source: Laine et al., High-Quality Self-Supervised Deep Image Denoising, NeurIPS 2019, in one
            dimension and two directions.
    """

    shape: BlindspotShape = Field(BlindspotShape(), description="sizes of its layers")

    def build(self) -> BlindspotUnet:
        """Return the module with freshly drawn weights."""
        return self.shape.build()
