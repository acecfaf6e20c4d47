"""How far a network's tensors lie from those of another: what was frozen must not have moved."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Network, Table


class WeightsChanged(Probe):
    """Compare the tensors of `model` under a prefix with those of `reference`, by name.

    Buffers (the running means of batch norm) count apart from parameters, for they change
    without a gradient.

    Reads:  the weights of both. Deterministic: takes no seed.
    Raises: RunnerError when no tensor has the prefix, or one is missing or of another shape.
    Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "parameters": "numbers in the model's parameters, all of them",
        "trainable": "of these, numbers that get a gradient",
        "compared": "numbers in the parameters that were compared",
        "weight_change": "largest |difference| of a compared parameter",
        "buffer_change": "largest |difference| of a compared buffer; 0 without any",
    }

    prefix: str = Field(
        "", description='beginning of the model\'s names that the reference lacks, "encoder."'
    )

    def run(self, model: Network, reference: Network) -> Table:
        module = model.module()
        named = dict(module.named_parameters())
        own = {n: t for n, t in model.weights.items() if n.startswith(self.prefix)}
        if not own:
            raise RunnerError(f"weights_changed: no tensor of the model begins {self.prefix!r}")
        compared, weights, buffers = 0, 0.0, 0.0
        for name, tensor in own.items():
            other = reference.weights.get(name.removeprefix(self.prefix))
            if other is None or other.shape != tensor.shape:
                raise RunnerError(f"weights_changed: the reference has no tensor like {name!r}")
            away = float((tensor.double() - other.double()).abs().max()) if tensor.numel() else 0.0
            if name in named:
                compared += tensor.numel()
                weights = max(weights, away)
            else:
                buffers = max(buffers, away)
        found = {
            "parameters": sum(p.numel() for p in named.values()),
            "trainable": sum(p.numel() for p in named.values() if p.requires_grad),
            "compared": compared, "weight_change": weights, "buffer_change": buffers,
        }  # fmt: skip
        return Table({name: [value] for name, value in found.items()})
