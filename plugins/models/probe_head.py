"""A head on the features of an encoder: linear, or with one or two hidden layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from plugins.maths.networks.head_shape import HeadShape, PoolShape
from plugins.maths.networks.sizes import read_off
from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.networks.heads import Head


class ProbeHead(Model):
    """Pool features over their positions and map them to outputs by zero to two hidden layers.

    Maps x (B, channels, positions), or rows (B, channels) of features that were pooled before,
    to (B, outputs). A hidden layer is linear, GELU, dropout. On 384 features mlp_1 has 98,817
    parameters. attention weighs positions by `segments` maps of learned weights.

    Reads:  data.about `channels`, `positions` and `outputs`, for sizes left open.
    Raises: RunnerError when a size is neither given nor known from the data.
    Source: the definitions; GELU after Hendrycks and Gimpel 2016.
    """

    pool: PoolShape = Field(
        PoolShape(kind="none"), description="how positions are pooled; none: they are already"
    )
    head: HeadShape = Field(HeadShape(), description="what comes after")
    channels: int | None = Field(
        None, ge=1, description="of the features; default data.about['channels']"
    )
    positions: int | None = Field(
        None, ge=1, description="of the features; default data.about['positions']"
    )
    outputs: int | None = Field(None, ge=1, description="default data.about['outputs']")

    def shaped_for(self, data: Dataset) -> ProbeHead:
        """Return the architecture with its sizes read off `data.about`."""
        sizes = {name: name for name in ("channels", "positions", "outputs")}
        return read_off(self, data, **sizes)

    def build(self) -> Head:
        """Return the module with freshly drawn weights."""
        if self.channels is None or self.positions is None or self.outputs is None:
            raise RunnerError(
                "probe_head: channels, positions or outputs open; set them or call shaped_for(data)"
            )
        return self.head.build(self.pool, self.channels, self.positions, self.outputs)
