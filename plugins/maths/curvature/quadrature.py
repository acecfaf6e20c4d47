"""The spectral density of an operator known by its products, by stochastic Lanczos quadrature.

A random unit vector z has a measure of its own over the spectrum: weight (v_i'z)^2 at eigenvalue
i. m Lanczos steps give the Gauss quadrature of it, exact for polynomials up to degree 2 m - 1;
the mean over z tends to the spectrum. Shapes: d parameters, m steps, s vectors z.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from plugins.maths.curvature.lanczos import Basis
from plugins.maths.curvature.pairs import Operator, Watch
from plugins.maths.curvature.traces import signs
from runner.types import Seed, print_nothing


@dataclass(frozen=True)
class Quadrature:
    """Nodes and weights of each vector z; weights of one sum to 1."""

    nodes: list[Tensor]  # s times (m,) float64, rising; fewer where a space ended early
    weights: list[Tensor]
    products: int

    def moment(self, power: int) -> tuple[float, float]:
        """Return the spectrum's mean of a power and its standard error over z (nan for one z)."""
        each = torch.stack(
            [(n**power * w).sum() for n, w in zip(self.nodes, self.weights, strict=True)]
        )
        error = each.std() / len(each) ** 0.5 if len(each) > 1 else torch.tensor(torch.nan)
        return float(each.mean()), float(error)

    def below(self, value: float) -> float:
        """Return the share of eigenvalues below a value."""
        parts = [float(w[n < value].sum()) for n, w in zip(self.nodes, self.weights, strict=True)]
        return sum(parts) / len(parts)

    def ends(self) -> tuple[float, float]:
        """Return the least and the largest node."""
        return float(min(n[0] for n in self.nodes)), float(max(n[-1] for n in self.nodes))

    def density(self, at: Tensor, width: float) -> Tensor:
        """Return the density at points (p,), each node spread as a normal of standard `width`."""
        total = torch.zeros_like(at)
        for nodes, weights in zip(self.nodes, self.weights, strict=True):
            apart = (at[:, None] - nodes) / width
            total += torch.exp(-0.5 * apart.square()) @ weights
        return total / (len(self.nodes) * width * (2 * torch.pi) ** 0.5)


def quadrature(
    operator: Operator,
    seed: Seed,
    *,
    vectors: int,
    steps: int,
    watch: Watch = print_nothing,
) -> Quadrature:
    """Return the quadrature of `vectors` random vectors by `steps` products each.

    Bases are kept orthogonal, so that no eigenvalue is counted twice.
    """
    before, nodes, weights = operator.products, [], []
    for number in range(vectors):
        basis = Basis(operator, min(steps, operator.size))
        vector = signs(operator, seed, "density", number)
        vector = vector / vector.norm()
        for _ in range(basis.size):
            basis.add(vector)
            watch(operator.products - before, vectors * basis.size, "product")
            if basis.exhausted:  # the vector's measure is complete
                break
            vector = basis.following()
        values, turn = basis.ritz()
        nodes.append(values)
        weights.append(turn[0].square())
    return Quadrature(nodes, weights, operator.products - before)
