"""Losses of a network moved along directions: exact and factorised where that is possible.

Shapes: P parameters, D directions, K points at once, N rows, H units after the first layer, C
classes, A x B points of a grid.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from plugins.maths.landscape.factorised import Factorised
from plugins.maths.networks.stacked import Layout, Stack, forward
from runner.types import Network

TOGETHER = 1024  # rows times points in one call of small layers, and ...
CACHE = 2**18  # ... parameters of all its points: what fits a core's cache
ROWS = 2048  # rows at a time

Watch = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Plane:
    """A network and directions from it, as flat vectors."""

    module: nn.Module
    layout: Layout
    start: Tensor  # (P,)
    directions: Tensor  # (D, P)
    buffers: Mapping[str, Tensor]

    @classmethod
    def of(cls, network: Network, directions: Mapping[str, Any], device: str = "cpu") -> Plane:
        """Return the plane through a network along directions, name -> (D, *shape).

        Raises: ValueError when the directions are not those of the network's parameters.
        """
        stack = Stack.of([network], device)
        shapes = stack.layout.shapes
        given = {name: torch.as_tensor(value) for name, value in directions.items()}
        if {n: tuple(v.shape[1:]) for n, v in given.items()} != {
            n: tuple(shape) for n, shape in shapes.items()
        }:
            raise ValueError(
                "the directions are not those of this network's parameters; "
                "make them with the probe `directions` and the same `model`"
            )
        flat = torch.cat([given[name].flatten(1) for name in shapes], 1).to(stack.flat)
        buffers = {name: value[0] for name, value in stack.buffers.items()}
        return cls(stack.module, stack.layout, stack.flat[0], flat, buffers)

    def at(self, points: Tensor) -> dict[str, Tensor]:
        """Return the parameters at points (K, D), each (K, *shape)."""
        flat = torch.addmm(self.start[None], points, self.directions)
        return self.layout.views(flat)

    def part(self, names: Sequence[str]) -> Plane:
        """Return the plane of some parameters alone."""
        layout = Layout({name: self.layout.shapes[name] for name in names})
        start, first, *more = (
            torch.cat([v[0].reshape(-1) for n, v in self.layout.views(row[None]).items()
                       if n in layout.shapes] or [self.start[:0]])
            for row in (self.start, *self.directions)
        )  # fmt: skip
        return Plane(self.module, layout, start, torch.stack([first, *more]), self.buffers)


class General:
    """Logits by one call of the network a point, or one functional call for several points."""

    def __init__(self, plane: Plane, x: Tensor, memory: int, precision: str) -> None:
        self.plane, self.x, self.precision = plane, x, precision
        stacked = hasattr(plane.module, "forward_stacked")
        self.name = "stacked" if stacked else "mapped"
        each = footprint(plane, x) * len(x) + len(plane.start)
        most = memory * 2**18 // each
        if x.device.type == "cpu":  # several points at once pay where small layers are stacked
            most = min(most, TOGETHER // len(x) if stacked else 1)
        self.points = max(1, most)
        self.module = copy.deepcopy(plane.module)  # of one point: its weights are overwritten
        self.parameters = dict(self.module.named_parameters())

    def logits(self, points: Tensor) -> Tensor:
        """Return (K, N, C)."""
        weights = self.plane.at(points)
        with self._precision():
            if len(points) == 1 and self.name == "mapped":
                for name, value in self.parameters.items():
                    value.copy_(weights[name][0])
                return self.module(self.x)[None]
            shared = {
                name: value.expand(len(points), *value.shape)
                for name, value in self.plane.buffers.items()
            }
            return forward(self.plane.module, weights | shared, self.x)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "bfloat16":
            return torch.autocast(self.x.device.type, torch.bfloat16)
        return contextlib.nullcontext()


class AffineFirst:
    """Logits where the first layer is affine in the point: its products are made once."""

    name = "affine first layer"

    def __init__(self, split: Split, x: Tensor, memory: int) -> None:
        plane, layer = split.plane, split.layer
        self.rest = split.rest
        self.base, *self.steps = split.products(x)
        names = [n for n in plane.layout.shapes if not n.startswith(f"{layer}.")]
        self.plane = plane.part(names)
        each = footprint(self.plane, self.base, self.rest) * len(x) + len(self.plane.start)
        most = memory * 2**18 // each
        if x.device.type == "cpu":
            most = min(most, TOGETHER // len(x), CACHE // max(1, len(self.plane.start)))
        self.points = max(1, most)

    def logits(self, points: Tensor) -> Tensor:
        """Return (K, N, C)."""
        weights = self.plane.at(points)
        if len(points) == 1:
            hidden = self.base
            for along, step in zip(points[0].tolist(), self.steps, strict=True):
                hidden = torch.add(hidden, step, alpha=along)
            one = {name: value[0] for name, value in weights.items()}
            return functional_call(self.rest, one | dict(self.plane.buffers), (hidden,))[None]
        hidden = self.base + sum(
            points[:, k, None, None] * step for k, step in enumerate(self.steps)
        )
        buffers = dict(self.plane.buffers)
        return vmap(lambda one, h: functional_call(self.rest, one | buffers, (h,)))(weights, hidden)


@dataclass(frozen=True)
class Split:
    """A network cut behind its first layer, which is linear and reads the flattened row."""

    plane: Plane
    layer: str  # name of the first layer
    rest: nn.Module  # the network without it

    @classmethod
    def of(cls, plane: Plane, x: Tensor) -> Split | None:
        """Return the network cut in two, or None where that does not give the same outputs."""
        called: list[str] = []
        hooks = [
            part.register_forward_pre_hook(lambda *_, name=name: called.append(name))
            for name, part in plane.module.named_modules()
            if not any(True for _ in part.children())
        ]
        with torch.no_grad():
            wanted = plane.module(x[:4])
        for hook in hooks:
            hook.remove()
        first = plane.module.get_submodule(called[0]) if called else None
        fits = isinstance(first, nn.Linear) and called.count(called[0]) == 1 and called[0] != ""
        if not fits or x[0].numel() != first.in_features or not x.is_floating_point():
            return None
        rest = _without(plane.module, called[0])
        found = cls(plane, called[0], rest)
        hidden = found.products(x[:4])[0]
        with torch.no_grad():
            try:
                same = torch.equal(rest(hidden), wanted)
            except RuntimeError:  # the input is read elsewhere too, and has another shape
                return None
        return found if same else None

    def products(self, x: Tensor) -> list[Tensor]:
        """Return the first layer of x at the network and along each direction, (N, H) each."""
        rows, found = x.flatten(1), []
        for vector in (self.plane.start, *self.plane.directions):
            views = self.plane.layout.views(vector[None])
            weight = views[f"{self.layer}.weight"][0]
            bias = views.get(f"{self.layer}.bias")
            found.append(nn.functional.linear(rows, weight, None if bias is None else bias[0]))
        return found

    @property
    def is_all(self) -> bool:
        """Whether nothing follows the first layer: the network is linear in its parameters."""
        names = self.plane.layout.shapes
        return all(name.startswith(f"{self.layer}.") for name in names) and _passes(self)


def _passes(split: Split) -> bool:
    """Return whether the rest of a network hands its input on as it is."""
    width = split.plane.module.get_submodule(split.layer).out_features
    probe = torch.linspace(-3, 3, 5 * width).reshape(5, width).to(split.plane.start)
    with torch.no_grad():
        return torch.equal(split.rest(probe), probe)


def _without(module: nn.Module, layer: str) -> nn.Module:
    """Return a copy of a module that has the identity in place of a layer."""
    rest = copy.deepcopy(module)
    *path, last = layer.split(".")
    parent = rest.get_submodule(".".join(path))
    setattr(parent, last, nn.Identity())
    return rest


def footprint(plane: Plane, x: Tensor, module: nn.Module | None = None) -> int:
    """Return how many numbers the layers give for one row, by running one."""
    module = module or plane.module
    sizes: list[int] = [x[0].numel()]
    hooks = [
        part.register_forward_hook(lambda *a: sizes.append(a[2].numel()))
        for part in module.modules()
        if not any(True for _ in part.children())
    ]
    with torch.no_grad():
        module(x[:1])
    for hook in hooks:
        hook.remove()
    return sum(sizes)


Evaluator = Factorised | AffineFirst | General


def paths(
    plane: Plane, x: Tensor, *, general: bool, memory: int, precision: str
) -> Iterator[tuple[slice, Evaluator]]:
    """Yield the rows, some at a time, each with the quickest exact way to their losses.

    Args:
        plane: the network and its directions.
        x: inputs (N, ...), on the plane's device.
        general: one call of the network a point, whatever it is.
        memory: MiB that activations may take.
        precision: "float32", or "bfloat16" for matrix products of the general path.
    """
    split = None if general or precision != "float32" else Split.of(plane, x)
    rows = ROWS
    if split is None:
        rows = max(1, min(rows, memory * 2**18 // footprint(plane, x)))
    for start in range(0, len(x), rows):
        here = slice(start, min(start + rows, len(x)))
        if split is None:
            yield here, General(plane, x[here], memory, precision)
        elif split.is_all:
            yield here, Factorised(*split.products(x[here]))
        else:
            yield here, AffineFirst(split, x[here], memory)


@dataclass(frozen=True)
class Surface:
    """Losses over a grid, (A, B), or (N, A, B) for each row; and how they were computed."""

    losses: Tensor
    path: str


@torch.no_grad()
def surface(
    plane: Plane,
    x: Tensor,
    y: Tensor,
    alphas: Sequence[float],
    betas: Sequence[float],
    *,
    each: bool = False,
    general: bool = False,
    memory: int = 256,
    precision: str = "float32",
    watch: Watch | None = None,
) -> Surface:
    """Return the mean loss over all rows at each (alpha, beta), or with `each` the loss of each.

    Args:
        plane: the network and its two directions.
        x: inputs (N, ...).
        y: labels (N,), int64.
        alphas: coordinates along the first direction.
        betas: coordinates along the second.
        each: keep rows apart.
        general: take no short cut.
        memory: MiB for what is computed at once.
        precision: of the general path.
        watch: is told of progress.

    Losses are cross-entropy in nats. Returns double precision.
    """
    shape = (len(alphas), len(betas))
    found = torch.zeros((len(x), *shape) if each else shape, dtype=torch.float64, device=x.device)
    name = ""
    ways = paths(plane, x, general=general, memory=memory, precision=precision)
    for rows, way in ways:
        name = way.name
        if isinstance(way, Factorised):
            part = way.losses(y[rows], alphas, betas, each=each)
            if each:
                found[rows] = part
            else:
                found += part
        else:
            _by_points(way, y[rows], alphas, betas, found[rows] if each else found, each=each)
        if watch is not None:
            watch(rows.stop, len(x), "rows")
    return Surface(found if each else found / len(x), name)


def _by_points(
    way: AffineFirst | General,
    y: Tensor,
    alphas: Sequence[float],
    betas: Sequence[float],
    found: Tensor,
    *,
    each: bool,
) -> None:
    """Add the losses of some rows at each point, several points at a time, to `found`."""
    points = torch.cartesian_prod(
        torch.tensor(alphas, dtype=torch.float64), torch.tensor(betas, dtype=torch.float64)
    ).to(device=y.device, dtype=way.plane.start.dtype)
    flat = found.flatten(-2)  # a view
    for start in range(0, len(points), way.points):
        some = slice(start, start + way.points)
        losses = entropies(way.logits(points[some]).float(), y)
        if each:
            flat[:, some] += losses.T
        else:
            flat[some] += losses.sum(1, dtype=torch.float64)


def entropies(logits: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each row, (K, N), for logits (K, N, C) and labels (N,).

    As logsumexp less the label's logit: four times as quick as torch's own on narrow rows.
    """
    right = logits.gather(2, y.expand(len(logits), -1)[..., None])[..., 0]
    return logits.logsumexp(2) - right
