"""Landscapes of data sets and of drawn samples, as the columns of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from plugins.maths.landscape.landscapes import Manner, Surface, Watch, surface
from plugins.maths.landscape.planes import Plane
from plugins.maths.training.supervision import aligned
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


def lines_of(wish: LandscapeProbe) -> list[tuple[list[float], list[float]]]:
    """Return the grids that make up what is drawn: one, or a line along each direction.

    The network itself, where both lines meet, is in the first one alone.
    """
    alphas, betas = (axis(*ends, wish.points) for ends in (wish.alpha, wish.beta))
    if wish.dimensions == 2:
        return [(alphas, betas)]
    return [(alphas, [0.0]), ([0.0], [b for b in betas if b != 0 or 0.0 not in alphas])]


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

    Raises: ValueError when directions do not fit the network or targets do not suit the loss.
    """
    rows = drawn_rows(len(data), wish.samples, seed)[list(ranks)] if wish.samples else None
    x, y = _rows_of(data, rows, wish.loss, model, here.device)
    plane = Plane.of(model, directions.arrays, here.device)
    manner = Manner(wish.loss, wish.method == "general", wish.memory, wish.precision)

    def look(line: tuple[list[float], list[float]], watch: Watch | None = None) -> Surface:
        return surface(plane, x, y, *line, manner=manner, each=rows is not None, watch=watch)

    lines = lines_of(wish)
    found = [look(line, here.progress) for line in lines]
    losses = torch.cat([one.losses.flatten(-2) for one in found], -1).cpu().numpy()
    points = np.concatenate([np.stack(np.meshgrid(*line, indexing="ij"), -1).reshape(-1, 2)
                             for line in lines])  # fmt: skip
    at_network = np.flatnonzero((points == 0).all(1))
    if len(at_network):
        centres = losses[..., at_network[0]]
    else:  # a plane whose grid leaves the network out: its value is computed the same way
        centres = look(([0.0], [0.0])).losses[..., 0, 0].cpu().numpy()
    known = _known(model, x, y, wish.loss, here.device)
    for k in range(len(ranks)):
        own = losses[k] if rows is not None else losses
        one = None if rows is None else k
        yield (
            {"alpha": points[:, 0], "beta": points[:, 1], "loss": own},
            {
                "index": [-1 if rows is None else int(rows[k])],
                **_told(known, y, one),
                **_extremes(own, float(centres[k] if rows is not None else centres), known, one),
                "rows": [1 if rows is not None else len(y)],
                "resolution": [wish.points],
                "ranges": ["alpha {:g} to {:g}, beta {:g} to {:g}".format(*wish.alpha, *wish.beta)],
                "computed": [found[0].path],
                "drawn_with": [int(seed)],
                "shown": [str(data.about.get("source", data.about.get("name", "")))],
            },
        )


def _extremes(
    own: NDArray[np.float64], centre: float, known: Mapping[str, Tensor], k: int | None
) -> Columns:
    direct = _mean(known["loss"], k)
    return {
        "centre_loss": [centre], "direct_loss": [direct], "centre_error": [abs(centre - direct)],
        "least_loss": [float(own.min())], "greatest_loss": [float(own.max())],
    }  # fmt: skip


def _rows_of(
    data: Split, rows: NDArray[np.int64] | None, loss: str, model: Network, device: str
) -> tuple[Tensor, Tensor]:
    chosen = slice(None) if rows is None else rows
    x, y = (
        torch.as_tensor(np.ascontiguousarray(data[name][chosen]), device=device) for name in "xy"
    )
    real = next(v.dtype for v in model.weights.values() if v.is_floating_point())
    if x.is_floating_point():
        x = x.to(real)
    if loss == "mse":
        return x, y.to(real)
    if y.is_floating_point() or y.ndim != 1:
        raise ValueError(
            f"labels must be classes, integers (N,), not {y.dtype} {tuple(y.shape)}; "
            "for real targets set loss = 'mse'"
        )
    return x, y.long()


@torch.no_grad()
def _known(model: Network, x: Tensor, y: Tensor, loss: str, device: str) -> dict[str, Tensor]:
    """Return what a plain forward pass tells of each row."""
    module, parts = model.module(device), []
    for some in torch.arange(len(x), device=device).split(512):
        outputs = module(x[some])
        if loss == "mse":
            losses = F.mse_loss(outputs, aligned(outputs, y[some]), reduction="none")
            parts.append((losses.double().flatten(1).mean(1),))
            continue
        losses = F.cross_entropy(outputs, y[some], reduction="none")
        right = outputs.softmax(1).gather(1, y[some, None])[:, 0]
        parts.append((losses.double(), right.double(), outputs.argmax(1)))
    names = ("loss", "probability", "prediction")
    return {
        name: torch.cat(part).cpu()
        for name, part in zip(names, zip(*parts, strict=True), strict=False)
    }


def _told(known: Mapping[str, Tensor], y: Tensor, k: int | None) -> Columns:
    """Return what is known of the classes; nothing is where targets are no classes."""
    if "prediction" not in known:
        nothing = float("nan")
        return {"label": [-1], "prediction": [-1], "probability": [nothing], "accuracy": [nothing]}
    hits = (known["prediction"] == y.cpu()).double()
    return {
        "label": [-1 if k is None else int(y[k])],
        "prediction": [-1 if k is None else int(known["prediction"][k])],
        "probability": [_mean(known["probability"], k)],
        "accuracy": [_mean(hits, k)],
    }


def _mean(values: Tensor, k: int | None) -> float:
    return float(values.mean() if k is None else values[k])
