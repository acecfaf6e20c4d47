"""Losses of a network over a grid of points in a plane of its parameters.

Whole grids at once where the network is linear in its parameters, else point by point. Shapes: N
rows, K points at once, A x B points of a grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plugins.maths.landscape.calls import OneByOne, Together, way_of
from plugins.maths.landscape.cuts import AffineFirst, Cut
from plugins.maths.landscape.factorised import Factorised
from plugins.maths.landscape.losses import LOSSES
from plugins.maths.landscape.planes import Plane, sizes
from plugins.maths.landscape.quadratic import Quadratic

ROWS = 2048  # rows at a time

Watch = Callable[[float, float, str], None]
Whole = Factorised | Quadratic
Pointwise = AffineFirst | OneByOne | Together


@dataclass(frozen=True)
class Manner:
    """How losses are to be computed: which, and what may be used for it.

    `general` takes no short cut; `memory` is MiB for what is computed at once; `precision` is that
    of matrix products where the network is called.
    """

    loss: str = "cross_entropy"
    general: bool = False
    memory: int = 256
    precision: str = "float32"


PLAIN = Manner()


@dataclass(frozen=True)
class Surface:
    """Losses over a grid, (A, B), or (N, A, B) for each row; and how they were computed."""

    losses: Tensor
    path: str


def paths(plane: Plane, x: Tensor, manner: Manner) -> Iterator[tuple[slice, Whole | Pointwise]]:
    """Yield the rows, some at a time, each with the quickest exact way to their losses."""
    cut = None if manner.general or manner.precision != "float32" else Cut.of(plane, x)
    way, rows = way_of(plane), ROWS
    if cut is None:
        room = manner.memory * 2**18 // sum(sizes(plane.module, x))
        rows = len(x) if way is OneByOne else max(1, min(rows, room))
    for start in range(0, len(x), rows):
        here = slice(start, min(start + rows, len(x)))
        if cut is None:
            yield here, way(plane, x[here], manner.memory, manner.precision)
        elif cut.is_all:
            whole = Quadratic if manner.loss == "mse" else Factorised
            yield here, whole(*cut.products(x[here]))
        else:
            yield here, AffineFirst(cut, x[here], manner.memory)


@torch.no_grad()
def surface(
    plane: Plane,
    x: Tensor,
    y: Tensor,
    alphas: Sequence[float],
    betas: Sequence[float],
    *,
    manner: Manner = PLAIN,
    each: bool = False,
    watch: Watch | None = None,
) -> Surface:
    """Return the mean loss over all rows at each (alpha, beta), or with `each` the loss of each.

    Args:
        plane: the network and its two directions.
        x: inputs (N, ...).
        y: labels (N,), int64; or targets (N,) or (N, C).
        alphas: coordinates along the first direction.
        betas: coordinates along the second.
        manner: which loss, and how.
        each: keep rows apart.
        watch: is told of progress.

    Returns double precision.
    """
    shape = (len(alphas), len(betas))
    found = torch.zeros((len(x), *shape) if each else shape, dtype=torch.float64, device=x.device)
    name, total = "", len(alphas) * len(betas)
    for rows, way in paths(plane, x, manner):
        name = way.name

        def told(done: int, rows: slice = rows) -> None:
            if watch is not None:
                share = (rows.start + (rows.stop - rows.start) * done / total) / len(x)
                watch(share * total, total, "point")

        if isinstance(way, Factorised | Quadratic):
            part = way.losses(y[rows], alphas, betas, each=each)
            if each:
                found[rows] = part
            else:
                found += part
            told(total)
        else:
            points = torch.cartesian_prod(
                torch.tensor(alphas, dtype=torch.float64), torch.tensor(betas, dtype=torch.float64)
            ).to(way.plane.start)
            own = found[rows] if each else found
            _by_points(way, y[rows], points, own.flatten(-2), loss=manner.loss, told=told)
    return Surface(found if each else found / len(x), name)


def _by_points(
    way: Pointwise,
    y: Tensor,
    points: Tensor,
    found: Tensor,
    *,
    loss: str,
    told: Callable[[int], None],
) -> None:
    """Add the losses of some rows at points (P, 2), several at a time, to (P,) or (N, P)."""
    for start in range(0, len(points), way.points):
        some = slice(start, start + way.points)
        outputs = way.outputs(points[some])
        if outputs.dtype != torch.float64:
            outputs = outputs.float()  # of half precision
        losses = LOSSES[loss](outputs, y)
        if found.ndim > 1:
            found[:, some] += losses.T
        else:
            found[some] += losses.sum(1, dtype=torch.float64)
        told(min(some.stop, len(points)))
