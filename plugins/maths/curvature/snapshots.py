"""The networks that curvature is measured at, in order, and the rows it is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from plugins.maths.curvature.operators import Curvature
from plugins.maths.training.supervision import Rows
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split, Trained

if TYPE_CHECKING:
    from plugins.maths.curvature.probing import CurvatureProbe

PRECISION = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Snapshot:
    """One network of a run: its place in order and the optimizer steps it has made."""

    number: int
    steps: float  # nan for a network that is given alone
    network: Network


def snapshots(model: Network | Trained) -> list[Snapshot]:
    """Return the snapshots in the order of training; the last network comes last.

    Raises: RunnerError when a run keeps no checkpoints.
    """
    if isinstance(model, Network):
        return [Snapshot(0, float("nan"), model)]
    if not model.checkpoints:
        raise RunnerError(
            "the run keeps no checkpoints to walk over; give its trainer save_at = [...], or name "
            'one network, "@trainer@last"'
        )
    kept = dict(sorted(model.checkpoints.items()))
    end = int(max(model.history.columns["step"]))
    kept.setdefault(end, model.last)
    return [Snapshot(n, float(step), one) for n, (step, one) in enumerate(kept.items())]


def rows_of(wish: CurvatureProbe, data: Split, seed: Seed, snapshot: Snapshot) -> Rows:
    """Return the rows that the loss is a mean over: the same for each snapshot, unless `fresh`.

    Raises: RunnerError when there are fewer rows than asked for, or x and y do not suit the loss.
    """
    if wish.rows is None:
        return _unrounded(data, wish.loss)
    if wish.rows > len(data):
        raise RunnerError(f"rows = {wish.rows} of a split of {len(data)}; ask for fewer")
    stream = ("fresh rows", int(snapshot.steps)) if wish.fresh else ("rows",)
    drawn = sorted(seed.numpy(*stream).permutation(len(data))[: wish.rows].tolist())
    chosen = Split({name: data[name][drawn] for name in data.arrays}, data.about)
    return _unrounded(chosen, wish.loss)


def _unrounded(data: Split, loss: str) -> Rows:
    """Return rows that suit the loss in their own precision: the probe has one of its own."""
    checked = Rows.of(data, "data", loss)
    x, y = (torch.as_tensor(np.asarray(data[name])) for name in ("x", "y"))
    return Rows(x, y if y.is_floating_point() and loss == "mse" else checked.y)


def module_of(wish: CurvatureProbe, snapshot: Snapshot, device: str) -> nn.Module:
    """Return a snapshot's module in evaluation mode and in the wanted precision."""
    return snapshot.network.module(device).to(PRECISION[wish.precision])


def curvature_at(
    wish: CurvatureProbe, module: nn.Module, rows: Rows, names: list[str] | None = None
) -> Curvature:
    """Return the loss of a module on rows as an operator.

    Raises: RunnerError when the network's outputs do not suit the loss, or it is not finite.
    """
    like = next(module.parameters())
    x = rows.x.to(like.device)
    x = x.to(like.dtype) if x.is_floating_point() else x
    y = rows.y.to(like.device)
    y = y.to(like.dtype) if y.is_floating_point() else y
    found = Curvature(
        module, x, y, kind=wish.operator, loss=wish.loss, names=names,
        chunk=wish.chunk, memory=wish.memory,
    )  # fmt: skip
    if not found.gradient.isfinite().all():
        raise RunnerError(f"the loss is {found.value} and its gradient is not finite")
    return found


def batches(
    wish: CurvatureProbe,
    model: Network | Trained,
    data: Split,
    seed: Seed,
    here: Circumstance,
    *,
    first: int = 0,
) -> Iterator[tuple[Snapshot, nn.Module, Rows]]:
    """Yield each snapshot from the first on with its module and its rows.

    Raises: RunnerError when `fresh` is asked of a network that belongs to no run.
    """
    if wish.fresh and isinstance(model, Network):
        raise RunnerError(
            "fresh draws rows by the steps of a snapshot, which a network given alone has not; "
            "give a trainer, or set fresh = false"
        )
    for snapshot in snapshots(model)[first:]:
        rows = rows_of(wish, data, seed, snapshot)
        yield snapshot, module_of(wish, snapshot, here.device), rows


def walk(
    wish: CurvatureProbe,
    model: Network | Trained,
    data: Split,
    seed: Seed,
    here: Circumstance,
    *,
    first: int = 0,
) -> Iterator[tuple[Snapshot, nn.Module, Curvature]]:
    """Yield each snapshot from the first on with its module and the loss as an operator."""
    for snapshot, module, rows in batches(wish, model, data, seed, here, first=first):
        yield snapshot, module, curvature_at(wish, module, rows)
