"""Training loop on Lightning: blocks of steps between events, resumable bit for bit.

A Lightning batch is here a block of optimizer steps up to the next event (an evaluation, a
checkpoint, the end). The steps inside run bare, so that Lightning's cost, half a millisecond
a batch, is paid per event and not per step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from plugins.maths.training import resume
from plugins.maths.training.fitting_state import State, fingerprint
from plugins.maths.training.lightning_run import bare_trainer, interruptible, quiet
from plugins.maths.training.supervision import Rows
from runner.types import Circumstance, Network, Seed, Table, Trained

if TYPE_CHECKING:
    from plugins.trainers.supervised import Supervised

SECONDS_BETWEEN_SAVES = 15.0  # at most so much work is lost to a kill
SECONDS_BETWEEN_REPORTS = 1.0


@dataclass(frozen=True)
class Blocks:
    """The loader: (first, end) of the steps from one event to the next."""

    ends: tuple[int, ...]
    first: int

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip((self.first, *self.ends), self.ends, strict=False))


class Fitting(pl.LightningModule):
    """One training run: a network, its rows, the recipe and the state reached so far."""

    def __init__(
        self,
        recipe: Supervised,
        start: Network,
        rows: Mapping[str, Rows],
        seed: Seed,
        here: Circumstance,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.recipe, self.start, self.here, self.seed = recipe, start, here, seed
        self.network = start.module()
        self.parts = dict(rows)
        self.compute_loss = rows[recipe.train].loss(recipe.loss)
        self.total = recipe.total_steps(len(rows[recipe.train]))
        self.every = recipe.evaluate_every or recipe.steps_a_pass(len(rows[recipe.train]))
        self.state, self.losses = State(), list[Tensor]()
        self.checkpoints: dict[int, dict[str, Tensor]] = {}
        self.best_weights: dict[str, Tensor] = {}
        self.saved: dict[str, Tensor] = {}  # what a killed run left: moments, random state
        self.folder = None if here.scratch == Path() else here.scratch
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.identity = fingerprint(recipe, start, rows, seed)
            self.pick_up(self.folder)
        self.last_save = self.last_report = time.monotonic()

    # -- the steps ---------------------------------------------------------------------------

    def blocks(self) -> Blocks:
        """Return the blocks of steps from the state's step to the total."""
        first = self.state.step
        ends = {step for step in self.recipe.checkpoints() if first < step < self.total}
        ends |= set(range(first - first % self.every + self.every, self.total, self.every))
        return Blocks((*sorted(ends), self.total), first)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimizer, with the moments of a killed run if there was one."""
        optimizer = self.recipe.optimizer.build(self.network.parameters())
        if moments := resume.part(self.saved, "optimizer"):
            resume.restore_optimizer(optimizer, moments)
        return optimizer

    def on_train_start(self) -> None:
        """Put rows and generators in place, then evaluate what the run starts from."""
        self.network.train()  # a Network's module stands in evaluation mode; Lightning leaves it so
        self.parts = {name: rows.to(self.device) for name, rows in self.parts.items()}
        self.batches = self.parts[self.recipe.train].batches(self.recipe.batch, self.seed)
        if generators := resume.part(self.saved, "random"):
            resume.restore_random(generators, self.device)
        self.saved = {}
        self.visit()

    def training_step(self, block: tuple[int, int]) -> None:
        """Run the steps of a block."""
        if self.trainer.should_stop:  # a run picked up where it had to stop
            return
        optimizer = self.optimizers(use_pl_optimizer=False)
        group, clip = optimizer.param_groups[0], self.recipe.clip
        weights = list(self.network.parameters())
        for step in range(*block):
            group["lr"] = self.rate(step)
            x, y = self.batches.at(step)
            loss = self.compute_loss(self.network(x), y)
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                clip_grad_norm_(weights, clip)
            optimizer.step()
            self.losses.append(loss.detach())
            self.state.step = step + 1
            if time.monotonic() > self.last_report + SECONDS_BETWEEN_REPORTS:
                self.report()

    def rate(self, step: int) -> float:
        """Return the learning rate of update `step`, 0-based."""
        recipe = self.recipe
        return recipe.optimizer.lr * self.state.scale * recipe.schedule.factor(step, self.total)

    def on_train_batch_end(self, *_: object) -> None:
        """Do what is due at the end of a block."""
        self.visit()

    # -- the events --------------------------------------------------------------------------

    def visit(self) -> None:
        """Do what is due at the state's step and not yet done: a kill may have come between."""
        self.check_losses()
        state, step = self.state, self.state.step
        if step in self.recipe.checkpoints() and step not in state.kept:
            self.keep(step)
        done = state.history[-1]["step"] if state.history else -1
        if done < step and (step % self.every == 0 or step == self.total):
            self.evaluate(step)
        if (stopping := self.recipe.early_stopping) and state.stopping.bad >= stopping.patience:
            self.trainer.should_stop = True

    def check_losses(self) -> None:
        """Raise at the first loss since the last check that is not finite."""
        if not self.losses:
            return
        values, self.losses = torch.stack(self.losses), []
        if not (fine := values.isfinite()).all():
            place = int((~fine).nonzero()[0])
            step = self.state.step - len(values) + place
            raise self.diverged("loss", float(values[place]), step + 1)

    def diverged(self, what: str, value: float, step: int) -> FloatingPointError:
        """Return the error for a loss that is not finite."""
        optimizer = self.recipe.optimizer
        return FloatingPointError(
            f"{what} is {value} at step {step} of {self.total}; lower "
            f"optimizer.{optimizer.name}.lr = {optimizer.lr}, set clip, or give a warmup"
        )

    def evaluate(self, step: int) -> None:
        """Append a row of whole-split metrics and act on it: best, early stopping, plateau."""
        state, recipe = self.state, self.recipe
        row: dict[str, float] = {"step": step}
        for name, rows in self.parts.items():
            metrics = rows.measure(self.network, recipe.loss)
            row |= {f"{name}_{metric}": value for metric, value in metrics.items()}
            if not math.isfinite(metrics["loss"]):
                raise self.diverged(f"{name}_loss", metrics["loss"], step)
        row["lr"] = self.rate(max(step - 1, 0))
        state.history.append(row)
        if state.best.see(recipe.best, row[recipe.best.monitor], 0.0):
            self.best_weights = resume.weights_of(self.network)
        if stopping := recipe.early_stopping:
            state.stopping.see(stopping, row[stopping.monitor], stopping.min_delta)
        if plateau := recipe.schedule.plateau:
            margin = plateau.threshold * abs(state.plateau.best or 0.0)
            state.plateau.see(plateau, row[plateau.monitor], margin)
            if state.plateau.bad > plateau.patience:
                state.scale *= plateau.factor
                state.plateau.bad = 0

    # -- outliving a kill --------------------------------------------------------------------

    def report(self) -> None:
        """Say how far the run is and, now and then, save it."""
        self.check_losses()
        self.last_report = time.monotonic()
        self.here.progress(self.state.step, self.total, "step")
        if self.folder and self.last_report >= self.last_save + SECONDS_BETWEEN_SAVES:
            self.save(self.folder)
            self.last_save = time.monotonic()

    def save(self, folder: Path) -> None:
        """Write the whole state; see `resume.write`."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        tensors = (
            resume.named("weights", self.network.state_dict())
            | resume.named("optimizer", resume.optimizer_tensors(optimizer))
            | resume.named("best", self.best_weights)
            | resume.named("random", resume.random_state(self.device))
        )
        notes = {"identity": self.identity, "state": asdict(self.state)}
        resume.write(folder / "resume.safetensors", tensors, notes)

    def pick_up(self, folder: Path) -> None:
        """Continue from what a killed run of the same recipe, weights, rows and seed left."""
        found = resume.read(folder / "resume.safetensors")
        if found is None or found[1]["identity"] != self.identity:
            return
        self.saved, notes = found
        self.state = State.of(notes["state"])
        self.network.load_state_dict(resume.part(self.saved, "weights"))
        self.best_weights = resume.part(self.saved, "best")
        for step in self.state.kept:
            stored = resume.read(folder / f"step-{step}.safetensors")
            if stored is None:
                raise FileNotFoundError(
                    f"{folder} lacks the checkpoint of step {step}; remove the folder to train anew"
                )
            self.checkpoints[step] = stored[0]

    def keep(self, step: int) -> None:
        """Keep the network of this step, in a file of its own so that saves stay small."""
        self.checkpoints[step] = resume.weights_of(self.network)
        if self.folder:
            resume.write(self.folder / f"step-{step}.safetensors", self.checkpoints[step], {})
        self.state.kept.append(step)

    def trained(self) -> Trained:
        """Return the outcome."""
        design, rows = self.start.architecture, self.state.history
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Trained(
            {step: Network(design, weights) for step, weights in sorted(self.checkpoints.items())},
            Network(design, self.best_weights),
            Network(design, resume.weights_of(self.network)),
            Table(columns),
        )


def fit(
    recipe: Supervised, start: Network, rows: Mapping[str, Rows], seed: Seed, here: Circumstance
) -> Trained:
    """Train and return checkpoints, best, last and history.

    Raises: FloatingPointError naming the step at which a loss was not finite.
    """
    device = torch.device(here.device)
    with quiet(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed.integer("layers"))  # for dropout and the like
        fitting = Fitting(recipe, start, rows, seed, here)
        trainer = bare_trainer(here.device)
        with interruptible():
            trainer.fit(fitting, train_dataloaders=fitting.blocks())
        here.progress(fitting.total, fitting.total, "step")
        return fitting.trained()
