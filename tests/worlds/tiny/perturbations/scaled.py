"""Weights times a factor: cheap, never stored."""

from __future__ import annotations

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Perturbation
from runner.types import Network

from ..maths.tally import note


class Scaled(Perturbation):
    """Multiply every weight by `factor`.

    Reads: model. Raises: nothing. Source: the definition.
    """

    persist = False

    factor: Real = Field(1.0, description="factor of every weight")

    def run(self, model: Network) -> Network:
        note(f"scaled {self.factor:g}")
        return Network(model.architecture, {n: w * self.factor for n, w in model.weights.items()})
