"""Eigenpairs of each snapshot of a run, each started from those of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from plugins.maths.curvature.lanczos import lanczos
from plugins.maths.curvature.lobpcg import lobpcg
from plugins.maths.curvature.operators import Curvature
from plugins.maths.curvature.pairs import Pairs, Watch, Wish, product
from plugins.maths.curvature.power import power_iteration
from plugins.maths.curvature.snapshots import Snapshot, snapshots, walk
from plugins.maths.training import resume
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split, Trained

if TYPE_CHECKING:
    from plugins.probes.hessian_eigen import HessianEigen


@dataclass(frozen=True)
class Found:
    """The eigenpairs of one snapshot; tensors lie on the CPU."""

    snapshot: Snapshot
    pairs: Pairs
    loss: float
    gradient_norm: float
    shares: Tensor  # (r,) of the squared gradient along each vector
    warm: bool


def along_run(
    wish: HessianEigen,
    model: Network | Trained,
    data: Split,
    seed: Seed,
    here: Circumstance,
) -> list[Found]:
    """Return the pairs of all snapshots, in order.

    What is finished is kept in the node's scratch folder, so that a killed node goes on there.

    Raises: RunnerError when the network has fewer parameters than pairs are asked for.
    """
    found: list[Found] = []
    count = len(snapshots(model))
    for snapshot, module, curvature in _open(wish, model, data, seed, here, found=found):
        warm = wish.warm and bool(found) and wish.engine != "pyhessian"
        known = found[-1].pairs.vectors if warm else None

        def watch(done: float, most: float, unit: str, at: int = snapshot.number) -> None:
            del unit
            here.progress(at + done / most, count, "snapshot")

        try:
            pairs = _pairs(wish, module, curvature, seed, known=known, watch=watch)
        except ValueError as error:
            raise RunnerError(f"hessian_eigen: {error}") from error
        one = _found(snapshot, pairs, curvature, warm)
        found.append(one)
        _keep(one, here.scratch)
    return found


def _open(
    wish: HessianEigen,
    model: Network | Trained,
    data: Split,
    seed: Seed,
    here: Circumstance,
    *,
    found: list[Found],
) -> Iterator[tuple[Snapshot, nn.Module, Curvature]]:
    """Take up what a killed node left in `found`; yield the snapshots still to do."""
    for snapshot in snapshots(model):
        one = _kept(snapshot, here.scratch)
        if one is None:
            break
        found.append(one)
    yield from walk(wish, model, data, seed, here, first=len(found))


def _pairs(
    wish: HessianEigen,
    module: nn.Module,
    curvature: Curvature,
    seed: Seed,
    *,
    known: Tensor | None,
    watch: Watch,
) -> Pairs:
    wanted = Wish(
        wish.pairs, wish.which, wish.tolerance, wish.max_products, wish.basis, wish.recheck
    )
    if wish.engine == "pyhessian":
        return power_iteration(curvature, module, wanted, seed)
    method = lanczos if wish.engine == "lanczos" else lobpcg
    return method(curvature, wanted, seed.torch("start"), known=known, watch=watch)


def _found(snapshot: Snapshot, pairs: Pairs, curvature: Curvature, warm: bool) -> Found:
    gradient = curvature.gradient
    norm = float(gradient.double().norm())
    along = product(pairs.vectors, gradient[None])[:, 0]
    own = {field.name: getattr(pairs, field.name) for field in fields(pairs)}
    there = {n: v.cpu() if isinstance(v, Tensor) else v for n, v in own.items()}
    shares = (along / norm).square() if norm else torch.zeros_like(along)
    return Found(snapshot, Pairs(**there), curvature.value, norm, shares, warm)


def _keep(one: Found, folder: Path) -> None:
    if folder == Path():
        return
    folder.mkdir(parents=True, exist_ok=True)
    own = {field.name: getattr(one.pairs, field.name) for field in fields(one.pairs)}
    tensors = {name: value for name, value in own.items() if isinstance(value, Tensor)}
    notes = {
        "products": one.pairs.products, "loss": one.loss, "gradient_norm": one.gradient_norm,
        "warm": one.warm,
    }  # fmt: skip
    path = folder / f"snapshot-{one.snapshot.number}.safetensors"
    resume.write(path, tensors | {"shares": one.shares}, notes)


def _kept(snapshot: Snapshot, folder: Path) -> Found | None:
    stored = resume.read(folder / f"snapshot-{snapshot.number}.safetensors")
    if folder == Path() or stored is None:
        return None
    tensors, notes = stored
    shares = tensors.pop("shares")
    pairs = Pairs(**tensors, products=notes.pop("products"))
    return Found(snapshot, pairs, shares=shares, **notes)


def columns_of(found: list[Found]) -> dict[str, list[Any]]:
    """Return the columns of the table, one row for each snapshot and pair."""
    columns: dict[str, list[Any]] = {}
    for one in found:
        pairs = one.pairs
        r = len(pairs.values)
        rows = {
            "snapshot": [one.snapshot.number] * r,
            "steps": [one.snapshot.steps] * r,
            "index": list(range(1, r + 1)),
            "eigenvalue": pairs.values.tolist(),
            "residual": pairs.residuals.tolist(),
            "converged": pairs.converged.tolist(),
            "hvps": [pairs.products] * r,
            "warm": [one.warm] * r,
            "loss": [one.loss] * r,
            "gradient_norm": [one.gradient_norm] * r,
            "gradient_share": one.shares.tolist(),
        }
        for name, values in rows.items():
            columns.setdefault(name, []).extend(values)
    return columns


def vectors_of(found: list[Found]) -> dict[str, NDArray[Any]]:
    """Return the eigenvectors (B, r, d) and what belongs to them."""
    return {
        "vectors": np.stack([one.pairs.vectors.numpy() for one in found]),
        "eigenvalues": np.stack([one.pairs.values.numpy() for one in found]),
        "steps": np.asarray([one.snapshot.steps for one in found]),
    }


def summary_of(found: list[Found]) -> dict[str, NDArray[Any]]:
    """Return what stands for the dense matrix: small arrays of each snapshot."""
    steps = max(len(one.pairs.alpha) for one in found)
    return {
        "eigenvalues": np.stack([one.pairs.values.numpy() for one in found]),
        "residuals": np.stack([one.pairs.residuals.numpy() for one in found]),
        "converged": np.stack([one.pairs.converged.numpy() for one in found]),
        "projected": np.stack([one.pairs.projected.numpy() for one in found]),
        "alpha": np.stack([_padded(one.pairs.alpha, steps) for one in found]),
        "beta": np.stack([_padded(one.pairs.beta, steps) for one in found]),
        "steps": np.asarray([one.snapshot.steps for one in found]),
    }


def _padded(values: Tensor, length: int) -> NDArray[np.float64]:
    found = np.full(length, np.nan)
    found[: len(values)] = values.numpy()
    return found
