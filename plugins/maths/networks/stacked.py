"""Many networks of one architecture evaluated at once, their parameters stacked along axis 0.

Shapes: K networks, P parameters each, B inputs, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from runner.types import Network, Split

Cells = slice | Tensor  # which networks of a stack; indices may name one several times


@dataclass(frozen=True)
class Layout:
    """Where each parameter tensor lies in a flat vector of P entries."""

    shapes: Mapping[str, torch.Size]

    @property
    def sizes(self) -> list[int]:
        """Entries of each tensor, in order."""
        return [shape.numel() for shape in self.shapes.values()]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return name -> view (K, *shape) of flat (K, P)."""
        parts = flat.split(self.sizes, dim=1)
        return {
            name: part.unflatten(1, shape) if shape else part.squeeze(1)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def spread(self, per_tensor: Tensor) -> Tensor:
        """Return (K, P) from one number per tensor, (K, tensors)."""
        sizes = torch.tensor(self.sizes, device=per_tensor.device)
        return per_tensor.repeat_interleave(sizes, dim=1)

    def gathered(self, entries: Tensor) -> Tensor:
        """Return the sum of (K, P) over each tensor, (K, tensors)."""
        return torch.stack([part.sum(1) for part in entries.split(self.sizes, dim=1)], dim=1)


@dataclass(frozen=True)
class Stack:
    """K networks: one module for the architecture, flat parameters (K, P), buffers (K, ...)."""

    module: nn.Module
    layout: Layout
    flat: Tensor
    buffers: Mapping[str, Tensor]

    @classmethod
    def of(cls, networks: Sequence[Network], device: str = "cpu") -> Stack:
        """Stack networks that share an architecture, on `device`.

        Raises: ValueError when architectures differ.
        """
        architecture = networks[0].architecture
        if any(network.architecture != architecture for network in networks):
            raise ValueError("only networks of one architecture can be stacked")
        module = networks[0].module(device)
        layout = Layout({name: value.shape for name, value in module.named_parameters()})
        rows = [
            torch.cat([network.weights[name].detach().reshape(-1) for name in layout.shapes])
            for network in networks
        ]
        buffers = {
            name: torch.stack([network.weights[name] for network in networks]).to(device)
            for name, _ in module.named_buffers()
            if name in networks[0].weights
        }
        flat = torch.stack(rows).to(device)
        return cls(module.to(flat.dtype), layout, flat, buffers)

    def logits(self, flat: Tensor, x: Tensor, cells: Cells = slice(None)) -> Tensor:
        """Return (k, B, C): parameters flat (k, P) of the networks `cells`, shared inputs x."""
        return forward(self.module, self.layout.views(flat) | self.buffers_of(cells), x)

    def buffers_of(self, cells: Cells) -> dict[str, Tensor]:
        """Return the buffers of some networks."""
        return {name: value[cells] for name, value in self.buffers.items()}


def forward(module: nn.Module, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return outputs (K, B, C) of K networks on shared inputs x (B, ...).

    A module with its own `forward_stacked(weights, x)` is asked for it; any other goes through
    vmap over a functional call.
    """
    own = getattr(module, "forward_stacked", None)
    return own(weights, x) if own else mapped(module, weights, x)


def mapped(module: nn.Module, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return outputs (K, B, C) by the general path."""
    return vmap(lambda one: functional_call(module, one, (x,)))(dict(weights))


@runtime_checkable
class OwnGradient(Protocol):
    """A module that writes out the gradient of its cross-entropy instead of leaving it to autograd.

    `prepared` makes of a minibatch's inputs (on the CPU) what all networks share, on `device`;
    `gradient_stacked` fills `gradients`, views that start at zero, and returns the mean loss and
    the accuracy (K,). `operands` is the type in which matrices are multiplied, None the weights'.
    """

    def prepared(self, x: Tensor, device: torch.device) -> Any: ...

    def gradient_stacked(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        shared: Any,
        y: Tensor,
        operands: torch.dtype | None,
    ) -> tuple[Tensor, Tensor]: ...


class Classification:
    """Mean cross-entropy in nats of K stacked networks on one labelled split.

    `operands` is the type in which matrices are multiplied for the gradient, and for the loss
    returned with it (None: that of the weights); only a module with a gradient of its own takes
    one. The exact loss is always computed in the type of the weights.

    Raises: ValueError when `operands` is given and the module has no gradient of its own.
    """

    def __init__(
        self,
        stack: Stack,
        data: Split,
        device: str = "cpu",
        operands: torch.dtype | None = None,
    ) -> None:
        self.stack = stack
        self.operands = operands
        module = stack.module
        self.own = module if isinstance(module, OwnGradient) else None
        if operands is not None and self.own is None:
            raise ValueError(f"{type(module).__name__} has no stacked gradient of its own")
        self._host = torch.as_tensor(data["x"]).cpu()
        self._shared: tuple[Tensor | None, Any, Tensor] | None = None
        self.x = torch.as_tensor(data["x"], device=device)
        if self.x.is_floating_point():
            self.x = self.x.to(stack.flat.dtype)
        self.y = torch.as_tensor(data["y"], device=device).long()
        self.points = len(self.y)
        with torch.no_grad():
            self.classes = stack.logits(stack.flat[:1], self.x[:1], slice(0, 1)).shape[-1]

    def gradient(
        self, flat: Tensor, cells: Cells, rows: Tensor | None, out: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the gradient (k, P) at `flat` to `out`; return loss and accuracy, (k,) each.

        `rows` picks the minibatch, shared by the networks; None takes every data point.
        """
        if self.own is not None:
            shared, y = self._minibatch(self.own, rows)
            layout = self.stack.layout
            weights = layout.views(flat) | self.stack.buffers_of(cells)
            with torch.no_grad():
                gradients = layout.views(out.zero_())
                return self.own.gradient_stacked(weights, gradients, shared, y, self.operands)
        x, y = (self.x, self.y) if rows is None else (self.x[rows], self.y[rows])
        leaves = {n: v.detach().requires_grad_() for n, v in self.stack.layout.views(flat).items()}
        with torch.enable_grad():
            logits = forward(self.stack.module, leaves | self.stack.buffers_of(cells), x)
            loss = cross_entropy(logits, y).mean(1)
            parts = torch.autograd.grad(loss.sum(), list(leaves.values()))
        # Gradients of transposed weights come transposed: copied once, by view, never flattened.
        for view, part in zip(self.stack.layout.views(out).values(), parts, strict=True):
            view.copy_(part)
        return loss.detach(), hits(logits.detach(), y).mean(1)

    def _minibatch(self, own: OwnGradient, rows: Tensor | None) -> tuple[Any, Tensor]:
        """Return what the networks share of the minibatch, made once for each, and its labels."""
        if self._shared is None or self._shared[0] is not rows:
            x = self._host if rows is None else self._host[rows.cpu()]
            y = self.y if rows is None else self.y[rows]
            self._shared = rows, own.prepared(x, self.y.device), y
        return self._shared[1:]

    @torch.no_grad()
    def exact(self, flat: Tensor, cells: Cells, rows: int = 2048) -> tuple[Tensor, Tensor]:
        """Return loss and accuracy over every data point, summed in double precision, (k,)."""
        loss = torch.zeros(len(flat), dtype=torch.float64, device=flat.device)
        right = torch.zeros_like(loss)
        for x, y in zip(self.x.split(rows), self.y.split(rows), strict=True):
            logits = self.stack.logits(flat, x, cells)
            loss += cross_entropy(logits, y).sum(1, dtype=torch.float64)
            right += hits(logits, y).sum(1, dtype=torch.float64)
        return loss / self.points, right / self.points

    def randomness(self, draws: int, generator: torch.Generator) -> Tensor:
        """Return what lies behind `draws` labels drawn from a model: uniform numbers (draws,)."""
        uniform = torch.rand(draws, generator=generator, dtype=torch.float64)
        return uniform.to(self.y.device)

    @staticmethod
    def labels(logits: Tensor, uniform: Tensor) -> Tensor:
        """Return labels (B,) drawn from softmax(logits) (B, C), by inversion."""
        cumulative = logits.double().softmax(1).cumsum(1)
        return (cumulative < uniform[:, None]).sum(1).clamp(max=logits.shape[1] - 1)

    @staticmethod
    def loss_of_one(logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of a single input, logits (C,) and its label."""
        return F.cross_entropy(logits[None], y[None])


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each input, (K, B), for logits (K, B, C) and labels (B,)."""
    labels = y.expand(len(logits), -1).reshape(-1)
    return F.cross_entropy(logits.flatten(0, 1), labels, reduction="none").unflatten(
        0, logits.shape[:2]
    )


def hits(logits: Tensor, y: Tensor) -> Tensor:
    """Return 1 where the label's logit is the largest, else 0 (also for nan), (K, B)."""
    chosen = logits.gather(2, y.expand(len(logits), -1)[..., None])[..., 0]
    return (chosen >= logits.amax(2)).to(logits.dtype)
