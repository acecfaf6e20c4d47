"""Outputs of a network at points of a plane by calling it: point by point, or some at once.

Shapes: K points at once, N rows, C outputs.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from torch import Tensor

from plugins.maths.landscape.folding import folded
from plugins.maths.landscape.planes import Plane, sizes
from plugins.maths.networks.stacked import forward

TOGETHER = 1024  # rows times points in one call of small layers on a CPU
NARROW = 2**18  # numbers of the widest layer in one call on a CPU: more leave a core's cache


def way_of(plane: Plane) -> type[OneByOne | Together]:
    """Return the way of calling that suits the network and the device."""
    stacked = hasattr(plane.module, "forward_stacked")
    return Together if stacked or plane.start.device.type != "cpu" else OneByOne


class Together:
    """Several points in one call: stacked layers, or a functional call mapped over points."""

    def __init__(self, plane: Plane, x: Tensor, memory: int, precision: str) -> None:
        self.plane, self.x, self.precision = plane, x, precision
        self.name = "stacked" if hasattr(plane.module, "forward_stacked") else "mapped"
        each = sum(sizes(plane.module, x)) * len(x) + len(plane.start)
        most = memory * 2**18 // each
        if x.device.type == "cpu":
            most = min(most, TOGETHER // len(x))
        self.points = max(1, most)

    def outputs(self, points: Tensor) -> Tensor:
        """Return (K, N, C)."""
        shared = {
            name: value.expand(len(points), *value.shape)
            for name, value in self.plane.buffers.items()
        }
        with in_precision(self.precision, self.x):
            return forward(self.plane.module, self.plane.at(points) | shared, self.x)


class OneByOne:
    """One point at a time, its parameters put into one module, whose batch norms are folded."""

    name = "mapped"
    points = 1

    def __init__(self, plane: Plane, x: Tensor, memory: int, precision: str) -> None:
        self.plane, self.precision = plane, precision
        each = sizes(plane.module, x)
        self.rows = max(1, min(memory * 2**18 // sum(each), NARROW // max(each)))
        layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
        self.parts = [part.contiguous(memory_format=layout) for part in x.split(self.rows)]
        self.module, self.load = folded(copy.deepcopy(plane.module), x)
        self.module.to(memory_format=layout)

    def outputs(self, points: Tensor) -> Tensor:
        """Return (1, N, C)."""
        weights = self.plane.at(points)
        self.load({name: value[0] for name, value in weights.items()})
        with in_precision(self.precision, self.parts[0]):
            return torch.cat([self.module(part) for part in self.parts])[None]


def in_precision(precision: str, x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Return a block in which matrices are multiplied in a precision."""
    if precision == "bfloat16":
        return torch.autocast(x.device.type, torch.bfloat16)
    return contextlib.nullcontext()
