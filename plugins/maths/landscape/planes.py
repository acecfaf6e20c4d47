"""Planes of parameters through a network. Shapes: P parameters, D directions, K points at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from plugins.maths.networks.stacked import Layout, Stack
from runner.types import Network


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


def sizes(module: nn.Module, x: Tensor) -> list[int]:
    """Return how many numbers one row of x has, and each layer's output for it, by running one."""
    found: list[int] = [x[0].numel()]

    def note(_: nn.Module, __: Any, output: Tensor) -> None:
        found.append(output.numel())

    with torch.no_grad(), hooked(module, lambda _, layer: layer.register_forward_hook(note)):
        module(x[:1])
    return found


@contextmanager
def hooked(module: nn.Module, hook: Callable[[str, nn.Module], Any]) -> Iterator[None]:
    """Hook the layers of a module, those without parts of their own, inside a block."""
    layers = [(n, m) for n, m in module.named_modules() if not any(True for _ in m.children())]
    handles = [hook(name, layer) for name, layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
