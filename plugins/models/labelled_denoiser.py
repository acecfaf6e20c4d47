"""The blind-spot denoiser with a head for labels on its encoder, both trained at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.maths.networks.head_shape import HeadShape, PoolShape
from plugins.maths.networks.sizes import read_off
from plugins.models.encoder_head import Layer
from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.networks.heads import LabelledUnet


class LabelledDenoiser(Model):
    """Denoise as `blindspot_unet1d` does and predict labels from a layer on the way.

    Maps x (B, 2, L), noisy flux and its error, to mean and variance (B, 2, L) and to labels
    (B, outputs), in deviations from the training mean; the trainer `noisy` with `label_weight`
    trains both. `encode` and `encoder_head` take it for the denoiser that it holds.

    Reads:  data.about `kept`, where pixels are open.
    Raises: RunnerError when pixels are neither given nor known from the data, or the layer is too
            short to be pooled.
    Source: none.
    """

    shape: BlindspotShape = Field(BlindspotShape(), description="sizes of the denoiser's layers")
    layer: Layer = Field("enc_pre_latent", description="whose features the head reads")
    pool: PoolShape = Field(PoolShape(), description="how positions are pooled")
    head: HeadShape = Field(HeadShape(kind="linear"), description="what comes after")
    pixels: int | None = Field(
        None, ge=1, description="of the spectra that are read; default data.about['kept']"
    )
    outputs: int = Field(1, ge=1, description="how many labels it gives")

    def shaped_for(self, data: Dataset) -> LabelledDenoiser:
        """Return the architecture with its pixels read off `data.about`."""
        return read_off(self, data, pixels="kept")

    def build(self) -> LabelledUnet:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.heads import LabelledUnet

        if self.pixels is None:
            raise RunnerError("labelled_denoiser: pixels open; set them or call shaped_for(data)")
        positions = self.shape.length(self.pixels)
        try:
            head = self.head.build(self.pool, self.shape.width, positions, self.outputs)
        except ValueError as error:
            raise RunnerError(f"labelled_denoiser: {error}") from error
        return LabelledUnet(self.shape.build(), head, self.layer)
