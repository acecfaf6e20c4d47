"""Loss and accuracy of a classifier on its training and its test data."""

from __future__ import annotations

from typing import ClassVar

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Circumstance, Dataset, Network, Table


class Classification(Probe):
    """Measure the mean cross-entropy and the accuracy over all rows of two splits.

    As the history of `supervised`, for networks that come from anywhere: in evaluation mode,
    logits in double precision before the softmax, so that losses far below 1e-7 keep their digits.

    Reads:  splits train and test of the data, x and integer classes y. Deterministic.
    Raises: RunnerError when a split or an array is missing, or y are no classes.
    Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "train_loss": "mean cross-entropy over the training split, nats",
        "train_acc": "share of its rows whose largest logit is the label's",
        "test_loss": "mean cross-entropy over the test split, nats",
        "test_acc": "share of its rows whose largest logit is the label's",
    }

    def run(self, model: Network, data: Dataset, here: Circumstance) -> Table:
        import torch

        from plugins.maths.training.supervision import Rows, measure

        module, row = model.module(here.device), {}
        for split in ("train", "test"):
            if split not in data.splits:
                raise RunnerError(f"classification: the data has no split {split!r}")
            rows = Rows.of(data[split], split, "cross_entropy")
            found = measure(module, rows.to(torch.device(here.device)), "cross_entropy")
            row[f"{split}_loss"], row[f"{split}_acc"] = found["loss"], found["accuracy"]
        return Table({name: [row[name]] for name in self.columns})
