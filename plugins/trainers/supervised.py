"""The one supervised trainer: classification and regression, minibatch or full batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from plugins.maths.training.optimisers import AdamW, EarlyStopping, Monitor, Optimizer, Schedule
from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Model, Trainer
from runner.types import Circumstance, Dataset, Network, Seed, Trained

METRICS = {"cross_entropy": ("loss", "accuracy"), "mse": ("loss", "rmse", "mae", "r2")}
MEANING = {
    "loss": "mean loss over the split, evaluation mode (nats, or the targets' unit squared)",
    "accuracy": "share of rows whose largest logit is the target (loss = cross_entropy)",
    "rmse": "root of the mean squared error, the targets' unit (loss = mse)",
    "mae": "mean absolute error, the targets' unit (loss = mse)",
    "r2": "1 - SS_res / SS_tot over the split (loss = mse)",
}


class Supervised(Trainer):
    """Train a network by gradient steps on the mean loss of minibatches, or of all rows.

    A `Model` is shaped for the data and drawn from the seed; a `Network` is trained on from its
    weights, with a fresh optimizer. Batch number s depends on the seed and s alone. The history
    has a row before the first step, every `evaluate_every` steps and at the end, of metrics over
    whole splits, never means of batches. A checkpoint beyond an early stop does not exist. A
    killed run continues where it last saved itself, to the same bits.

    Reads:  splits `train` and `evaluate` of the data, arrays x (N, ...) and y (N,) or (N, C).
    Raises: FloatingPointError naming the step at which a loss was not finite;
            RunnerError when a split is missing or the targets do not suit the loss.
    Source: the optimizers as in their papers (see `plugins/maths/training/optimisers.py`), run by
            Lightning.
    """

    columns: ClassVar[dict[str, str]] = {
        "step": "optimizer steps done",
        **{
            f"{split}_{metric}": f"{split}: {meaning}"
            for split in ("train", "val", "test")
            for metric, meaning in MEANING.items()
        },
        "lr": "learning rate of the last update (in the row of step 0: of the first)",
    }

    optimizer: Optimizer = Field(
        Optimizer(adamw=AdamW()), description="one of adamw, adam, sgd with its parameters"
    )
    schedule: Schedule = Field(
        Schedule(), description="at most one of constant, linear, cosine, plateau; and a warmup"
    )
    loss: Literal["cross_entropy", "mse"] = Field(
        "cross_entropy", description="nats for integer classes, or mean squared error"
    )
    steps: int | None = Field(None, ge=1, description="optimizer steps; give this or epochs")
    epochs: int | None = Field(None, ge=1, description="passes over the training split")
    batch: int | None = Field(
        None, ge=1, description="rows a step, shuffled in every pass; none: all rows (full batch)"
    )
    clip: Real | None = Field(
        None, gt=0, description="largest norm of the whole gradient; none: not clipped"
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="steps between rows of the history; none: once a pass"
    )
    save_at: tuple[int, ...] = Field(
        (), description="steps whose networks are kept; 0 is the network before training"
    )
    best: Monitor = Field(Monitor(), description="what makes a network `best` among the rows")
    early_stopping: EarlyStopping | None = Field(
        None, description="when to stop before the last step; none: never"
    )
    train: str = Field("train", description="name of the split that is trained on")
    evaluate: tuple[str, ...] = Field(
        ("test",), description="further splits that are evaluated, never trained on"
    )

    def work(self) -> float:
        return float((self.steps or self.epochs or 1) * (self.batch or 1))

    def check_parameters(self) -> str | None:
        if (self.steps is None) == (self.epochs is None):
            return f"give either steps or epochs, not steps = {self.steps}, epochs = {self.epochs}"
        if any(step < 0 or step > (self.steps or step) for step in self.save_at):
            return f"save_at = {list(self.save_at)} must lie between 0 and steps = {self.steps}"
        if self.train in self.evaluate:
            return f"{self.train!r} is trained on and evaluated anyway; take it out of evaluate"
        known = [f"{part}_{name}" for part in self.parts for name in self.metrics]
        for where, monitor in self._monitors():
            if monitor.monitor not in known:
                return f"{where}.monitor = {monitor.monitor!r} is no column: {listed(known, 20)}"
        return None

    def _monitors(self) -> Iterator[tuple[str, Monitor]]:
        yield "best", self.best
        if self.early_stopping:
            yield "early_stopping", self.early_stopping
        if self.schedule.plateau:
            yield "schedule.plateau", self.schedule.plateau

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the loss, as the history names them after the split."""
        return METRICS[self.loss]

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits in the history, the training split first."""
        return (self.train, *self.evaluate)

    def checkpoints(self) -> tuple[int, ...]:
        """Return `save_at`, in order and each step once."""
        return tuple(sorted(set(self.save_at)))

    def steps_a_pass(self, rows: int) -> int:
        """Return the optimizer steps in one pass over `rows` training rows."""
        return -(-rows // (self.batch or rows))

    def total_steps(self, rows: int) -> int:
        """Return the optimizer steps of the whole run, unless it stops early."""
        return self.steps or (self.epochs or 0) * self.steps_a_pass(rows)

    def run(self, model: Model | Network, data: Dataset, seed: Seed, here: Circumstance) -> Trained:
        from plugins.maths.training.fitting import fit
        from plugins.maths.training.supervision import Rows

        start = self.start(model, data, seed)
        rows = {name: Rows.of(data[name], name, self.loss) for name in self.parts}
        return fit(self, start, rows, seed, here)

    def start(self, model: Model | Network, data: Dataset, seed: Seed) -> Network:
        """Return the network that training begins with.

        Raises: RunnerError when the data lacks a split that is trained on or evaluated.
        """
        if missing := [name for name in self.parts if name not in data.splits]:
            raise RunnerError(
                f"the data has no split {missing[0]!r}, only {listed(data.splits)}; "
                "set train and evaluate in the trainer's table"
            )
        return model if isinstance(model, Network) else model.shaped_for(data).initialise(seed)
