"""Noisy spectra with labels beside them: a denoiser that is told what the star is, too.

Shapes: B rows, L pixels, T targets. Outputs and targets are pairs, of spectra and of labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from plugins.maths.training import denoising
from plugins.maths.training.noisy_rows import NoisyRows, denoised
from plugins.maths.training.supervision import Loss, mse, scored
from runner.types import Seed, Split

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LabelledRows(NoisyRows):
    """The spectra of a split as `NoisyRows` offers them, with their labels as second targets."""

    labels: Tensor = field(kw_only=True)  # (N, T), in deviations from the training mean
    weight: float = field(kw_only=True)  # of the labels' mean squared error in the loss

    @staticmethod
    def all_of(
        splits: dict[str, Split], targets: Sequence[str], level: float, weight: float, seed: Seed,
        *, train: str, measured: int | None,
    ) -> dict[str, NoisyRows]:  # fmt: skip
        """Return the splits' spectra and labels, the labels scaled by those of `train`.

        Raises: RunnerError when an array is missing.
        """
        plain = {n: NoisyRows.of(split, n, targets, level, seed) for n, split in splits.items()}
        truth = {name: rows.y for name, rows in plain.items() if rows.y is not None}
        mean, std = truth[train].double().mean(0), truth[train].double().std(0, correction=0)
        std = torch.where(std > 0, std, 1.0)
        found: dict[str, NoisyRows] = {}
        for name, rows in plain.items():
            given = {one.name: getattr(rows, one.name) for one in fields(rows)}
            given |= {"y": None, "measured": measured if name == train else None}
            labels = ((truth[name] - mean) / std).float()
            found[name] = LabelledRows(**given, labels=labels, weight=weight)
        return found

    def loss(self, name: str) -> Loss:
        """Return the function of both outputs and both targets that is made small."""
        spectra = denoising.LOSSES[name]

        def both(output: Any, y: Any) -> Tensor:
            return spectra(output[0], y[0]) + self.weight * mse(output[1], y[1])

        return both

    def identity(self) -> dict[str, Tensor]:
        """Return the tensors that tell these rows from others."""
        return super().identity() | {"labels": self.labels}

    def given(self, rows: Any, noise: Tensor) -> tuple[Tensor, Any]:
        """Return inputs (B, 2, L), and as targets spectra (B, 3, L) and labels (B, T)."""
        x, spectra = super().given(rows, noise)
        return x, (spectra, self.labels[rows].to(self.device))

    @torch.no_grad()
    def measure(self, network: nn.Module, loss: str) -> dict[str, float]:
        """Return the metrics of a denoiser, its loss with the labels' part, and the labels' R2."""
        was = network.training
        network.eval()
        seen: list[Pair] = []

        def spectra() -> Iterator[Pair]:
            for x, (y, labels) in self.kept():  # type: ignore[misc]
                output, guess = network(x)
                seen.append((guess, labels))
                yield output, y

        found = denoised(spectra(), denoising.LOSSES[loss])
        network.train(was)
        guess, labels = (torch.cat(parts) for parts in zip(*seen, strict=True))
        label = scored(guess.double(), labels, "mse")
        loss_of_all = found["loss"] + self.weight * label["loss"]
        return found | {"loss": loss_of_all, "label_r2": label["r2"]}
