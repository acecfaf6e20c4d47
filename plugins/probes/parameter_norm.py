"""The norm of a network's parameters as one vector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from runner.plugin import Probe
from runner.types import Network, Table

if TYPE_CHECKING:
    import torch


class ParameterNorm(Probe):
    """Measure |w| over all trainable parameters, and against those of another network.

    Buffers, such as the constants inside LayerNorm, do not count.

    Reads:  model and, if given, reference; their weights only. Deterministic: takes no seed.
    Raises: ValueError naming the first parameter that is not finite, and when the two networks'
            parameters differ in name or shape.
    Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "norm": "Euclidean norm of all parameters",
        "parameters": "their number",
        "relative_norm": "norm over the reference's; nan without a reference",
        "distance": "|w - w_reference| over |w_reference|; nan without a reference",
    }

    def run(self, model: Network, reference: Network | None = None) -> Table:
        own = _parameters(model)
        norm = _norm(own)
        row = {"norm": norm, "parameters": sum(value.numel() for value in own.values())}
        row |= {"relative_norm": float("nan"), "distance": float("nan")}
        if reference is not None:
            base = _parameters(reference)
            if {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in base.items()}:
                raise ValueError(
                    "parameter_norm: model and reference have other parameters; compare networks "
                    "of one architecture"
                )
            moved = {name: value - base[name] for name, value in own.items()}
            row["relative_norm"] = norm / _norm(base)
            row["distance"] = _norm(moved) / _norm(base)
        return Table({name: [row[name]] for name in self.columns})


def _parameters(network: Network) -> dict[str, torch.Tensor]:
    names = [name for name, _ in network.module().named_parameters()]
    found = {name: network.weights[name].double() for name in names}
    for name, value in found.items():
        if not value.isfinite().all():
            raise ValueError(f"parameter {name!r} is not finite; did training diverge?")
    return found


def _norm(parameters: dict[str, torch.Tensor]) -> float:
    return math.hypot(*(value.norm().item() for value in parameters.values()))
