"""A trained encoder with a fresh head on one of its layers, as one network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.maths.networks.head_shape import HeadShape, PoolShape
from plugins.maths.networks.sizes import read_off
from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset, Network, Seed

if TYPE_CHECKING:
    from plugins.maths.networks.heads import EncoderHead as Module

Layer = Literal["enc_pre_latent", "enc_last"]


class EncoderHead(Model):
    """Put a head on a layer of a trained denoiser; its encoder is frozen or trained on.

    Maps spectra x (B, 2, L) to (B, outputs). Frozen, the encoder's weights get no gradient and its
    batch norms stay in evaluation mode, so that weights and buffers stay as they are. Otherwise the
    encoder is trained with the head; the decoder, which the features do not depend on, never is.

    Reads:  model, a network of `blindspot_unet1d`, or the one in a `labelled_denoiser`; data.about
            `kept` where pixels are open. The head is drawn from the seed.
    Raises: RunnerError when the network is another one or its features are too short to be pooled.
    Source: none.
    """

    layer: Layer = Field("enc_pre_latent", description="whose features the head reads")
    pool: PoolShape = Field(PoolShape(), description="how positions are pooled")
    head: HeadShape = Field(HeadShape(), description="what comes after")
    freeze: bool = Field(True, description="whether the encoder stays as it is")
    pixels: int | None = Field(
        None, ge=1, description="of the spectra that are read; default data.about['kept']"
    )
    outputs: int = Field(1, ge=1, description="how many labels it gives")
    encoder: BlindspotShape | None = Field(
        None, description="sizes of the encoder; left open: those of the network at the port"
    )

    def run(  # type: ignore[override]
        self, model: Network, seed: Seed, data: Dataset | None = None
    ) -> Network:
        from plugins.models.blindspot_unet1d import BlindspotUnet1d
        from plugins.models.labelled_denoiser import LabelledDenoiser

        given, weights = model.architecture, model.weights
        if isinstance(given, LabelledDenoiser):
            own = {k: v for k, v in weights.items() if k.startswith("encoder.")}
            given = BlindspotUnet1d(shape=given.shape)
            weights = {name.removeprefix("encoder."): value for name, value in own.items()}
        if not isinstance(given, BlindspotUnet1d):
            raise RunnerError(
                f"encoder_head takes a network of blindspot_unet1d, not of {type(given).__name__}"
            )
        design = self if data is None else read_off(self, data, pixels="kept")
        design = design.model_copy(update={"encoder": given.shape})
        fresh = design.initialise(seed)
        encoder = {f"encoder.{name}": value.clone() for name, value in weights.items()}
        return Network(design, {**fresh.weights, **encoder})

    def build(self) -> Module:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.heads import EncoderHead as Module

        if self.encoder is None or self.pixels is None:
            raise RunnerError(
                "encoder_head: the encoder's sizes or pixels are open; give it a network and data"
            )
        positions = self.encoder.length(self.pixels)
        try:
            head = self.head.build(self.pool, self.encoder.width, positions, self.outputs)
        except ValueError as error:
            raise RunnerError(f"encoder_head: {error}") from error
        return Module(self.encoder.build(), head, self.layer, freeze=self.freeze)
