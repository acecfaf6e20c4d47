"""Top eigenpairs by PyHessian's power iteration with deflation: a check on ours, not a rival.

It stops where two successive values agree to its tolerance, which says nothing of the vectors:
their residuals are computed here, by products of our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plugins.maths.curvature.operators import Curvature, flat
from plugins.maths.curvature.pairs import Pairs, Wish
from plugins.maths.training.supervision import aligned
from runner.types import Seed


@dataclass
class Counted:
    """Batches as PyHessian reads them, once for each product; counts how often."""

    parts: list[tuple[Tensor, Tensor]]
    passes: int = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        return iter(self.parts)


def power_iteration(curvature: Curvature, module: nn.Module, wish: Wish, seed: Seed) -> Pairs:
    """Return the pairs of largest |value|, in the order in which they were found.

    Each pair gets an equal part of `wish.most`, less the products that judge the pairs.

    Raises: ValueError when not even two products a pair are allowed.
    """
    from pyhessian import hessian

    each = wish.most // wish.pairs - 1
    if each < 2:
        raise ValueError(f"{wish.most} products are too few for {wish.pairs} power iterations")
    device = curvature.device
    batches = Counted(curvature.parts)
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of its backward passes that create graphs
        torch.manual_seed(seed.integer("power iteration"))
        theirs = hessian(module, _loss(curvature), dataloader=batches, cuda=device.type == "cuda")
        _, vectors = theirs.eigenvalues(maxIter=each, tol=wish.tolerance, top_n=wish.pairs)
    module.zero_grad()
    block = torch.stack([flat(vector) for vector in vectors])
    block = block / block.norm(dim=1, keepdim=True)
    images = curvature(block)
    scale = float((block * images).sum(1).abs().max())
    products = batches.passes + len(block)
    return Pairs.of(block, images, wish, scale=scale, products=products)


def _loss(curvature: Curvature) -> nn.Module | object:
    if curvature.loss == "cross_entropy":
        return F.cross_entropy
    return lambda outputs, y: F.mse_loss(outputs, aligned(outputs, y))
