"""Convolutions that take in the batch norm behind them: less to differentiate twice."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from plugins.maths.networks.folding import Convolution, Norm, merged, pairs, traced

CALLS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv1d: F.conv1d, nn.Conv2d: F.conv2d, nn.Conv3d: F.conv3d,
}  # fmt: skip


def folded(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a module's function in evaluation mode, batch norm folded into convolutions before it.

    Weights and biases are merged from the module's own parameters when the function is called, so
    that derivatives in these are as before, to rounding; no activation passes through batch norm
    any more. What cannot be traced is called as it is.
    """
    graph = traced(module)
    found = {} if graph is None else pairs(graph)
    if graph is None or not found:
        return module
    for at, (norm, convolution) in enumerate(found.items()):
        own, behind = (graph.get_submodule(str(n.target)) for n in (convolution, norm))
        name = f"folded_{at}"
        graph.add_submodule(name, Folded(own, behind))
        with graph.graph.inserting_after(norm):
            norm.replace_all_uses_with(graph.graph.call_module(name, convolution.args))
        graph.graph.erase_node(norm)
        graph.graph.erase_node(convolution)
    graph.recompile()
    call: Callable[[Tensor], Tensor] = graph
    return call


class Folded(nn.Module):
    """A convolution and the batch norm behind it, computed as one convolution."""

    def __init__(self, convolution: Convolution, norm: Norm) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Return what the norm gives for input x of the convolution."""
        own = self.convolution
        weight, bias = merged(own, self.norm)
        call = CALLS[type(own)]
        return call(x, weight, bias, own.stride, own.padding, own.dilation, own.groups)
