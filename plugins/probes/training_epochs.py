"""A training curve by epochs, the best one marked, in both ways of counting them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from runner.parameters import Column
from runner.plugin import Probe
from runner.types import Table


class TrainingEpochs(Probe):
    """Number the rows of a history and mark the best.

    Row 0 is the network before training, so epoch e is what e passes gave. Programs that count
    passes from 0 and know no row before training name the same network e - 1: both are told.

    Reads:  table, a history with one row a pass and one before the first, as `supervised` writes.
            Deterministic: takes no seed.
    Raises: ValueError for a missing column or no rows.
    Source: none.
    """

    columns: ClassVar[dict[str, str]] = {
        "epoch": "passes done; 0: before training",
        "epoch_from_0": "the same pass where they are counted from 0; -1: before training",
        "step": "optimizer steps done",
        "train_loss": "mean loss over the training split",
        "loss": "mean loss over the split",
        "r2": "1 - SS_res / SS_tot over the split",
        "rmse": "root of the mean squared error",
        "mae": "mean absolute error",
        "lr": "learning rate of the last update",
        "best": "whether the row is the best one, the first of equals",
    }

    split: str = Field("val", description="split whose metrics are told")
    by: Column = Field("val_r2", description="column in which a row is best")
    mode: Literal["min", "max"] = Field("max", description="whether less or more of it is better")

    def run(self, table: Table) -> Table:
        import numpy as np

        from plugins.maths.figures.views import check_columns

        frame = table.frame
        wanted = {name: f"{self.split}_{name}" for name in ("loss", "r2", "rmse", "mae")}
        check_columns(frame, by=self.by, step="step", lr="lr", train="train_loss", **wanted)
        if frame.empty:
            raise ValueError("the history has no rows")
        values = frame[self.by].to_numpy(np.float64)
        best = int(np.argmax(values) if self.mode == "max" else np.argmin(values))
        at = np.arange(len(frame))
        found = {"epoch": at, "epoch_from_0": at - 1, "step": frame["step"].to_numpy()}
        found |= {"train_loss": frame["train_loss"].to_numpy(), "lr": frame["lr"].to_numpy()}
        found |= {name: frame[column].to_numpy() for name, column in wanted.items()}
        found["best"] = at == best
        return Table({name: found[name] for name in self.columns})
