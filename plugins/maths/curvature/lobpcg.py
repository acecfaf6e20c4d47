"""Top eigenpairs by the locally optimal block conjugate gradient method, without preconditioner.

Shapes: d parameters, b vectors in the block, r wanted pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plugins.maths.curvature.pairs import (
    Operator,
    Pairs,
    Watch,
    Wish,
    chosen,
    drawn,
    product,
    symmetric,
)
from runner.types import print_nothing

GUARD = 3  # vectors of the block beyond the wanted ones: the last ones converge slowly
DEPENDENT = 1e-7  # of the largest: a smaller eigenvalue of the Gram matrix adds no direction


def lobpcg(
    operator: Operator,
    wish: Wish,
    generator: torch.Generator,
    *,
    known: Tensor | None = None,
    watch: Watch = print_nothing,
) -> Pairs:
    """Return eigenpairs; those that did not converge within `wish.most` products are marked.

    Each step looks for the wanted pairs in the space of the block, its residuals and its last
    steps. Known vectors (k, d) are the first of the block.

    Raises: ValueError when there are fewer parameters, or products, than the block has vectors.
    """
    before, width = operator.products, min(wish.pairs + GUARD, operator.size)
    if width > wish.most or wish.pairs > operator.size:
        raise ValueError(
            f"a block of {width} vectors, {operator.size} parameters, {wish.most} products: ask "
            "for fewer pairs, or allow more products"
        )
    block = drawn(operator, generator, width)
    if known is not None:
        block[: len(known)] = known[:width].to(block)
    block = torch.linalg.qr(block.T)[0].T.contiguous()
    images = operator(block)
    steps, step_images = block[:0], images[:0]
    while True:
        values, turn = torch.linalg.eigh(symmetric(product(block, images)))
        order = chosen(values, wish.which, wish.pairs)  # the guard vectors come behind the wanted
        order = torch.cat([order, torch.arange(width)[~torch.isin(torch.arange(width), order)]])
        block, images = _turned(turn[:, order], block, images)
        values = values[order]
        used, scale = operator.products - before, float(values.abs().max())
        watch(used, wish.most, "product")
        pairs = Pairs.of(
            block[: wish.pairs], images[: wish.pairs], wish, scale=scale, products=used
        )
        if bool(pairs.converged.all()) or used + width > wish.most:
            return pairs
        left = images - values.to(images)[:, None] * block
        left = _orthonormal(left - (left @ block.T) @ block)[0]
        left = left - (left @ block.T) @ block
        left_images = operator(left)
        block, images, steps, step_images = _best(
            block, images, (left, left_images), (steps, step_images), wish
        )


def _best(
    block: Tensor,
    images: Tensor,
    left: tuple[Tensor, Tensor],
    steps: tuple[Tensor, Tensor],
    wish: Wish,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the best block in the space of all, its products, and the step there with its own."""
    width = len(block)
    others, other_images = (torch.cat(both) for both in zip(left, steps, strict=True))
    along = others @ block.T
    others, other_images = others - along @ block, other_images - along @ images
    others, turn = _orthonormal(others)
    other_images = turn @ other_images
    space, space_images = torch.cat([block, others]), torch.cat([images, other_images])
    values, vectors = torch.linalg.eigh(symmetric(product(space, space_images)))
    turn = vectors[:, chosen(values, wish.which, width)].T.to(block)
    found, found_images = turn @ space, turn @ space_images
    moved = turn[:, width:]
    return found, found_images, moved @ others, moved @ other_images


def _orthonormal(block: Tensor) -> tuple[Tensor, Tensor]:
    """Return an orthonormal basis of rows' span and the matrix that makes it of the rows."""
    norms = block.norm(dim=1).clamp_min(torch.finfo(block.dtype).tiny)
    values, vectors = torch.linalg.eigh(product(block / norms[:, None], block / norms[:, None]))
    there = values > DEPENDENT * values[-1]
    turn = (vectors[:, there] / values[there].sqrt()).T.to(block) / norms
    return turn @ block, turn


def _turned(turn: Tensor, *blocks: Tensor) -> tuple[Tensor, ...]:
    return tuple(turn.T.to(block) @ block for block in blocks)
