"""What the trainer costs beside a bare PyTorch loop: same network, rows, batches, optimizer, steps.

Run: python benchmarks/trainer.py [--rounds 9]. One thread. Rounds alternate between the two and
the median of their ratios is printed, so that other load on the machine falls on both. The trainer
is timed whole: set-up, history, resume file and all; both evaluate the same splits equally often.
The third column is Lightning used the ordinary way, with a step for each of its batches.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch.nn import functional as F

from plugins.data.modular_arithmetic import ModularArithmetic
from plugins.maths.training.supervision import Batches, Rows, measure
from plugins.models.transformer import Transformer
from plugins.trainers.supervised import Supervised
from runner import Circumstance, Dataset, Model, Network, Seed

SEED = Seed(0)
CASES = {  # name -> (network, modulus, rows a step, steps)
    "transformer 128 wide, 512 rows": (Transformer(width=128), 97, 512, 40),
    "transformer 64 wide, 256 rows": (Transformer(width=64), 41, 256, 100),
    "transformer 32 wide, 64 rows": (Transformer(width=32, layers=1), 13, 64, 400),
}


class Perceptron(Model):
    """Four numbers in, 100 hidden units: so small that overhead is all there is."""

    def build(self) -> torch.nn.Module:
        """Return the module."""
        return torch.nn.Sequential(
            torch.nn.Linear(4, 100), torch.nn.Softplus(), torch.nn.Linear(100, 99)
        )


def real(data: Dataset) -> Dataset:
    """Return the data with real-valued inputs, for the perceptron."""
    splits = {
        name: {"x": arrays["x"].astype("float32"), "y": arrays["y"]}
        for name, arrays in data.splits.items()
    }
    return Dataset(splits, data.about)


def bare(start: Network, rows: dict[str, Rows], trainer: Supervised) -> None:
    """Train with a plain loop."""
    network = start.module().train()
    optimizer = trainer.optimizer.build(network.parameters())
    batches = Batches(rows["train"], trainer.batch, SEED)
    for step in range(trainer.steps or 0):
        x, y = batches.at(step)
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for part in rows.values():
        for _ in range(2):
            measure(network, part, trainer.loss)


class Ordinary(pl.LightningModule):
    """The ordinary way: automatic optimization, one batch a step."""

    def __init__(self, start: Network, trainer: Supervised) -> None:
        super().__init__()
        self.network, self.recipe = start.module(), trainer

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch."""
        x, y = batch
        return F.cross_entropy(self.network(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return self.recipe.optimizer.build(self.network.parameters())


def ordinary(start: Network, rows: dict[str, Rows], trainer: Supervised) -> None:
    """Train with Lightning's own loop over ready batches."""
    module = Ordinary(start, trainer)
    batches = Batches(rows["train"], trainer.batch, SEED)

    class Loader:
        def __iter__(self) -> object:
            return (batches.at(step) for step in range(trainer.steps or 0))

    pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, Loader())
    for part in rows.values():
        for _ in range(2):
            measure(module.network, part, trainer.loss)


def seconds(run: Callable[[], object]) -> float:
    """Return the process time of a call: waiting for other programs is not in it."""
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(
    name: str, model: Model, data: Dataset, *, rounds: int, batch: int | None, steps: int
) -> None:
    """Print the cost a step of the bare loop, and the medians of both ratios to it."""
    start = model.shaped_for(data).initialise(SEED)
    trainer = Supervised(
        optimizer={"adamw": {"lr": 1e-3}}, steps=steps, batch=batch, evaluate_every=steps
    )
    rows = {part: Rows.of(data[part], part, "cross_entropy") for part in ("train", "test")}
    times: list[tuple[float, float, float]] = []
    for _ in range(rounds + 1):  # the first round warms up and is dropped
        with tempfile.TemporaryDirectory() as folder:
            here = Circumstance(scratch=Path(folder))
            times.append(
                (
                    seconds(lambda: bare(start, rows, trainer)),
                    seconds(lambda here=here: trainer.run(start, data, SEED, here)),
                    seconds(lambda: ordinary(start, rows, trainer)),
                )
            )
    ours, theirs = (statistics.median(t[i] / t[0] for t in times[1:]) for i in (1, 2))
    cost = 1e3 * statistics.median(t[0] for t in times[1:]) / steps
    print(f"| {name} | {steps} | {cost:.2f} | {ours:.3f} | {theirs:.3f} |")


def main() -> None:
    """Print one row a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.ERROR)
    print("| case | steps | bare loop, ms a step | trainer / bare | ordinary Lightning / bare |")
    print("| --- | --- | --- | --- | --- |")
    for name, (model, modulus, batch, steps) in CASES.items():
        data = ModularArithmetic(modulus=modulus).run(SEED)
        compare(name, model, data, rounds=rounds, batch=batch, steps=steps)
    data = real(ModularArithmetic(modulus=13).run(SEED))
    name = "perceptron 4-100-99, full batch of 78"
    compare(name, Perceptron(), data, rounds=rounds, batch=None, steps=2000)


if __name__ == "__main__":
    main()
