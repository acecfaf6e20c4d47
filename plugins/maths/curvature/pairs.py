"""Eigenpairs of a symmetric operator that is known by its products alone, and how good they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

Which = Literal["magnitude", "largest", "smallest", "both"]
Watch = Callable[[float, float, str], None]
# Eigenvalues below this share of the largest are told from zero by no one: their residuals are
# judged against this share of it.
ZERO = 1e-6
BLOCK = 4096  # entries of a row that are summed in the rows' own precision


class Operator(Protocol):
    """A symmetric matrix (d, d) by its products; `products` counts the vectors multiplied."""

    size: int
    dtype: torch.dtype
    device: torch.device
    products: int

    def __call__(self, vectors: Tensor, /) -> Tensor:
        """Return the products (k, d) with vectors (k, d), or (d,) with (d,)."""
        ...


@dataclass(frozen=True)
class Wish:
    """Which eigenpairs, how well, and at what cost at most.

    `magnitude`: largest |value| first; `largest` and `smallest`: from that end; `both`: as many
    from each end, the largest first, one more from above where the number is odd.
    """

    pairs: int
    which: Which = "magnitude"
    tolerance: float = 1e-3  # of |H v - value v| over |value|
    most: int = 1000  # products
    basis: int | None = None  # vectors held at once; None: twice the pairs and 40 more
    recheck: int = 0  # products from a new random vector once all have converged

    def size(self, d: int) -> int:
        """Return how many vectors are held at once."""
        return min(d, self.basis or 2 * self.pairs + 40)


@dataclass(frozen=True)
class Pairs:
    """Unit vectors, as rows, with their Rayleigh quotients and what is left of H v - value v."""

    values: Tensor  # (r,) float64
    vectors: Tensor  # (r, d)
    residuals: Tensor  # (r,) |H v - value v| over |value|, float64
    converged: Tensor  # (r,) bool
    projected: Tensor  # (r, r) V'HV, float64
    products: int
    alpha: Tensor  # (steps,) diagonal of what the recurrence met, float64; empty: no recurrence
    beta: Tensor  # (steps,) norms of what was left in each step

    @classmethod
    def of(
        cls, vectors: Tensor, images: Tensor, wish: Wish, *, scale: float, products: int
    ) -> Pairs:
        """Return the pairs of orthogonal Ritz vectors (r, d), given their products (r, d).

        `scale` is the largest |eigenvalue| known.
        """
        lengths = product(vectors, vectors).diagonal().sqrt().to(vectors)[:, None]
        vectors, images = vectors / lengths, images / lengths
        projected = product(vectors, images)
        values = projected.diagonal().clone()
        left = (images - values.to(images)[:, None] * vectors).double().norm(dim=1)
        residuals = (left / values.abs().clamp_min(ZERO * max(scale, 1e-300)).to(left)).cpu()
        none = torch.zeros(0, dtype=torch.float64)
        good = residuals <= wish.tolerance
        return cls(values, vectors, residuals, good, projected, products, none, none)

    def told(self, alpha: list[float], beta: list[float]) -> Pairs:
        """Return the pairs with the coefficients of their recurrence."""
        both = (torch.tensor(one, dtype=torch.float64) for one in (alpha, beta))
        return replace(self, **dict(zip(("alpha", "beta"), both, strict=True)))


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return left right^T (k, m) of long rows as float64 on the CPU.

    Blocks are summed in double precision: one sum in single keeps three to five digits.
    """
    parts = zip(left.split(BLOCK, 1), right.split(BLOCK, 1), strict=True)
    return torch.stack([(one @ other.T).double() for one, other in parts]).sum(0).cpu()


def chosen(values: Tensor, which: Which, number: int) -> Tensor:
    """Return the indices of the wanted values among rising ones, best first."""
    rising = torch.arange(len(values))
    if which == "magnitude":
        order = values.abs().argsort(descending=True, stable=True)
    elif which == "smallest":
        order = rising
    elif which == "largest":
        order = rising.flip(0)
    else:
        above = -(-number // 2)
        top, bottom = rising.flip(0)[:above], rising[: number - above]
        order = torch.cat([top, bottom[~torch.isin(bottom, top)]])
    return order[:number]


def drawn(operator: Operator, generator: torch.Generator, number: int = 1) -> Tensor:
    """Return standard normal vectors (number, d); every device draws the same."""
    block = torch.randn(number, operator.size, generator=generator, dtype=torch.float64)
    return block.to(operator.device, operator.dtype)


def symmetric(matrix: Tensor) -> Tensor:
    """Return the symmetric part."""
    return (matrix + matrix.T) / 2
