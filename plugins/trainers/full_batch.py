"""Full-batch training of many small networks as one computation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from plugins.maths.training.optimisers import AdamW, Monitor, Optimizer, Schedule
from plugins.trainers.supervised import MEANING, METRICS
from runner.errors import RunnerError, listed
from runner.plugin import Model, Trainer
from runner.types import Circumstance, Dataset, Network, Seed, Trained


class FullBatch(Trainer):
    """Train a network by steps on the mean loss of all rows, its cells stacked into one network.

    Cells whose networks and rows have equal shapes (repeats by seed, values of a model's
    `in_buffers`, data of equal size) are one computation; each has its own loss, gradients and
    moments, and the same numbers alone as among others, to the rounding of its precision. A step
    is one pass over the rows. A `Model` is shaped for the data and drawn from the seed; a `Network`
    is trained on from its weights, with a fresh optimizer. Histories, checkpoints and resumption
    are as in `supervised`, which also has minibatches, clipping and early stopping, for one network
    at a time. Layers that draw or count in training (dropout, batch norm) are not for this trainer.

    Reads:  splits `train` and `evaluate` of the data, arrays x (N, ...) and y (N,) or (N, C).
    Raises: FloatingPointError naming the step at which a loss was not finite;
            RunnerError when a split is missing or the targets do not suit the loss.
    Source: the optimizers as in their papers (see `plugins/maths/training/optimisers.py`).
    """

    varies: ClassVar[tuple[str, ...]] = ("model", "data", "seed")
    columns: ClassVar[dict[str, str]] = {
        "step": "optimizer steps done",
        **{
            f"{split}_{metric}": f"{split}: {meaning}"
            for split in ("train", "val", "test")
            for metric, meaning in MEANING.items()
        },
        "lr": "learning rate of the last update (in the row of step 0: of the first)",
    }
    clip: ClassVar[None] = None  # what the shared loop asks of every recipe
    batch: ClassVar[None] = None
    early_stopping: ClassVar[None] = None

    optimizer: Optimizer = Field(
        Optimizer(adamw=AdamW()), description="one of adamw, adam, sgd with its parameters"
    )
    schedule: Schedule = Field(
        Schedule(), description="at most one of constant, linear, cosine; and a warmup"
    )
    loss: Literal["cross_entropy", "mse"] = Field(
        "mse", description="nats for integer classes, or mean squared error"
    )
    steps: int = Field(ge=1, description="optimizer steps, each on all rows")
    evaluate_every: int = Field(100, ge=1, description="steps between rows of the history")
    save_at: tuple[int, ...] = Field(
        (), description="steps whose networks are kept; 0 is the network before training"
    )
    best: Monitor = Field(Monitor(), description="what makes a network `best` among the rows")
    train: str = Field("train", description="name of the split that is trained on")
    evaluate: tuple[str, ...] = Field(
        ("test",), description="further splits that are evaluated, never trained on"
    )
    together: int = Field(
        64, ge=1, description="networks in one computation, at most; for memory alone"
    )

    def check_parameters(self) -> str | None:
        if any(not 0 <= step <= self.steps for step in self.save_at):
            return f"save_at = {list(self.save_at)} must lie between 0 and steps = {self.steps}"
        if self.train in self.evaluate:
            return f"{self.train!r} is trained on and evaluated anyway; take it out of evaluate"
        if self.schedule.plateau:
            return "schedule.plateau looks at one network; use the trainer supervised for it"
        known = [f"{part}_{name}" for part in self.parts for name in METRICS[self.loss]]
        if self.best.monitor not in known:
            return f"best.monitor = {self.best.monitor!r} is no column: {listed(known, 20)}"
        return None

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits in the history, the training split first."""
        return (self.train, *self.evaluate)

    def batch_size(self) -> int:
        return self.together

    def work(self) -> float:
        return float(self.steps)

    def checkpoints(self) -> tuple[int, ...]:
        """Return `save_at`, in order and each step once."""
        return tuple(sorted(set(self.save_at)))

    def total_steps(self, rows: int) -> int:
        """Return the optimizer steps of the whole run."""
        del rows
        return self.steps

    def run(self, model: Model | Network, data: Dataset, seed: Seed, here: Circumstance) -> Trained:
        return next(self.run_batch([self], [model], [data], [seed], here))

    @classmethod
    def run_batch(
        cls,
        nodes: Sequence[FullBatch],
        model: Sequence[Model | Network],
        data: Sequence[Dataset],
        seed: Sequence[Seed],
        here: Circumstance,
    ) -> Iterator[Trained]:
        """Yield what each node is trained to."""
        from plugins.maths.training.crowds import alike, fit_crowd
        from plugins.maths.training.supervision import Rows

        recipe = nodes[0]
        starts, rows = [], []
        for one, of, own in zip(model, data, seed, strict=True):
            if missing := [name for name in recipe.parts if name not in of.splits]:
                raise RunnerError(
                    f"the data has no split {missing[0]!r}, only {listed(of.splits)}; "
                    "set train and evaluate in the trainer's table"
                )
            starts.append(one if isinstance(one, Network) else one.shaped_for(of).initialise(own))
            rows.append({name: Rows.of(of[name], name, recipe.loss) for name in recipe.parts})
        crowds: dict[str, list[int]] = {}
        for at in range(len(nodes)):
            crowds.setdefault(alike(starts[at], rows[at]), []).append(at)
        found: dict[int, Trained] = {}
        for number, members in enumerate(crowds.values()):
            place = here
            if number and here.scratch.parts:  # no parts: there is no folder
                place = replace(here, scratch=here.scratch / f"crowd-{number}")
            some = [starts[at] for at in members], [rows[at] for at in members]
            found |= dict(zip(members, fit_crowd(recipe, *some, seed[0], place), strict=True))
        yield from (found[at] for at in range(len(nodes)))
