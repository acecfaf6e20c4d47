"""Convolutions that take in the batch norm behind them: less to differentiate twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F


def folded(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a module's function in evaluation mode, batch norm folded into convolutions before it.

    In evaluation mode batch norm multiplies each channel by scale and adds shift, which the
    convolution's weight and a bias can do. Both are made from the module's own parameters when the
    function is called, so that derivatives in these are as before, to rounding; no activation
    passes through batch norm any more. What cannot be traced is called as it is.
    """
    if not any(isinstance(part, nn.BatchNorm2d) for part in module.modules()):
        return module
    try:
        traced = fx.symbolic_trace(module)
    except Exception:  # control flow that depends on values, and whatever else a trace stumbles on
        return module
    return Folded(traced).run if any(pairs(traced)) else module


def pairs(traced: fx.GraphModule) -> dict[fx.Node, fx.Node]:
    """Return batch norm -> the convolution before it, where nothing else reads the latter."""
    parts, found = dict(traced.named_modules()), {}
    for node in traced.graph.nodes:
        norm = parts.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None:
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1 or len(before.args) != 1:
            continue
        convolution = parts.get(str(before.target))
        if type(convolution) is nn.Conv2d and convolution.padding_mode == "zeros":
            found[node] = before
    return found


class Folded(fx.Interpreter):
    """Runs a traced module with each pair of convolution and batch norm as one convolution."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.pairs = pairs(traced)
        self.passed = set(self.pairs.values())

    def run_node(self, n: fx.Node) -> Any:
        """Return a node's value; a folded convolution hands its input on to its batch norm."""
        if n in self.passed:
            return self.env[n.args[0]]
        if n in self.pairs:
            convolution = self.fetch_attr(str(self.pairs[n].target))
            return together(convolution, self.fetch_attr(str(n.target)), self.env[n.args[0]])
        return super().run_node(n)


def together(convolution: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Return the batch norm, in evaluation mode, of a convolution of x (B, c, h, w)."""
    assert norm.running_var is not None  # noqa: S101  # `pairs` left out those without
    assert norm.running_mean is not None  # noqa: S101
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    return F.conv2d(
        x,
        convolution.weight * scale[:, None, None, None],
        shift,
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        convolution.groups,
    )
