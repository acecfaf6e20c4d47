"""Squared losses of networks that are linear in their parameters, without a pass a point.

With outputs z + a zd + b ze each row's loss is a polynomial of degree two in (a, b): six numbers
for each row give the whole grid. Shapes: N rows, C outputs, A x B points.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from plugins.maths.training.supervision import aligned


class Quadratic:
    """Losses of N rows over a whole grid, from their outputs at the network and along directions.

    In double precision: single precision would cancel near the least loss.
    """

    name = "quadratic"

    def __init__(self, start: Tensor, *along: Tensor) -> None:
        self.start, self.along = start, along

    def losses(
        self, y: Tensor, alphas: Sequence[float], betas: Sequence[float], *, each: bool
    ) -> Tensor:
        """Return losses (N, A, B) of the rows with `each`, else their sum (A, B); in float64.

        Raises: RunnerError when a row has more or fewer targets than outputs.
        """
        rest = self.start.double() - aligned(self.start, y).double()
        first, second = (part.double() for part in self.along)
        pairs = (
            (rest, rest), (first, first), (second, second),
            (rest, first), (rest, second), (first, second),
        )  # fmt: skip
        products = torch.stack([(one * other).mean(1) for one, other in pairs])  # (6, N)
        if not each:
            products = products.sum(1, keepdim=True)
        rr, dd, ee, rd, re, de = products[..., None, None]
        a = torch.tensor(alphas, dtype=torch.float64, device=y.device)[:, None]
        b = torch.tensor(betas, dtype=torch.float64, device=y.device)
        found = rr + a**2 * dd + b**2 * ee + 2 * (a * rd + b * re + a * b * de)
        found = found.clamp_min(0.0)  # what rounding may take below it
        return found if each else found[0]
