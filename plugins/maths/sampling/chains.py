"""What several Markov chains say together. Shapes: draws (K cells, chains, length)."""

from __future__ import annotations

import torch
from torch import Tensor


def effective_size(draws: Tensor) -> Tensor:
    """Return the effective number of draws of each cell, (K,), at most chains * draws.

    Autocorrelations are combined over chains with the between-chain variance in the denominator,
    so that chains which disagree count for little; the sum is cut where a pair of neighbouring
    autocorrelations turns negative. Constant or non-finite draws give nan.

    Source: Geyer 1992 (initial monotone sequence); Gelman et al., Bayesian Data Analysis, 11.5.
    """
    # One cell at a time: the bits of a batched FFT (and variance) depend on the size of the batch.
    return torch.stack([_effective_size(one) for one in draws.double()])


def _effective_size(draws: Tensor) -> Tensor:
    chains, length = draws.shape
    centred = draws - draws.mean(1, keepdim=True)
    size = 1 << (2 * length - 1).bit_length()
    spectrum = torch.fft.rfft(centred, n=size, dim=1)
    covariance = torch.fft.irfft(spectrum.abs().square(), n=size, dim=1)[:, :length] / length
    within = covariance[:, 0].mean() * length / max(length - 1, 1)
    total = within * (length - 1) / length
    if chains > 1:
        total = total + draws.mean(1).var()
    rho = 1 - (within - covariance.mean(0)) / total
    rho[0] = 1.0
    pairs = rho[: length // 2 * 2].unflatten(0, (-1, 2)).sum(1) if length > 1 else rho
    positive = (pairs > 0).cummin(0).values
    time = (2 * (pairs.cummin(0).values * positive).sum() - 1).clamp(min=1.0)
    return torch.where(total > 0, chains * length / time, torch.nan)


def standard_error(draws: Tensor) -> Tensor:
    """Return the standard error of the mean over chains and draws, (K,), in the draws' unit.

    With a single draw in all there is nothing to judge by, and it is nan.
    """
    cells, chains, length = draws.shape
    if chains * length < 2:
        return torch.full((cells,), torch.nan, dtype=torch.float64)
    return torch.stack([_standard_error(one) for one in draws.double()])


def _standard_error(draws: Tensor) -> Tensor:
    variance = draws.var(1, correction=0).mean()
    if len(draws) > 1:
        variance = variance + draws.mean(1).var()
    return (variance / _effective_size(draws)).sqrt()


def split_rhat(draws: Tensor) -> Tensor:
    """Return the rank-normalised split R-hat of each cell, (K,): 1 when all half chains agree.

    The larger of two: that of the draws, which sees chains at different places, and that of their
    distances from the median, which sees chains of different width. Each chain counts as two, its
    halves, so that a trend within a chain is seen even where there is a single one. Fewer than four
    draws a chain, constant draws and non-finite ones give nan.

    Source: Vehtari, Gelman, Simpson, Carpenter, Buerkner, Bayesian Analysis 16 (2021), eqs. 3, 4,
            14.
    """
    cells, _, length = draws.shape
    if length < 4:
        return torch.full((cells,), torch.nan, dtype=torch.float64)
    return torch.stack([_split_rhat(one) for one in draws.double()])


def _split_rhat(draws: Tensor) -> Tensor:
    half = draws.shape[1] // 2
    split = torch.cat([draws[:, :half], draws[:, -half:]])
    folded = (split - split.median()).abs()
    return torch.maximum(_rhat(_normal_scores(split)), _rhat(_normal_scores(folded)))


def _rhat(draws: Tensor) -> Tensor:
    length = draws.shape[1]
    within = draws.var(1).mean()
    return ((length - 1) / length + draws.mean(1).var() / within).sqrt()


def _normal_scores(draws: Tensor) -> Tensor:
    """Return the normal quantiles of the draws' ranks among all; equal draws share their mean rank.

    Constant and non-finite draws give nan.
    """
    if not draws.isfinite().all() or (draws == draws.flatten()[0]).all():
        return torch.full_like(draws, torch.nan)
    _, which, count = draws.unique(return_inverse=True, return_counts=True)
    rank = count.cumsum(0) - (count - 1).double() / 2  # mean rank of each value, the least being 1
    return torch.special.ndtri((rank[which] - 3 / 8) / (draws.numel() + 1 / 4))


def halves(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means over the first and the second half of every chain, (K,) each."""
    middle = draws.shape[2] // 2
    draws = draws.double()
    return draws[..., : max(middle, 1)].mean((1, 2)), draws[..., middle:].mean((1, 2))
