"""Fully connected networks as torch modules. Shapes: B rows, D inputs, C outputs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LINEAR_ABOVE = 20.0  # of beta * x: softplus is x there to float32, as torch.nn.Softplus has it


class Softplus(nn.Module):
    """log(1 + exp(beta x)) / beta; beta is a buffer, so networks of several share a computation."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta: Tensor
        self.register_buffer("beta", torch.tensor(float(beta)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of each entry, in x's shape."""
        scaled = self.beta * x
        return torch.where(
            scaled > LINEAR_ABOVE, x, F.softplus(scaled, threshold=LINEAR_ABOVE) / self.beta
        )


PLAIN = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU, "sigmoid": nn.Sigmoid,
    "elu": nn.ELU, "identity": nn.Identity,
}  # fmt: skip


class Perceptron(nn.Module):
    """Linear layers with an activation between them; inputs of any shape are flattened.

    Raises: ValueError when the rows do not have as many entries as the first layer takes.
    """

    def __init__(self, sizes: Sequence[int], activation: str, beta: float, bias: bool) -> None:
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(nn.Linear(i, o, bias=bias) for i, o in pairs)
        self.activation = Softplus(beta) if activation == "softplus" else PLAIN[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (B, C) of inputs (B, ...)."""
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]
