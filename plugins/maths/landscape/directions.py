"""Directions in the space of a network's parameters, and where networks lie in their plane.

A filter is a row of a tensor along its first axis: of a linear layer's weight, of an embedding, an
output channel of a convolution. Tensors of one axis are biases and the parameters of norm layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from runner.types import Network, Seed

Direction = dict[str, Tensor]  # by parameter, float64; zeros where the direction does not go
GramSchmidt = Literal["global", "per_filter", "none"]


def parameters_of(network: Network) -> Direction:
    """Return the parameters, buffers left out, in double precision."""
    module: nn.Module = network.architecture.build()
    names = [name for name, _ in module.named_parameters()]
    return {name: network.weights[name].detach().double() for name in names}


def difference(towards: Network, start: Network) -> Direction:
    """Return what leads from one network's parameters to another's.

    Raises: ValueError when their architectures differ.
    """
    if towards.architecture != start.architecture:
        raise ValueError("a direction between two networks needs two of one architecture")
    there, here = parameters_of(towards), parameters_of(start)
    return {name: there[name] - here[name] for name in here}


def drawn(weights: Direction, seed: Seed, number: int) -> Direction:
    """Return standard normal entries; each tensor has a stream of its own."""
    found = {}
    for name, value in weights.items():
        generator = seed.torch("directions", number, name)
        found[name] = torch.randn(value.shape, generator=generator, dtype=torch.float64)
    return found


def by_filter(value: Tensor) -> Tensor:
    """Return the filters of a tensor of two or more axes as rows."""
    return value.reshape(len(value), -1)


def filter_normalised(direction: Direction, weights: Direction) -> Direction:
    """Give each filter the norm of the network's; leave out tensors of one axis.

    Raises: ValueError naming a tensor with a filter of norm 0 where the network's is not.
    """
    found = {}
    for name, value in direction.items():
        if value.ndim < 2:
            found[name] = torch.zeros_like(value)
            continue
        rows, wanted = by_filter(value), by_filter(weights[name]).norm(dim=1)
        norms = rows.norm(dim=1)
        if bool(((norms == 0) & (wanted > 0)).any()):
            raise ValueError(
                f"a filter of {name!r} has a direction of norm 0, which no factor makes longer; "
                "filters of one entry cannot be orthogonal: use gram_schmidt = 'global'"
            )
        factor = torch.where(norms > 0, wanted / norms, torch.zeros_like(norms))
        found[name] = (rows * factor[:, None]).reshape(value.shape)
    return found


def orthogonal(second: Direction, first: Direction, way: GramSchmidt) -> Direction:
    """Take from the filters of `second` what lies along `first`, as a whole or one by one."""
    if way == "none":
        return second
    if way == "global":
        filters = {name: value for name, value in first.items() if value.ndim > 1}
        along = inner(filters, second) / inner(filters, filters)
        return {
            name: value - along * filters[name] if name in filters else value
            for name, value in second.items()
        }
    found = {}
    for name, value in second.items():
        if value.ndim < 2:  # left out of both
            found[name] = value
            continue
        a, b = by_filter(first[name]), by_filter(value)
        share = (a * b).sum(1) / (a * a).sum(1).clamp_min(torch.finfo(a.dtype).tiny)
        rest = b - share[:, None] * a
        gone = rest.norm(dim=1) <= 1e-12 * b.norm(dim=1)  # what is left is rounding
        found[name] = rest.masked_fill(gone[:, None], 0.0).reshape(value.shape)
    return found


def inner(one: Direction, other: Direction) -> float:
    """Return the inner product over all parameters."""
    return sum(float((value * other[name]).sum()) for name, value in one.items())


def cosine(one: Direction, other: Direction) -> float:
    """Return the cosine of the angle between two directions."""
    return inner(one, other) / (inner(one, one) * inner(other, other)) ** 0.5


def filter_cosine(one: Direction, other: Direction) -> float:
    """Return the largest |cosine| between the filters of two directions."""
    found = [0.0]
    for name, value in one.items():
        if value.ndim > 1:
            pair = by_filter(value), by_filter(other[name])
            found.append(float(torch.cosine_similarity(*pair, dim=1).abs().max()))
    return max(found)


def filter_drift(direction: Direction, weights: Direction) -> float:
    """Return the largest relative deviation of a filter's norm from the network's."""
    found = [0.0]
    for name, value in direction.items():
        wanted = by_filter(weights[name]).norm(dim=1) if value.ndim > 1 else torch.zeros(0)
        there = wanted > 0
        if bool(there.any()):
            norms = by_filter(value).norm(dim=1)
            found.append(float((norms[there] / wanted[there] - 1).abs().max()))
    return max(found)


def random_pair(
    weights: Direction,
    seed: Seed,
    way: GramSchmidt,
    *,
    renormalise: bool,
    first: Direction | None = None,
) -> list[Direction]:
    """Return two directions, the second filter-normalised, random and orthogonal to the first.

    The first is random and filter-normalised too where it is not given.

    Raises: ValueError when the network has no filters.
    """
    if all(value.ndim < 2 for value in weights.values()):
        raise ValueError("the network has no tensor of two axes: random directions have no filters")
    first = first or filter_normalised(drawn(weights, seed, 0), weights)
    check_length(first, "first")
    second = orthogonal(filter_normalised(drawn(weights, seed, 1), weights), first, way)
    if way != "none" and renormalise:
        second = filter_normalised(second, weights)
    return [first, second]


def principal(steps: Sequence[Direction]) -> tuple[list[Direction], list[float]]:
    """Return the two principal directions of networks about the origin, and their shares.

    Args:
        steps: each checkpoint less the network at the origin, two or more.

    The Gram matrix of the checkpoints is decomposed, never a matrix of parameters. Each direction
    is as long as the farthest checkpoint along it, so that coordinates lie within [-1, 1]; its sign
    makes the first checkpoint's coordinate positive.

    Raises: ValueError when the checkpoints span no plane.
    """
    flat = torch.stack([flattened(step) for step in steps])
    values, vectors = torch.linalg.eigh(flat @ flat.T)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    if len(steps) < 2 or float(values[1]) <= 1e-14 * float(values[0]):
        raise ValueError(f"{len(steps)} checkpoints span no plane; save more of them (save_at)")
    found = []
    for k in (0, 1):
        axis = flat.T @ vectors[:, k] / values[k].sqrt()
        along = flat @ axis
        axis = axis * along.abs().max() * (1.0 if along[0] >= 0 else -1.0)
        found.append(unflattened(axis, steps[0]))
    return found, (values[:2] / values.sum()).tolist()


def flattened(direction: Direction) -> Tensor:
    """Return the entries of all tensors as one vector."""
    return torch.cat([value.reshape(-1) for value in direction.values()])


def unflattened(flat: Tensor, like: Mapping[str, Tensor]) -> Direction:
    """Return a vector's entries as the tensors of another direction."""
    parts = flat.split([value.numel() for value in like.values()])
    return {
        name: part.reshape(value.shape)
        for part, (name, value) in zip(parts, like.items(), strict=True)
    }


def check_length(direction: Direction, place: str) -> None:
    """Check that a direction leads somewhere.

    Raises: ValueError when it has length 0.
    """
    if inner(direction, direction) == 0:
        raise ValueError(
            f"the {place} direction has length 0: two networks are equal, or all filters are 0"
        )


def check_plane(pair: Sequence[Direction]) -> None:
    """Check that two directions span a plane.

    Raises: ValueError when one has length 0, or they are parallel.
    """
    for place, one in zip(("first", "second"), pair, strict=True):
        check_length(one, place)
    if abs(cosine(*pair)) > 1 - 1e-9:
        raise ValueError("the two directions are parallel: they span no plane")


def coordinates(step: Direction, pair: Sequence[Direction]) -> tuple[list[float], float]:
    """Return the coordinates of a displacement's projection on a plane, and its distance from it.

    Least squares, so that directions need be neither orthogonal nor of one length.
    """
    basis = torch.stack([flattened(one) for one in pair])
    target = flattened(step)
    gram, right = basis @ basis.T, basis @ target
    found = torch.linalg.solve(gram, right)
    rest = target - basis.T @ found
    return found.tolist(), float(rest.norm())
