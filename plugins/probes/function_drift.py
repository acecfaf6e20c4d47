"""How far two networks' logits lie apart, the check on every rescaling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Circumstance, Network, Split, Table


class FunctionDrift(Probe):
    """Compare the outputs of `model` with those of `reference` on every row of `data`.

    Reads:  data.x, and data.y (integer labels) for the accuracies. Deterministic: takes no seed.
    Raises: RunnerError when the two networks have architectures that differ.
    Source: the definition.
    """

    varies: ClassVar[tuple[str, ...]] = ("model",)
    columns: ClassVar[dict[str, str]] = {
        "max_abs_logit": "largest |logit - reference logit| over rows and outputs, nats",
        "mean_abs_logit": "mean |logit - reference logit| over rows and outputs, nats",
        "changed": "share of rows whose largest logit is another one",
        "accuracy": "share of rows on which the label has the largest logit",
        "reference_accuracy": "the same of the reference",
    }

    rows: int = Field(2048, ge=1, description="rows evaluated at a time; for memory alone")
    chunk: int = Field(8, ge=1, description="networks evaluated at a time; for memory alone")

    def run(self, model: Network, reference: Network, data: Split, here: Circumstance) -> Table:
        return next(self.run_batch([self], [model], reference, data, here))

    @classmethod
    def run_batch(
        cls,
        nodes: Sequence[FunctionDrift],
        model: Sequence[Network],
        reference: Network,
        data: Split,
        here: Circumstance,
    ) -> Iterator[Table]:
        """Yield the table of each node, one row each."""
        from plugins.maths.sampling.drift import compare

        if any(one.architecture != reference.architecture for one in model):
            raise RunnerError(
                "function_drift: model and reference have different architectures; "
                "compare a network with the one that it was made from"
            )
        chunk = nodes[0].chunk
        for start in range(0, len(nodes), chunk):
            some = model[start : start + chunk]
            columns = compare(some, reference, data, nodes[0].rows, here.device)
            for cell in range(len(some)):
                yield Table({name: [values[cell]] for name, values in columns.items()})
