"""Landscapes of data sets and of drawn samples, as the columns of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from plugins.maths.landscape.landscapes import Plane, surface
from runner.types import Arrays, Circumstance, Network, Seed, Split

if TYPE_CHECKING:
    from plugins.probes.landscape import LandscapeProbe

Columns = dict[str, Any]


def axis(low: float, high: float, points: int) -> list[float]:
    """Return evenly spaced coordinates, both ends included; 0 is exactly 0 where it is one."""
    found = np.linspace(low, high, points)
    found[np.abs(found) < 1e-9 * (high - low)] = 0.0
    return [float(value) for value in found]


def drawn_rows(rows: int, samples: int, seed: Seed) -> NDArray[np.int64]:
    """Return distinct rows in the order they were drawn; fewer samples are the first of more."""
    return seed.numpy("samples").permutation(rows)[:samples]


def landscapes(
    wish: LandscapeProbe,
    ranks: Sequence[int],
    *,
    model: Network,
    directions: Arrays,
    data: Split,
    seed: Seed,
    here: Circumstance,
) -> Iterator[tuple[Columns, Columns]]:
    """Yield for each rank the surface's columns and those of its centre.

    Raises: ValueError when directions do not fit the network or labels are not classes.
    """
    samples = wish.samples is not None
    rows = drawn_rows(len(data), wish.samples, seed)[list(ranks)] if wish.samples else None
    x, y = _rows_of(data, rows, model, here.device)
    plane = Plane.of(model, directions.arrays, here.device)
    alphas, betas = (axis(*ends, wish.points) for ends in (wish.alpha, wish.beta))
    lines = [(alphas, betas)] if wish.dimensions == 2 else [(alphas, [0.0]), ([0.0], betas)]
    look = {
        "each": samples, "general": wish.method == "general", "memory": wish.memory,
        "precision": wish.precision, "watch": here.progress,
    }  # fmt: skip
    found = [surface(plane, x, y, *line, **look) for line in lines]
    losses = torch.cat([one.losses.flatten(-2) for one in found], -1).cpu().numpy()
    points = np.concatenate([np.stack(np.meshgrid(*line, indexing="ij"), -1).reshape(-1, 2)
                             for line in lines])  # fmt: skip
    at_network = np.flatnonzero((points == 0).all(1))
    if len(at_network):
        centres = losses[..., at_network[0]]
    else:  # a plane whose grid leaves the network out: its value is computed the same way
        centres = surface(plane, x, y, [0.0], [0.0], **look).losses[..., 0, 0].cpu().numpy()
    known = _known(model, x, y, here.device)
    for k in range(len(ranks)):
        own = losses[k] if samples else losses
        centre = float(centres[k] if samples else centres)
        yield (
            {"alpha": points[:, 0], "beta": points[:, 1], "loss": own},
            {
                "index": [int(rows[k]) if rows is not None else -1],
                **_told(known, y, k if samples else None),
                "centre_loss": [centre],
                "direct_loss": [_mean(known["loss"], k if samples else None)],
                "centre_error": [abs(centre - _mean(known["loss"], k if samples else None))],
                "least_loss": [float(own.min())],
                "greatest_loss": [float(own.max())],
                "rows": [1 if samples else len(y)],
                "resolution": [wish.points],
                "ranges": ["alpha {:g} to {:g}, beta {:g} to {:g}".format(*wish.alpha, *wish.beta)],
                "computed": [found[0].path],
                "drawn_with": [int(seed)],
                "shown": [str(data.about.get("source", data.about.get("name", "")))],
            },
        )


def _rows_of(
    data: Split, rows: NDArray[np.int64] | None, model: Network, device: str
) -> tuple[Tensor, Tensor]:
    chosen = slice(None) if rows is None else rows
    x = torch.as_tensor(np.ascontiguousarray(data["x"][chosen]), device=device)
    y = torch.as_tensor(np.ascontiguousarray(data["y"][chosen]), device=device)
    if y.is_floating_point() or y.ndim != 1:
        raise ValueError(f"labels must be classes, integers (N,), not {y.dtype} {tuple(y.shape)}")
    if x.is_floating_point():
        x = x.to(next(v.dtype for v in model.weights.values() if v.is_floating_point()))
    return x, y.long()


@torch.no_grad()
def _known(model: Network, x: Tensor, y: Tensor, device: str) -> dict[str, Tensor]:
    """Return what a plain forward pass tells of each row."""
    module, parts = model.module(device), []
    for some in torch.arange(len(x), device=device).split(512):
        logits = module(x[some])
        loss = nn.CrossEntropyLoss(reduction="none")(logits, y[some])
        right = logits.softmax(1).gather(1, y[some, None])[:, 0]
        parts.append((loss.double(), right.double(), logits.argmax(1)))
    loss, right, chosen = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    return {"loss": loss, "probability": right, "prediction": chosen}


def _told(known: dict[str, Tensor], y: Tensor, k: int | None) -> Columns:
    hits = (known["prediction"] == y.cpu()).double()
    return {
        "label": [-1 if k is None else int(y[k])],
        "prediction": [-1 if k is None else int(known["prediction"][k])],
        "probability": [_mean(known["probability"], k)],
        "accuracy": [_mean(hits, k)],
    }


def _mean(values: Tensor, k: int | None) -> float:
    return float(values.mean() if k is None else values[k])
