"""Losses of a network that predicts a pixel's mean and variance. Shapes: B rows, L pixels.

Targets are (B, 3, L): clean flux, noisy flux and the error of the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _parts(output: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    mean, variance = output.unbind(1)
    clean, noisy, error = y.unbind(1)
    return mean, variance, clean, noisy, error.square()


def posterior(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean (B, L) of the clean flux given its own noisy pixel, too."""
    mean, variance, _, noisy, noise = _parts(output, y)
    return (variance * noisy + noise * mean) / (variance + noise)


def _laplace(away: Tensor, variance: Tensor) -> Tensor:
    scale = (variance / 2).sqrt()
    return (away.abs() / scale + (2 * scale).log()).mean()


def t1(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean Laplace negative log-likelihood (nats) of the clean flux: supervised.

    Its centre is the posterior mean, its variance that of the prediction plus that of the noise.
    """
    _, variance, clean, _, noise = _parts(output, y)
    return _laplace(clean - posterior(output, y), variance + noise)


def e1(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean Laplace negative log-likelihood (nats) of the noisy flux."""
    mean, variance, _, noisy, noise = _parts(output, y)
    return _laplace(noisy - mean, variance + noise)


def e2(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean Gaussian negative log-likelihood (nats) of the noisy flux."""
    mean, variance, _, noisy, noise = _parts(output, y)
    total = 2 * torch.pi * (variance + noise)
    return ((noisy - mean).square() / (variance + noise) + total.log()).mean() / 2


LOSSES = {"T1": t1, "E1": e1, "E2": e2}
