"""Networks f(x) = x M(w) with M a polynomial in the weights, whose learning coefficient is known.

Shapes: K networks stacked, B inputs x (B, I), outputs (K, B, O), matrices M (K, I, O).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

Back = Callable[[Tensor], list[Tensor]]

RANK_CUT = 1e-10  # singular values below this share of the largest count as zero


class LinearInInputs(nn.Module):
    """A network that is linear in its inputs: its matrix, and the way back from its gradient."""

    def __init__(self, tensors: Sequence[Tensor], origin: Sequence[float]) -> None:
        super().__init__()
        self.tensors = nn.ParameterList(tensors)
        self.origin = tuple(origin)

    def moved(self, weights: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the stacked tensors less their origins, each (K, ...)."""
        return [
            weights[f"tensors.{at}"] - here if here else weights[f"tensors.{at}"]
            for at, here in enumerate(self.origin)
        ]

    def matrix(self, weights: Mapping[str, Tensor]) -> tuple[Tensor, Back]:
        """Return M of stacked weights, (K, I, O), and what takes dL/dM to each tensor's dL/dw."""
        raise NotImplementedError

    def forward_stacked(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return the outputs (K, B, O) of K networks on shared inputs."""
        return x @ self.matrix(weights)[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, O) of this network."""
        own = {name: value[None] for name, value in self.named_parameters()}
        return self.forward_stacked(own, x)[0]


class MatrixProduct(LinearInInputs):
    """A deep linear network without biases, M = W_1 ... W_L."""

    def __init__(self, widths: Sequence[int], origin: Sequence[float]) -> None:
        drawn = [torch.randn(a, b) / a**0.5 for a, b in pairwise(widths)]
        super().__init__([w + here for w, here in zip(drawn, origin, strict=True)], origin)

    def matrix(self, weights: Mapping[str, Tensor]) -> tuple[Tensor, Back]:
        """Return the product of the layers, and dL/dW_l = (W_1..W_l-1)' dL/dM (W_l+1..W_L)'."""
        layers = self.moved(weights)
        upto = list(accumulate(layers, torch.matmul))

        def back(slope: Tensor) -> list[Tensor]:
            slopes = []
            for at in range(len(layers) - 1, 0, -1):
                slopes.append(upto[at - 1].mT @ slope)
                slope = slope @ layers[at].mT
            return [slope, *reversed(slopes)]

        return upto[-1], back


class Monomials(LinearInInputs):
    """One input, outputs sqrt(2) prod_j w_j^k_j, so that half their square is the monomial^2."""

    def __init__(self, powers: Sequence[Sequence[int]], origin: Sequence[float]) -> None:
        super().__init__([torch.randn(()) + here for here in origin], origin)
        self.powers = tuple(tuple(row) for row in powers)

    def matrix(self, weights: Mapping[str, Tensor]) -> tuple[Tensor, Back]:
        """Return the monomials as a matrix of one row."""
        moved = self.moved(weights)

        def back(slope: Tensor) -> list[Tensor]:
            slopes = []
            for at in range(len(moved)):
                parts = [
                    row[at] * _monomial(moved, (*row[:at], row[at] - 1, *row[at + 1 :]))
                    if row[at]
                    else torch.zeros_like(moved[at])
                    for row in self.powers
                ]
                slopes.append((slope[:, 0] * torch.stack(parts, dim=-1)).sum(-1))
            return slopes

        outputs = [_monomial(moved, row) for row in self.powers]
        return torch.stack(outputs, dim=-1)[:, None], back


def _monomial(weights: Sequence[Tensor], powers: Sequence[int]) -> Tensor:
    """Return sqrt(2) prod_j w_j^k_j, (K,)."""
    product = torch.full_like(weights[0], 2.0**0.5)
    for value, power in zip(weights, powers, strict=True):
        if power:
            product = product * (value if power == 1 else value**power)
    return product


def balanced_factors(x: Tensor, y: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Return the layers W_1 ... W_L of a least-squares solution of x W_1 ... W_L = y.

    Of all minima this is the most singular one: every layer has the rank of the solution, equal
    singular values in all of them, and exact zeros elsewhere. Double precision.

    Source: reduced-rank regression, Izenman 1975; balanced factors, Arora et al. 2019.
    """
    x, y = x.double(), y.double()
    full = torch.linalg.lstsq(x, y, driver="gelsd").solution
    _, size, right = torch.linalg.svd(x @ full, full_matrices=False)
    rank = int((size > RANK_CUT * max(size[0].item(), len(x) ** 0.5)).sum())
    rank = min(rank, *widths)
    best = full @ right[:rank].mT @ right[:rank]  # the best map of that rank on these inputs
    left, size, right = (
        torch.linalg.svd(best, full_matrices=False)
        if rank
        else (best[:, :0], best[0, :0], best[:0])
    )
    root = size[:rank] ** (1 / (len(widths) - 1))
    layers = [torch.zeros(a, b, dtype=torch.float64) for a, b in pairwise(widths)]
    for layer in layers:
        layer[:rank, :rank] = root.diag()
    layers[0][:, :rank] = left[:, :rank] * (root if len(layers) > 1 else 1.0)
    layers[-1][:rank] = root[:, None] * right[:rank]
    if len(layers) == 1:
        layers[0] = best
    return layers
