"""The norm of a network's weights."""

from __future__ import annotations

from typing import ClassVar

from runner.plugin import Probe
from runner.types import Network, Table

from ..maths.tally import note


class Size(Probe):
    """Return the norm of all weights.

    Reads: model. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"size": "norm of all weights"}

    def run(self, model: Network) -> Table:
        note("size")
        total = sum(float((w.double() ** 2).sum()) for w in model.weights.values())
        return Table({"size": [total**0.5]})
