"""Spectra whose noise is drawn anew at every training step and kept for evaluation.

Shapes: N rows, B of a batch, L pixels, T targets. Spectra stay where they are, in memory or on
disk; only batches are put on the training device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plugins.maths.spectra.noise import BLOCK, fixed_noise, fresh_noise
from plugins.maths.training import denoising, supervision
from plugins.maths.training.supervision import Loss, scored
from runner.errors import RunnerError, listed
from runner.types import Seed, Split

CPU = torch.device("cpu")
WATCHED = 16  # spectra by which a killed run knows its rows again; targets are watched whole


@dataclass(frozen=True)
class NoisyRows:
    """The spectra of a split: what `Rows` offers to a training run, with noise in the inputs."""

    name: str
    flux: Any  # (N, L)
    error: Any  # (N, L)
    y: Tensor | None  # (N, T); None: the target is the spectrum
    level: float
    seed: Seed
    measured: int | None = None  # rows that `measure` looks at; None: all
    device: torch.device = CPU

    @staticmethod
    def of(
        split: Split,
        name: str,
        targets: Sequence[str],
        level: float,
        seed: Seed,
        *,
        measured: int | None = None,
    ) -> NoisyRows:
        """Return a split's spectra, where they are, and its targets.

        Raises: RunnerError when an array is missing.
        """
        if missing := [key for key in ("flux", "error", *targets) if key not in split.arrays]:
            raise RunnerError(
                f"split {name!r} has no array {missing[0]!r}, only {listed(split.arrays)}"
            )
        flux, error = (split[key] for key in ("flux", "error"))
        labels = [np.asarray(split[key], np.float32) for key in targets]
        y = torch.from_numpy(np.stack(labels, 1)) if labels else None
        return NoisyRows(name, flux, error, y, level, seed, measured)

    def __len__(self) -> int:
        return len(self.flux)

    def to(self, device: torch.device) -> NoisyRows:
        """Return the rows, whose batches will be on a device."""
        return replace(self, device=device)

    def batches(self, size: int | None, seed: Seed) -> NoisyBatches:
        """Return the minibatches of these rows."""
        return NoisyBatches(self, min(size or len(self), len(self)), seed)

    def loss(self, name: str) -> Loss:
        """Return the function of outputs and targets that is made small."""
        return {**denoising.LOSSES, **supervision.LOSSES}[name]

    def identity(self) -> dict[str, Tensor]:
        """Return the tensors that tell these rows from others."""
        some = {k: torch.from_numpy(np.asarray(getattr(self, k)[:WATCHED])) for k in _SPECTRA}
        return some if self.y is None else {**some, "y": self.y}

    def given(self, rows: Any, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs (B, 2, L) and targets of rows (a slice, or numbers) with this noise."""
        flux, error = (torch.from_numpy(np.asarray(getattr(self, k)[rows])) for k in _SPECTRA)
        flux, error, noise = (part.to(self.device) for part in (flux, error, noise))
        noisy = flux + self.level * error * noise
        x = torch.stack([noisy, error], 1)
        if self.y is None:
            return x, torch.stack([flux, noisy, self.level * error], 1)
        return x, self.y[rows].to(self.device)

    def kept(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets with the noise of evaluation, in order and in pieces."""
        end = min(len(self), self.measured or len(self))
        for start in range(0, end, BLOCK):
            stop = min(start + BLOCK, end)
            noise = fixed_noise(self.seed, self.name, start, stop, self.flux.shape[1])
            yield self.given(slice(start, stop), torch.from_numpy(noise))

    @torch.no_grad()
    def measure(self, network: nn.Module, loss: str) -> dict[str, float]:
        """Return the metrics of a network over all rows that are measured, in evaluation mode.

        mse: as for other rows. T1, E1, E2: the loss (nats a pixel), the rmse of the posterior mean
        and that of the noisy flux, both against the clean flux.
        """
        was = network.training
        network.eval()
        pairs = ((network(x), y) for x, y in self.kept())
        if self.y is not None:
            outputs, targets = zip(*pairs, strict=True)
            found = scored(torch.cat(outputs).double(), torch.cat(targets), loss)
        else:
            found = denoised(pairs, self.loss(loss))
        network.train(was)
        return found


_SPECTRA = ("flux", "error")


def denoised(pairs: Iterator[tuple[Tensor, Tensor]], loss: Loss) -> dict[str, float]:
    """Return the loss and both errors against the clean flux, over outputs and targets."""
    total = np.zeros(3)
    rows = 0
    for output, y in pairs:
        clean, noisy, _ = y.unbind(1)
        errors = [
            (guess - clean).square().mean() for guess in (denoising.posterior(output, y), noisy)
        ]
        total += len(y) * np.array([float(part) for part in (loss(output, y), *errors)])
        rows += len(y)
    mean = total / rows
    return {"loss": mean[0], "rmse": mean[1] ** 0.5, "rmse_noisy": mean[2] ** 0.5}


class NoisyBatches:
    """Minibatches of noisy spectra: number s is a function of the seed and s alone.

    Every pass over the rows is a fresh permutation, the one that `Batches` has.
    """

    def __init__(self, rows: NoisyRows, size: int, seed: Seed) -> None:
        self.rows, self.size, self.seed = rows, size, seed
        self.each = -(-len(rows) // size)  # batches in a pass
        self._pass, self._order = -1, np.arange(0)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs (B, 2, L) and targets of batch `step`, 0-based."""
        number, place = divmod(step, self.each)
        if number != self._pass:
            order = torch.randperm(len(self.rows), generator=self.seed.torch("batches", number))
            self._pass, self._order = number, order.numpy()
        chosen = self._order[place * self.size : (place + 1) * self.size]
        noise = fresh_noise(self.seed, step, len(chosen), self.rows.flux.shape[1])
        return self.rows.given(chosen, noise)
