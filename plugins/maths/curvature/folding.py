"""Convolutions that take in the batch norm behind them: less to differentiate twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional as F

from plugins.maths.networks.folding import merged, pairs, traced

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
    return module if graph is None or not pairs(graph) else Folded(graph).run


class Folded(fx.Interpreter):
    """Runs a traced module with each pair of convolution and batch norm as one convolution."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.pairs = pairs(graph)
        self.passed = set(self.pairs.values())

    def run_node(self, n: fx.Node) -> Any:
        """Return a node's value; a folded convolution hands its input on to its batch norm."""
        if n in self.passed:
            source: Any = n.args[0]
            return self.env[source]
        if n in self.pairs:
            own = self.fetch_attr(str(self.pairs[n].target))
            weight, bias = merged(own, self.fetch_attr(str(n.target)))
            return CALLS[type(own)](
                self.env[self.pairs[n]], weight, bias,
                own.stride, own.padding, own.dilation, own.groups,
            )  # fmt: skip
        return super().run_node(n)
