"""Heads on an encoder's features, and networks with such a head. Shapes: B rows, C channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from plugins.maths.networks.blindspot import BlindspotUnet
    from plugins.maths.networks.head_shape import HeadShape, PoolShape


class Pool(nn.Module):
    """Features (B, C, positions) -> rows (B, F), channels slowest.

    Raises: ValueError when there are fewer positions than segments.
    """

    def __init__(self, shape: PoolShape, channels: int, positions: int) -> None:
        super().__init__()
        if shape.kind == "segment_mean" and positions < shape.segments:
            raise ValueError(
                f"{positions} positions cannot be cut into {shape.segments} segments; "
                "take fewer segments, or an encoder of fewer layers"
            )
        self.shape = shape
        attends = shape.kind == "attention"
        self.scores = nn.Conv1d(channels, shape.segments, 1) if attends else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows."""
        match self.shape.kind:
            case "none":
                return x.flatten(1)
            case "global_mean":
                return x.mean(-1)
            case "mean_max":
                return torch.cat([x.mean(-1), x.amax(-1)], 1)
            case "attention":
                assert self.scores is not None  # noqa: S101  # made above
                weights = self.scores(x).softmax(-1)  # (B, maps, positions)
                return torch.einsum("bcp,bmp->bcm", x, weights).flatten(1)
        return segment_means(x, self.shape.segments, even=self.shape.split == "even").flatten(1)


def segment_means(x: Tensor, segments: int, *, even: bool) -> Tensor:
    """Return the means (B, C, segments) of segments of positions.

    Not even: each has positions // segments and the last takes what is left over, too. Even:
    they overlap by at most one position, as adaptive pooling cuts them.
    """
    if even:
        return F.adaptive_avg_pool1d(x, segments)
    each = x.shape[-1] // segments
    cuts = [slice(at * each, (at + 1) * each) for at in range(segments - 1)]
    parts = [x[..., cut] for cut in [*cuts, slice((segments - 1) * each, None)]]
    return torch.stack([part.mean(-1) for part in parts], -1)


class Head(nn.Module):
    """Features (B, C, positions), or rows (B, F) where nothing is pooled -> outputs (B, O)."""

    def __init__(
        self, shape: HeadShape, pool: PoolShape, channels: int, positions: int, outputs: int
    ) -> None:
        super().__init__()
        self.pool = Pool(pool, channels, positions)
        width = pool.width(channels, positions)
        layers: list[nn.Module] = []
        self.norm = nn.BatchNorm1d(width, affine=False) if shape.normalise else nn.Identity()
        for _ in range({"linear": 0, "mlp_1": 1, "mlp_2": 2}[shape.kind]):
            layers += [nn.Linear(width, shape.hidden), nn.GELU(), nn.Dropout(shape.dropout)]
            width = shape.hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        found: Tensor = self.layers(self.norm(self.pool(x)))
        return found


class EncoderHead(nn.Module):
    """Spectra (B, channels, L) -> outputs (B, O), by one layer of an encoder and a head.

    A frozen encoder stays in evaluation mode, its weights and buffers as they are, whatever the
    module is told.
    """

    def __init__(self, encoder: BlindspotUnet, head: Head, layer: str, *, freeze: bool) -> None:
        super().__init__()
        self.encoder, self.head, self.layer, self.freeze = encoder, head, layer, freeze
        used = {id(parameter) for parameter in encoder.encoder_parameters()}
        for parameter in encoder.parameters():
            parameter.requires_grad_(not freeze and id(parameter) in used)
        self.train(self.training)

    def train(self, mode: bool = True) -> EncoderHead:
        """Set the mode of all but what is frozen."""
        super().train(mode)
        if self.freeze:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            features = self.encoder.encode(x, self.layer)
        found: Tensor = self.head(features)
        return found


class LabelledUnet(nn.Module):
    """Spectra (B, channels, L) -> mean and variance (B, 2, L), and outputs (B, O) of a head.

    The head reads a layer that the denoiser passes on its way, so that it costs next to nothing.
    """

    def __init__(self, encoder: BlindspotUnet, head: Head, layer: str) -> None:
        super().__init__()
        self.encoder, self.head, self.layer = encoder, head, layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the denoiser's output and the head's."""
        found, features = self.encoder.through(x)
        return found, self.head(features[self.layer])
