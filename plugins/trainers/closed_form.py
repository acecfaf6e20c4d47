"""Networks whose minimum is known are placed there, not trained."""

from __future__ import annotations

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.plugin import Model, Trainer
from runner.types import Dataset, Network


class ClosedForm(Trainer):
    """Place a network exactly at a minimum of its squared loss.

    The architecture states the minimum through its method `minimum(split)`; where minima form a
    set, it is the most singular one.

    Reads:  split `train` of the data, x and y. Deterministic: takes no seed.
    Raises: RunnerError when the architecture states no minimum, or the split is missing.
    Source: least squares and its truncation by rank (see `plugins/maths/networks/analytic.py`).
    """

    train: str = Field("train", description="name of the split whose loss is minimised")

    def run(self, model: Model, data: Dataset) -> Network:
        minimum = getattr(model, "minimum", None)
        if minimum is None:
            raise RunnerError(
                f"closed_form: {type(model).__name__} states no minimum; "
                "use a model that does (analytic), or a trainer that searches"
            )
        if self.train not in data.splits:
            raise RunnerError(
                f"closed_form: no split {self.train!r}, only {listed(data.splits)}; set train"
            )
        placed: Network = minimum(data[self.train])
        return placed
