"""Batch norms in evaluation mode and the convolutions that can take them in.

A batch norm of fixed statistics is a factor and a shift for each channel: the convolution before it
takes both over, and a pass over its output is saved.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def traced(module: nn.Module) -> fx.GraphModule | None:
    """Return the graph of a module's forward pass; None where it has none."""
    try:
        return fx.symbolic_trace(module)
    except Exception:  # control flow that depends on values, and whatever else a trace stumbles on
        return None


def pairs(graph: fx.GraphModule) -> dict[fx.Node, fx.Node]:
    """Return batch norm -> the convolution before it, where nothing else reads the latter.

    Norms in training mode, or without statistics, are left out, and convolutions whose kind is not
    torch's own or whose borders are not filled with zeros.
    """
    parts, found = dict(graph.named_modules()), {}
    for node in graph.graph.nodes:
        norm = parts.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, Norm) or norm.running_var is None or norm.training:
            continue
        before: Any = node.args[0]
        if before.op != "call_module" or len(before.users) > 1 or len(before.args) != 1:
            continue
        convolution: Any = parts.get(str(before.target))
        if type(convolution) in CONVOLUTIONS and convolution.padding_mode == "zeros":
            found[node] = before
    return found


def merged(convolution: Convolution, norm: Norm) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of the convolution that is both, differentiable in theirs."""
    assert norm.running_var is not None  # noqa: S101  # `pairs` left out those without
    assert norm.running_mean is not None  # noqa: S101
    factor = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        factor = factor * norm.weight
    shift = -norm.running_mean * factor
    if norm.bias is not None:
        shift = shift + norm.bias
    if convolution.bias is not None:
        shift = shift + convolution.bias * factor
    weight = convolution.weight
    return weight * factor.view(-1, *[1] * (weight.ndim - 1)), shift
