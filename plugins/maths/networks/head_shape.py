"""Sizes of a head on an encoder's features: how positions are pooled, and what comes after.

Imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from plugins.maths.training.optimisers import Options
from runner.parameters import Real

if TYPE_CHECKING:
    from plugins.maths.networks.heads import Head

Pooling = Literal["none", "global_mean", "mean_max", "segment_mean", "attention"]
Segments = Literal["floor_last", "even"]


class PoolShape(Options):
    """How features (B, C, positions) become rows (B, F)."""

    kind: Pooling = Field(
        "segment_mean",
        description="mean; mean and largest; means of segments; learned weights; none: all",
    )
    segments: int = Field(8, ge=1, description="of segment_mean; maps of weights of attention")
    split: Segments = Field(
        "floor_last",
        description="of segment_mean: length // segments each and the rest to the last, or even",
    )

    def width(self, channels: int, positions: int) -> int:
        """Return F."""
        parts = {
            "none": positions, "global_mean": 1, "mean_max": 2, "segment_mean": self.segments,
            "attention": self.segments,
        }  # fmt: skip
        return channels * parts[self.kind]


class HeadShape(Options):
    """What maps pooled features to outputs."""

    kind: Literal["linear", "mlp_1", "mlp_2"] = Field(
        "mlp_1", description="number of hidden layers, each with GELU and dropout"
    )
    normalise: bool = Field(
        False,
        description="pooled features less their mean, over their deviation, by a batch norm "
        "without weights: where few steps must do",
    )
    hidden: int = Field(256, ge=1, description="width of a hidden layer")
    dropout: Real = Field(0.1, ge=0, lt=1, description="share of hidden values set to 0 a step")

    def build(self, pool: PoolShape, channels: int, positions: int, outputs: int) -> Head:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.heads import Head

        return Head(self, pool, channels, positions, outputs)
