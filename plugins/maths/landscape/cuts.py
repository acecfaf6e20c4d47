"""Networks cut behind a first layer that is linear: its products along a plane are made once.

Shapes: N rows, H units after the first layer, K points at once, C outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from plugins.maths.landscape.planes import Plane, hooked, sizes

TOGETHER = 1024  # rows times points in one call of small layers, and ...
CACHE = 2**18  # ... parameters of all its points: what fits a core's cache
FEW = 4  # points at once that take longer than as many one by one, computed in place


@dataclass(frozen=True)
class Cut:
    """A network cut behind its first layer, which is linear and reads the flattened row."""

    plane: Plane
    layer: str  # name of the first layer
    rest: nn.Module  # the network without it

    @classmethod
    def of(cls, plane: Plane, x: Tensor) -> Cut | None:
        """Return the network cut in two, or None where that does not give the same outputs."""
        called: list[str] = []
        with (
            torch.no_grad(),
            hooked(
                plane.module,
                lambda name, layer: layer.register_forward_pre_hook(lambda *_: called.append(name)),
            ),
        ):
            wanted = plane.module(x[:4])
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


def _passes(cut: Cut) -> bool:
    """Return whether the rest of a network hands its input on as it is."""
    width = cut.plane.module.get_submodule(cut.layer).out_features
    probe = torch.linspace(-3, 3, 5 * width).reshape(5, width).to(cut.plane.start)
    with torch.no_grad():
        return torch.equal(cut.rest(probe), probe)


def _without(module: nn.Module, layer: str) -> nn.Module:
    """Return a copy of a module that has the identity in place of a layer."""
    rest = copy.deepcopy(module)
    *path, last = layer.split(".")
    parent = rest.get_submodule(".".join(path))
    setattr(parent, last, nn.Identity())
    return rest


class AffineFirst:
    """Outputs where the first layer is affine in the point."""

    name = "affine first layer"

    def __init__(self, cut: Cut, x: Tensor, memory: int) -> None:
        self.rest = cut.rest
        self.base, *self.steps = cut.products(x)
        names = [n for n in cut.plane.layout.shapes if not n.startswith(f"{cut.layer}.")]
        self.plane = cut.plane.part(names)
        each = sum(sizes(self.rest, self.base)) * len(x) + len(self.plane.start)
        most = memory * 2**18 // each
        if x.device.type == "cpu":
            most = min(most, TOGETHER // len(x), CACHE // max(1, len(self.plane.start)))
        self.points = most if most > FEW else 1
        self.one, self.flat = _on_a_vector(self.rest, self.plane)
        self.hidden = torch.empty_like(self.base)

    def outputs(self, points: Tensor) -> Tensor:
        """Return (K, N, C)."""
        if len(points) == 1:
            return self._at(points[0].tolist())[None]
        weights = self.plane.at(points)
        hidden = self.base + sum(
            points[:, k, None, None] * step for k, step in enumerate(self.steps)
        )
        buffers = dict(self.plane.buffers)
        return vmap(lambda one, h: functional_call(self.rest, one | buffers, (h,)))(weights, hidden)

    def _at(self, point: Sequence[float]) -> Tensor:
        """Return the outputs (N, C) at one point, computed in place where the last ones were."""
        hidden, flat = self.base, self.plane.start
        for along, step, way in zip(point, self.steps, self.plane.directions, strict=True):
            hidden = torch.add(hidden, step, alpha=along, out=self.hidden)
            flat = torch.add(flat, way, alpha=along, out=self.flat)
        return self.one(hidden)  # type: ignore[no-any-return]


def _on_a_vector(module: nn.Module, plane: Plane) -> tuple[nn.Module, Tensor]:
    """Return a copy of a module whose parameters are parts of one vector, and that vector."""
    copied, flat = copy.deepcopy(module), plane.start.clone()
    parameters = dict(copied.named_parameters())
    for name, value in plane.layout.views(flat[None]).items():
        parameters[name].data = value[0]
    return copied, flat
