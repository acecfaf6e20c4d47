"""Loss surfaces of networks that are linear in their parameters, without a forward pass a point.

With logits z + a zd + b ze, the sum over classes sum_k exp(z_k + a zd_k) exp(b ze_k) over a grid of
(a, b) is a product of matrices for each row. Shapes: N rows, C classes, A x B points.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CHUNK = 2**19  # sums at once: they stay in a core's cache
SAFE = 60.0  # nats: a sum of single-precision exponentials cannot vanish below e^-60
SAFE_PRODUCT = 18.0  # nats: nor a product of four of them


class Factorised:
    """Losses of N rows over a whole grid, from their logits at the network and along directions."""

    name = "factorised"

    def __init__(self, start: Tensor, *along: Tensor) -> None:
        self.start, self.along = start, along

    def losses(
        self, y: Tensor, alphas: Sequence[float], betas: Sequence[float], *, each: bool
    ) -> Tensor:
        """Return losses (N, A, B) of the rows with `each`, else their sum (A, B); in float64.

        Single rows are computed in double precision, sums over rows in single precision.
        """
        dtype = torch.float64 if each else torch.float32
        # logits less that of the label: the loss is the logarithm of their exponentials' sum
        z, zd, ze = (
            part.to(dtype) - part.to(dtype).gather(1, y[:, None])
            for part in (self.start, *self.along)
        )
        a, b = (torch.tensor(v, dtype=dtype, device=y.device) for v in (alphas, betas))
        step = max(4, CHUNK // (len(a) * len(b)) // 4 * 4)
        shape = (len(z), len(a), len(b)) if each else (len(a), len(b))
        found = torch.zeros(shape, dtype=torch.float64, device=y.device)
        for rows in torch.arange(len(z), device=y.device).split(step):
            first = z[rows, None] + a[:, None] * zd[rows, None]  # (n, A, C)
            second = b[:, None] * ze[rows, None]  # (n, B, C)
            if each:
                found[rows] = self._each(first, second)
            else:
                found += self._sum(first, second)
        return found

    def _each(self, first: Tensor, second: Tensor) -> Tensor:
        top, other = first.amax(2, keepdim=True), second.amax(2, keepdim=True)
        sums = (first - top).exp() @ (second - other).exp().transpose(1, 2)
        found = sums.log() + top + other.transpose(1, 2)
        bad = _least(first, second) > 8 * SAFE  # double precision holds e^-700
        if bool(bad.any()):
            found[bad] = _directly(first[bad], second[bad])
        return found

    def _sum(self, first: Tensor, second: Tensor) -> Tensor:
        least = _least(first, second)
        bad = least > SAFE
        found = torch.zeros(first.shape[1], second.shape[1], dtype=torch.float64).to(first.device)
        if bool(bad.any()):
            found += _directly(first[bad], second[bad]).sum(0, dtype=torch.float64)
            first, second, least = first[~bad], second[~bad], least[~bad]
        if not len(first):
            return found
        top, other = first.amax(2, keepdim=True), second.amax(2, keepdim=True)
        sums = torch.bmm((first - top).exp_(), (second - other).exp_().transpose(1, 2))
        if len(sums) % 4 == 0 and float(least.max()) < SAFE_PRODUCT:
            quarter = len(sums) // 4  # one logarithm for four rows
            sums = (sums[:quarter].mul_(sums[quarter : 2 * quarter])).mul_(
                sums[2 * quarter : 3 * quarter].mul_(sums[3 * quarter :])
            )
        found += sums.log_().sum(0, dtype=torch.float64)
        found += top[..., 0].sum(0, dtype=torch.float64)[:, None]
        return found.add_(other[..., 0].sum(0, dtype=torch.float64))


def _least(first: Tensor, second: Tensor) -> Tensor:
    """Return -log of the least that a row's shifted sums can be, (n,)."""
    ranges = [(part.amax(2) - part.amin(2)).amax(1) for part in (first, second)]
    return torch.minimum(*ranges)


def _directly(first: Tensor, second: Tensor) -> Tensor:
    """Return the logarithms of the sums where the factors' ranges are too wide."""
    pairs = zip(first, second, strict=True)
    return torch.stack([torch.logsumexp(a[:, None] + b[None], 2) for a, b in pairs])
