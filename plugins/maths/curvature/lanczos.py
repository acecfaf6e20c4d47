"""Top eigenpairs by Lanczos with full reorthogonalisation and thick restarts.

Shapes: d parameters, m vectors in the basis, r wanted pairs. The products of all basis vectors are
held beside them, so that a pair's residual is H v - value v itself and no estimate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plugins.maths.curvature.pairs import (
    ZERO,
    Operator,
    Pairs,
    Watch,
    Which,
    Wish,
    chosen,
    drawn,
    product,
)
from runner.types import print_nothing

CHANCE = 0.1  # length of the random part of a start made of known vectors, against theirs


class Basis:
    """An orthonormal basis, its products and the projected matrix, which grow by one vector."""

    def __init__(self, operator: Operator, size: int) -> None:
        self.operator, self.size = operator, size
        shape = {"dtype": operator.dtype, "device": operator.device}
        self.vectors = torch.empty(size, operator.size, **shape)
        self.images = torch.empty(size, operator.size, **shape)
        self.projected = torch.zeros(size, size, dtype=torch.float64)
        self.length = 0
        self.left = torch.empty(0)  # what the last product has outside the basis
        self.alpha: list[float] = []
        self.beta: list[float] = []
        self.scale = 0.0  # norm of the longest product

    @property
    def held(self) -> Tensor:
        """The basis vectors, (m, d)."""
        return self.vectors[: self.length]

    def add(self, vector: Tensor) -> None:
        """Take in a unit vector orthogonal to the basis, and multiply it."""
        at, image = self.length, self.operator(vector)
        self.vectors[at], self.images[at], self.length = vector, image, at + 1
        along = product(self.held, image[None])[:, 0]
        self.projected[at, : at + 1] = self.projected[: at + 1, at] = along
        self.scale = max(self.scale, float(image.norm()))
        self.left = self.outside(image - along.to(image) @ self.held)
        self.alpha.append(float(along[at]))
        self.beta.append(float(self.left.norm()))

    def outside(self, vector: Tensor) -> Tensor:
        """Return what a vector has outside the basis; call twice, or after a first pass."""
        return vector - (self.held @ vector) @ self.held

    @property
    def exhausted(self) -> bool:
        """Whether the basis spans an invariant space: what is left of the last step is rounding."""
        return self.beta[-1] <= 10 * torch.finfo(self.operator.dtype).eps * self.scale

    def following(self) -> Tensor:
        """Return what is left of the last step as a unit vector."""
        vector = self.outside(self.left / self.beta[-1])
        return vector / vector.norm()

    def fresh(self, generator: torch.Generator) -> Tensor:
        """Return a random unit vector orthogonal to the basis: a way out of an invariant space."""
        vector = self.outside(self.outside(drawn(self.operator, generator)[0]))
        return vector / vector.norm()

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Return values, rising, and vectors (m, m) of the projected matrix."""
        m = self.length
        values, vectors = torch.linalg.eigh(self.projected[:m, :m])
        return values, vectors

    def rotated(self, turn: Tensor) -> tuple[Tensor, Tensor]:
        """Return turn' basis and its products, for a turn (m, k)."""
        turn = turn.T.to(self.vectors)
        return turn @ self.held, turn @ self.images[: self.length]

    def restart(self, which: Which, keep: int) -> None:
        """Keep the best Ritz vectors; what is left of the last step leads on from them."""
        values, turn = self.ritz()
        best = chosen(values, which, keep)
        vectors, images = self.rotated(turn[:, best])
        self.length = len(best)
        self.vectors[: self.length], self.images[: self.length] = vectors, images
        self.projected.zero_()
        self.projected[: self.length, : self.length] = values[best].diag()


def lanczos(
    operator: Operator,
    wish: Wish,
    generator: torch.Generator,
    *,
    known: Tensor | None = None,
    watch: Watch = print_nothing,
) -> Pairs:
    """Return eigenpairs; those that did not converge within `wish.most` products are marked.

    `known` are vectors (k, d) near the wanted ones, such as a previous network's: the start is
    their sum and a random vector, so that no direction is shut out. From one start, however, only
    one vector of each set of equal eigenvalues is met: `wish.recheck` more products, from a new
    random vector once all pairs have converged, find the others.

    Raises: ValueError when there are fewer parameters, or products, than pairs.
    """
    if wish.pairs > min(operator.size, wish.most):
        raise ValueError(
            f"{wish.pairs} pairs of {operator.size} parameters with {wish.most} products: "
            "ask for fewer pairs, or allow more products"
        )
    before, r = operator.products, wish.pairs
    basis = Basis(operator, wish.size(operator.size))
    vector = start(operator, generator, known)
    checked = None if wish.recheck else 0  # at how many products the check is over
    while True:
        basis.add(vector)
        used = operator.products - before
        watch(used, wish.most, "product")
        last = used >= wish.most or basis.length == operator.size
        found = _found(basis, wish, used, last) if basis.length >= r else None
        if found and (last or (checked is not None and used >= checked)):
            return found
        if basis.length == basis.size:
            basis.restart(wish.which, r + (basis.size - r) // 2)
        begin = bool(found) and checked is None
        if begin:
            checked = used + wish.recheck
        vector = basis.fresh(generator) if begin or basis.exhausted else basis.following()


def start(operator: Operator, generator: torch.Generator, known: Tensor | None) -> Tensor:
    """Return the unit vector to begin with."""
    random = drawn(operator, generator)[0]
    vector = random / random.norm()
    if known is not None:
        total = known.to(operator.device, operator.dtype).sum(0)
        vector = total / total.norm() + CHANCE * vector
    return vector / vector.norm()


def _found(basis: Basis, wish: Wish, used: int, last: bool) -> Pairs | None:
    """Return the pairs where all have converged or nothing more can be done, else None."""
    values, turn = basis.ritz()
    best, scale = chosen(values, wish.which, wish.pairs), float(values.abs().max())
    # in exact arithmetic the residual is |left| times a Ritz vector's last entry: cheap to look at
    guess = basis.beta[-1] * turn[-1, best].abs()
    allowed = wish.tolerance * values[best].abs().clamp_min(ZERO * scale)
    if not last and bool((guess > allowed).any()):
        return None
    vectors, images = basis.rotated(turn[:, best])
    pairs = Pairs.of(vectors, images, wish, scale=scale, products=used)
    if last or bool(pairs.converged.all()):
        return pairs.told(basis.alpha, basis.beta)
    return None
