"""Rows, minibatches, losses and whole-split metrics of supervised learning. N rows, C outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runner.errors import RunnerError
from runner.types import Seed, Split

Loss = Callable[[Tensor, Tensor], Tensor]
ROWS = 1024  # rows evaluated at once; a constant, so that metrics depend on no batch size


@dataclass(frozen=True)
class Rows:
    """Inputs x (N, ...) and targets y (N,) or (N, C) of a split, on the training device."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    @staticmethod
    def of(split: Split, name: str, loss: str) -> Rows:
        """Return a split's x and y as tensors, real numbers in the default dtype.

        Raises: RunnerError when an array is missing, their lengths differ, the split is empty, or
        the targets do not suit the loss.
        """
        if missing := {"x", "y"} - set(split.arrays):
            raise RunnerError(f"split {name!r} has no array {min(missing)!r}; training needs x, y")
        x, y = (torch.as_tensor(np.asarray(split[key])) for key in ("x", "y"))
        x, y = (a.to(torch.get_default_dtype()) if a.is_floating_point() else a for a in (x, y))
        if len(x) != len(y) or not len(x):
            raise RunnerError(f"split {name!r} has {len(x)} rows of x and {len(y)} of y")
        if loss == "cross_entropy":
            if y.is_floating_point() or y.ndim != 1:
                raise RunnerError(
                    f"cross_entropy needs integer classes y of shape (N,); split {name!r} has "
                    f"{y.dtype} of shape {tuple(y.shape)}; for real targets set loss = 'mse'"
                )
            return Rows(x, y.long())
        return Rows(x, y.to(torch.get_default_dtype()))

    def to(self, device: torch.device) -> Rows:
        """Return the rows on a device."""
        return Rows(self.x.to(device), self.y.to(device))

    # What a training run asks of its rows, so that others may draw theirs anew (see `noisy_rows`).

    def batches(self, size: int | None, seed: Seed) -> Batches:
        """Return the minibatches of these rows."""
        return Batches(self, size, seed)

    def loss(self, name: str) -> Loss:
        """Return the function of outputs and targets that is made small."""
        return LOSSES[name]

    def measure(self, network: nn.Module, loss: str) -> dict[str, float]:
        """Return the metrics of a network over all rows."""
        return measure(network, self, loss)

    def identity(self) -> dict[str, Tensor]:
        """Return the tensors that tell these rows from others."""
        return {"x": self.x, "y": self.y}


class Batches:
    """Minibatches of the training rows: number s is a function of the seed and s alone.

    Every pass over the rows is a fresh permutation; the last batch of a pass may be smaller.
    `size` None gives all rows, in order, each time.
    """

    def __init__(self, rows: Rows, size: int | None, seed: Seed) -> None:
        self.rows, self.seed = rows, seed
        self.size = min(size or len(rows), len(rows))
        self.full = size is None
        self.each = -(-len(rows) // self.size)  # batches in a pass
        self._pass, self._shuffled = -1, rows

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return x (B, ...) and y (B, ...) of batch `step`, 0-based."""
        if self.full:
            return self.rows.x, self.rows.y
        number, place = divmod(step, self.each)
        if number != self._pass:
            # drawn on the CPU, so that every device sees the same batches
            order = torch.randperm(len(self.rows), generator=self.seed.torch("batches", number))
            order = order.to(self.rows.x.device)
            self._pass, self._shuffled = number, Rows(self.rows.x[order], self.rows.y[order])
        chosen = slice(place * self.size, (place + 1) * self.size)
        return self._shuffled.x[chosen], self._shuffled.y[chosen]


def aligned(output: Tensor, y: Tensor) -> Tensor:
    """Return targets y in the shape of the output: (N,) for (N, 1) and the reverse.

    Raises: RunnerError for any other difference, which would broadcast to a wrong loss.
    """
    if output.shape == y.shape:
        return y
    if output.numel() == y.numel() and len(output) == len(y):
        return y.reshape(output.shape)
    raise RunnerError(
        f"the network gives {tuple(output.shape)} and the targets are {tuple(y.shape)}; "
        "set the model's number of outputs to the targets' width"
    )


def cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean negative log-likelihood in nats of classes y (N,) under logits (N, C)."""
    return F.cross_entropy(output, y)


def mse(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared difference, in the targets' unit squared."""
    return F.mse_loss(output, aligned(output, y))


LOSSES = {"cross_entropy": cross_entropy, "mse": mse}


@torch.no_grad()
def measure(network: nn.Module, rows: Rows, loss: str) -> dict[str, float]:
    """Return the metrics of `loss` over all rows, in evaluation mode and double precision.

    cross_entropy: loss (nats), accuracy. mse: loss, rmse, mae (the targets' unit) and
    r2 = 1 - SS_res / SS_tot, sums over rows and outputs; r2 is nan where the targets are constant.
    """
    was = network.training
    network.eval()
    parts = [network(rows.x[start : start + ROWS]) for start in range(0, len(rows), ROWS)]
    network.train(was)
    return scored(torch.cat(parts).double(), rows.y, loss)


def scored(output: Tensor, y: Tensor, loss: str) -> dict[str, float]:
    """Return the metrics of outputs, in double precision, against targets; see `measure`."""
    if loss == "cross_entropy":
        hits = (output.argmax(1) == y).double().mean()
        return {"loss": float(F.cross_entropy(output, y)), "accuracy": float(hits)}
    y = aligned(output, y).double()
    square, spread = (output - y).square(), (y - y.mean(0)).square().sum()
    return {
        "loss": float(square.mean()),
        "rmse": float(square.mean().sqrt()),
        "mae": float((output - y).abs().mean()),
        "r2": float(1 - square.sum() / spread) if spread > 0 else float("nan"),
    }
