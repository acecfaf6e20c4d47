"""What a training run knows besides tensors, and what tells one run from another."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plugins.maths.training.optimisers import Monitor
from plugins.maths.training.supervision import Rows
from runner.types import Network, Seed

if TYPE_CHECKING:
    from plugins.trainers.supervised import Supervised


@dataclass
class Watch:
    """The best value of a monitored column and the evaluations since; both survive a kill."""

    best: float | None = None
    bad: int = 0

    def see(self, monitor: Monitor, value: float, margin: float) -> bool:
        """Return whether the value is a new best, beyond the margin."""
        if not math.isfinite(value):
            raise FloatingPointError(
                f"{monitor.monitor} is {value}, so it cannot be monitored; monitor the loss instead"
            )
        better = monitor.better(value, self.best, margin)
        self.best, self.bad = (value, 0) if better else (self.best, self.bad + 1)
        return better


@dataclass
class State:
    """Everything of a run besides tensors; JSON holds it without loss."""

    step: int = 0  # optimizer steps done
    history: list[dict[str, float]] = field(default_factory=list)
    best: Watch = field(default_factory=Watch)
    stopping: Watch = field(default_factory=Watch)
    plateau: Watch = field(default_factory=Watch)
    scale: float = 1.0  # product of the plateau's reductions
    kept: list[int] = field(default_factory=list)  # checkpoints in files of their own

    @staticmethod
    def of(notes: Mapping[str, Any]) -> State:
        """Return the state that `asdict` turned into JSON."""
        watches = {name: Watch(**notes[name]) for name in ("best", "stopping", "plateau")}
        return State(**{**notes, **watches})


def fingerprint(recipe: Supervised, start: Network, rows: Mapping[str, Rows], seed: Seed) -> str:
    """Return a digest of all that fixes a run, so that none continues another's state."""
    digest = hashlib.sha256(recipe.model_dump_json().encode())
    digest.update(json.dumps([int(seed), start.architecture.model_dump_json()]).encode())
    tensors = {f"start/{name}": value for name, value in start.weights.items()}
    for name, part in rows.items():
        tensors |= {f"{name}/{key}": value for key, value in part.identity().items()}
    for name, value in tensors.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()
