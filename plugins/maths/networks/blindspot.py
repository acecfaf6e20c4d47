"""A U-Net over spectra that sees every pixel but the one it speaks of. Shapes: B rows, L pixels.

Convolutions look back only, pooling is shifted by one, so that a feature at pixel j knows pixels up
to j; shifted once more it knows those before j. The mirrored spectrum, in the same batch, gives
what comes after j; 1 x 1 convolutions join the two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1  # of the leaky rectifier below zero
GUESSED = 0.1  # of the last layer's weights where its biases are a first guess


class Block(nn.Module):
    """A convolution that looks back only, batch norm and a leaky rectifier."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, dilation: int, *, norm: bool, last: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        self.norm = nn.BatchNorm1d(outputs) if norm else nn.Identity()
        self.back = (kernel - 1) * dilation
        self.last = last  # then what follows is no rectifier

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, L) of (B, inputs, L)."""
        found: Tensor = self.norm(self.conv(F.pad(x, (self.back, 0))))
        return found if self.last else F.leaky_relu(found, SLOPE)


def halved(x: Tensor) -> Tensor:
    """Return the larger of each pixel pair, (B, C, L // 2), shifted so that none looks ahead."""
    if x.shape[-1] < 2:
        raise ValueError("a spectrum is too short to be halved so often; take fewer layers")
    return F.max_pool1d(F.pad(x, (1, 0))[..., :-1], 2)


def doubled(x: Tensor, length: int) -> Tensor:
    """Return each pixel twice, the last one more often where `length` is odd."""
    found = x.repeat_interleave(2, dim=-1)
    return F.pad(found, (0, length - found.shape[-1]), mode="replicate")


class BlindspotUnet(nn.Module):
    """Spectra (B, 2, L), flux and error -> mean and variance (B, 2, L), both above 0.

    The value at pixel j depends on no channel's pixel j. `layers` is the number of resolutions:
    one convolution of the input, one at each resolution, and pooling between them.

    Raises: ValueError when a spectrum is too short to be halved so often.
    """

    def __init__(
        self, layers: int, width: int, kernel: int, dilation: int, *, sigma: bool, norm: bool
    ) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, kernel: int = kernel, last: bool = False) -> Block:
            step = dilation if kernel > 1 else 1
            return Block(inputs, outputs, kernel, step, norm=norm, last=last)

        self.sigma = sigma
        channels = 2 if sigma else 1
        self.enter = block(channels, width)
        self.encoders = nn.ModuleList(block(width, width) for _ in range(layers))
        skips = [width] * (layers - 2) + [channels]  # from the lowest resolution up to the input
        self.joins = nn.ModuleList(block(width + skip, width) for skip in skips)
        self.decoders = nn.ModuleList(block(width, width) for _ in skips)
        self.head = nn.Sequential(
            block(2 * width, 4 * width, 1), block(4 * width, 2 * width, 1),
            block(2 * width, 2, 1, last=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return mean and variance of each pixel given all others."""
        return self.through(x)[0]

    def through(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what `forward` gives, and the features of all layers that it passes; see `taps`.

        In evaluation mode they are those of `taps`; in training, batch norms see both directions.
        """
        x = self._read(x)
        both = torch.cat([x, x.flip(-1)])
        skips = [both]
        found = self.enter(both)
        for encoder in self.encoders[:-1]:
            found = halved(encoder(found))
            skips.append(found)
        found = self.encoders[-1](found)
        features = {"enc_pre_latent": skips[-1][: len(x)], "enc_last": found[: len(x)]}
        for join, decoder, skip in zip(self.joins, self.decoders, skips[-2::-1], strict=True):
            found = decoder(join(torch.cat([doubled(found, skip.shape[-1]), skip], 1)))
        ahead, behind = F.pad(found, (1, 0))[..., :-1].chunk(2)  # shifted: pixels before j alone
        return F.softplus(self.head(torch.cat([ahead, behind.flip(-1)], 1))), features

    def encode(self, x: Tensor, layer: str) -> Tensor:
        """Return features (B, width, L') of spectra (B, 2, L), read in their own direction.

        Args:
            x: as in `forward`.
            layer: `enc_pre_latent`, the input of the last encoder, or `enc_last`, its output.
        """
        return self.taps(x, (layer,))[layer]

    def taps(self, x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """Return several layers' features; see `encode`.

        Raises: ValueError for a layer that is none of the two.
        """
        found = self.enter(self._read(x))
        for encoder in self.encoders[:-1]:
            found = halved(encoder(found))
        known = {"enc_pre_latent": found}
        if "enc_last" in layers:
            known["enc_last"] = self.encoders[-1](found)
        if unknown := [layer for layer in layers if layer not in known]:
            raise ValueError(f"{unknown[0]!r} is no layer; use enc_pre_latent or enc_last")
        return {layer: known[layer] for layer in layers}

    def encode_flux(self, noisy: Tensor, sigma: Tensor | None, layer: str) -> Tensor:
        """Return features of flux (B, L) or (B, 1, L), with its error where the network takes it.

        Raises: ValueError when the network takes an error and none is given, or the reverse.
        """
        if self.sigma != (sigma is not None):
            need = "needs sigma, the error of each pixel" if self.sigma else "takes no sigma"
            raise ValueError(f"this encoder {need}")
        parts = [noisy] if sigma is None else [noisy, sigma]
        return self.encode(torch.cat([p[:, None] if p.ndim == 2 else p for p in parts], 1), layer)

    @torch.no_grad()
    def guess(self, mean: float, variance: float) -> None:
        """Let fresh weights give about this mean and variance, whatever they are shown."""
        last = self.head[-1]
        scale = last.conv if isinstance(last.norm, nn.Identity) else last.norm
        scale.weight.mul_(GUESSED)
        wanted = torch.tensor([mean, variance], dtype=scale.bias.dtype)
        scale.bias.copy_(wanted.expm1().log())  # softplus follows

    def _read(self, x: Tensor) -> Tensor:
        """Return the channels that the network takes: without `sigma` the flux alone."""
        return x if self.sigma else x[:, :1]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that features depend on."""
        return [*self.enter.parameters(), *self.encoders.parameters()]
