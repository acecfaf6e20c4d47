"""Products of a loss's Hessian, or of its generalised Gauss-Newton matrix, with vectors.

Shapes: d parameters (flat, in the order of `named_parameters`), k vectors, N rows, C outputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from plugins.maths.curvature.folding import folded
from plugins.maths.training.supervision import aligned

Kind = Literal["hessian", "ggn"]
Loss = Literal["cross_entropy", "mse"]


@dataclass
class Graph:
    """What products of some rows are differentiated from; kept, or made anew for each product.

    Hessian: `pulled` is the gradient. Gauss-Newton: `pulled` is J^T u, linear in the dummy `u`.
    """

    outputs: Tensor  # (n, C)
    pulled: tuple[Tensor, ...]  # one for each parameter, in its shape
    u: Tensor | None


class Curvature:
    """The mean loss over fixed rows as a function of a module's parameters, to second order.

    The module stands in evaluation mode: batch norm is a fixed affine map, dropout is off. Rows
    are taken `chunk` at a time and summed, so that memory is bounded; graphs of as many chunks as
    fit into `memory` are kept from product to product, which changes no number and saves a forward
    and a backward pass each. `products` counts vectors.

    Args:
        module: used as it is; its parameters' `requires_grad` is set.
        x, y: (N, ...) and (N,) or (N, C), on the module's device; x in its precision.
        names: parameters that vary; the others are constants. None: all.
        memory: MiB of graphs kept.
    """

    def __init__(
        self,
        module: nn.Module,
        x: Tensor,
        y: Tensor,
        *,
        kind: Kind = "hessian",
        loss: Loss = "cross_entropy",
        names: Collection[str] | None = None,
        chunk: int = 64,
        memory: float = 2048,
        fold: bool = True,
    ) -> None:
        module.eval()
        for name, value in module.named_parameters():
            value.requires_grad_(names is None or name in names)
        found = {n: p for n, p in module.named_parameters() if p.requires_grad}
        if not found:
            raise ValueError("no parameter varies; name some that the module has")
        self.kind, self.loss = kind, loss
        self.call = folded(module) if fold else module
        self.shapes = {name: value.shape for name, value in found.items()}
        self.weights = list(found.values())
        self.size = sum(value.numel() for value in self.weights)
        self.dtype, self.device = self.weights[0].dtype, self.weights[0].device
        self.rows = len(x)
        self.parts = list(zip(x.split(chunk), y.split(chunk), strict=True))
        self.products = 0
        self.value = 0.0  # the mean loss
        self.gradient = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        self.bytes_each = 0  # of a chunk's graph
        self._kept: list[Graph | None] = []
        self._prepare(memory * 2**20)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the products (k, d) with vectors (k, d), or (d,) with (d,)."""
        block = vectors if vectors.ndim == 2 else vectors[None]
        found = torch.zeros_like(block, memory_format=torch.contiguous_format)
        with exact(self.device):
            for kept, part in zip(self._kept, self.parts, strict=True):
                graph = kept or self._graph(*part)
                for vector, total in zip(block, found, strict=True):
                    self._add(graph, len(part[0]), vector, total)
        self.products += len(block)
        return found.reshape(vectors.shape)

    def dense(self) -> Tensor:
        """Return the whole matrix (d, d), made symmetric; for few parameters."""
        units = torch.eye(self.size, dtype=self.dtype, device=self.device)
        rows = torch.cat([self(some) for some in units.split(64)])
        return (rows + rows.T) / 2

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return name -> view (..., *shape) of flat vectors (..., d)."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = flat.split(sizes, -1)
        return {
            name: part.unflatten(-1, shape) if shape else part.squeeze(-1)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    # -- one chunk -------------------------------------------------------------------------------

    def _prepare(self, room: float) -> None:
        """Make the first graphs: loss, gradient, and how many of them fit the room."""
        for at, part in enumerate(self.parts):
            if at == 0:
                with counted() as kept:
                    graph = self._graph(*part)
                self.bytes_each = sum(kept.values())
            else:
                graph = self._graph(*part)
            self._note(graph, part[1])
            self._kept.append(graph if (at + 1) * self.bytes_each <= room else None)

    def _note(self, graph: Graph, y: Tensor) -> None:
        """Add a chunk's share of the loss and of its gradient."""
        if self.kind == "hessian":
            self.value += float(self._mean_loss(graph.outputs.detach(), y))
            self.gradient += flat(graph.pulled)
            return
        outputs = graph.outputs.detach().requires_grad_()
        with torch.enable_grad():
            value = self._mean_loss(outputs, y)
            (slope,) = torch.autograd.grad(value, outputs)
        self.value += float(value.detach())
        self._pull(graph, slope, self.gradient)

    def _graph(self, x: Tensor, y: Tensor) -> Graph:
        with torch.enable_grad(), exact(self.device):
            outputs = self.call(x)
            if self.kind == "hessian":
                u, value = None, self._mean_loss(outputs, y)
                pulled = torch.autograd.grad(
                    value, self.weights, create_graph=True, materialize_grads=True
                )
            else:
                u = torch.zeros_like(outputs).requires_grad_()
                pulled = torch.autograd.grad(
                    outputs, self.weights, u, create_graph=True, materialize_grads=True
                )
        return Graph(outputs, pulled, u)

    def _mean_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return a chunk's share of the mean loss over all rows."""
        if self.loss == "cross_entropy":
            return F.cross_entropy(outputs, y, reduction="sum") / self.rows
        y = aligned(outputs, y)
        return F.mse_loss(outputs, y, reduction="sum") * (len(y) / (self.rows * y.numel()))

    def _add(self, graph: Graph, rows: int, vector: Tensor, total: Tensor) -> None:
        """Add a chunk's share of the product with one vector (d,)."""
        along = self.views(vector).values()
        # what does not depend on what is differentiated next has no graph of its own
        pairs = [(p, v) for p, v in zip(graph.pulled, along, strict=True) if p.requires_grad]
        if not pairs:
            return
        pulled, steps = zip(*pairs, strict=True)
        if graph.u is None:
            total += flat(
                torch.autograd.grad(
                    pulled, self.weights, steps, retain_graph=True, materialize_grads=True
                )
            )
            return
        (pushed,) = torch.autograd.grad(pulled, graph.u, steps, retain_graph=True)
        self._pull(graph, self._curved(graph.outputs.detach(), pushed, rows), total)

    def _pull(self, graph: Graph, slope: Tensor, total: Tensor) -> None:
        """Add J^T slope, for slopes (n, C) in the outputs."""
        total += flat(
            torch.autograd.grad(
                graph.outputs, self.weights, slope, retain_graph=True, materialize_grads=True
            )
        )

    def _curved(self, outputs: Tensor, pushed: Tensor, rows: int) -> Tensor:
        """Return the loss's second derivative in the outputs times a step in them, (n, C)."""
        if self.loss == "mse":
            return pushed * (2 * rows / (self.rows * outputs.numel()))
        likely = outputs.softmax(1)
        step = likely * pushed
        return (step - likely * step.sum(1, keepdim=True)) / self.rows


def flat(parts: Iterable[Tensor]) -> Tensor:
    """Return the entries of all tensors as one vector, without a graph."""
    return torch.cat([part.detach().reshape(-1) for part in parts])


@contextlib.contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Attention by its formula, whose second derivative exists; no shortened mantissas on a GPU."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield


@contextlib.contextmanager
def counted() -> Iterator[dict[int, int]]:
    """Yield what graphs made inside keep: bytes of each storage, by its address."""
    kept: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        yield kept
