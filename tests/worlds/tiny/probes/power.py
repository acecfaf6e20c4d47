"""Powers, many in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Split, Table

from ..maths.tally import note


class Power(Probe):
    """Return the mean of |x| ** exponent times base.

    Reads: data.x. Raises: ValueError where the exponent is 13. Source: the definition.
    """

    varies = ("base", "exponent")
    columns: ClassVar[dict[str, str]] = {"power": "mean of base |x| ** exponent"}

    base: Real = Field(1.0, description="factor")
    exponent: Real = Field(1.0, description="exponent")
    offset: Real = Field(0.0, description="added to the result; the same within a call")

    def batch_size(self) -> int:
        return 3

    def run(self, data: Split) -> Table:
        return next(self.run_batch([self], data))

    @classmethod
    def run_batch(cls, nodes: Sequence[Power], data: Split) -> Iterator[Table]:
        import numpy as np

        note(f"power of {len(nodes)}")
        for node in nodes:
            if node.exponent == 13:
                raise ValueError("exponent 13 brings bad luck; take another")
            mean = float(np.mean(np.abs(data["x"]) ** node.exponent))
            yield Table({"power": [node.base * mean + node.offset]})
