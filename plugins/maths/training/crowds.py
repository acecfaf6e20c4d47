"""Networks of one shape trained together: stacked weights, one forward, each with its own loss.

M networks, N rows. Every operation acts on each network alone: which others are trained beside it
changes no more than the rounding of single precision (torch sums and takes exponentials in another
order for another number of entries).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from plugins.maths.training import resume
from plugins.maths.training.fitting import Fitting
from plugins.maths.training.fitting_state import Watch
from plugins.maths.training.lightning_run import bare_trainer, interruptible, quiet
from plugins.maths.training.supervision import Rows, aligned, measure
from runner.types import Circumstance, Network, Seed, Table, Trained


class Crowd(nn.Module):
    """Modules of one shape as one, their parameters and buffers stacked along a first dimension.

    Buffers may differ between the networks (a sharpness, a constant); what is no tensor may not.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.pattern = [modules[0]]  # in a list: its own tensors are no part of this module
        weights, buffers = stack_module_state(list(modules))
        self.names = {"weights": list(weights), "buffers": list(buffers)}
        for name, value in weights.items():
            self.register_parameter(_plain(name), nn.Parameter(value.detach().clone()))
        for name, value in buffers.items():
            self.register_buffer(_plain(name), value.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (M, N, ...) of inputs (M, N, ...), each network's own."""
        stacked = {
            kind: {name: getattr(self, _plain(name)) for name in names}
            for kind, names in self.names.items()
        }

        def one(weights: dict[str, Tensor], buffers: dict[str, Tensor], rows: Tensor) -> Tensor:
            output: Tensor = functional_call(self.pattern[0], (weights, buffers), (rows,))
            return output

        return vmap(one)(stacked["weights"], stacked["buffers"], x)

    def weights_of(self, stacked: Mapping[str, Tensor], member: int) -> dict[str, Tensor]:
        """Return one network's part of stacked tensors, named as in its own state."""
        return {
            name: stacked[_plain(name)][member].clone() for name in self.pattern[0].state_dict()
        }


def _plain(name: str) -> str:
    return name.replace(".", "/")  # a module's own tensors may have no point in their names


def mse(output: Tensor, y: Tensor) -> Tensor:
    """Return the sum over networks of each one's mean squared difference."""
    return (output - aligned(output, y)).square().flatten(1).mean(1).sum()


def cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Return the sum over networks of each one's mean negative log-likelihood in nats."""
    each = F.cross_entropy(output.flatten(0, 1), y.flatten(), reduction="none")
    return each.view(y.shape).mean(1).sum()


LOSSES = {"mse": mse, "cross_entropy": cross_entropy}


@dataclass(frozen=True)
class Members:
    """Networks of one shape, as a fitting's start."""

    networks: tuple[Network, ...]

    @property
    def architecture(self) -> Members:
        """What the fitting's digest of its start reads."""
        return self

    def model_dump_json(self) -> str:
        """Return the architectures of all."""
        return json.dumps([one.architecture.model_dump_json() for one in self.networks])

    @property
    def weights(self) -> dict[str, Tensor]:
        """The tensors of all."""
        return {f"{m}/{k}": v for m, n in enumerate(self.networks) for k, v in n.weights.items()}

    def module(self) -> Crowd:
        """Return all networks as one module."""
        return Crowd([one.module() for one in self.networks])


class CrowdFitting(Fitting):
    """One training run of many networks. Rows of the history hold `member/column`."""

    def __init__(
        self,
        recipe: Any,
        start: Members,
        rows: Sequence[Mapping[str, Rows]],
        seed: Seed,
        here: Circumstance,
    ) -> None:
        stacked = {
            name: Rows(*(torch.stack([getattr(r[name], a) for r in rows]) for a in ("x", "y")))
            for name in rows[0]
        }
        super().__init__(recipe, start, stacked, seed, here)  # type: ignore[arg-type]
        self.members = len(start.networks)
        self.compute_loss = LOSSES[recipe.loss]
        self.watches = [Watch() for _ in range(self.members)]
        for row in self.state.history:  # of a killed run
            self._improved(row)

    def evaluate(self, step: int) -> None:
        """Append a row of every network's whole-split metrics, and note which are best."""
        row: dict[str, float] = {"step": step}
        self.network.eval()
        with torch.no_grad():
            outputs = {name: self.network(rows.x) for name, rows in self.parts.items()}
        self.network.train()
        for member in range(self.members):
            for name, rows in self.parts.items():
                own = Rows(outputs[name][member], rows.y[member])
                metrics = measure(nn.Identity(), own, self.recipe.loss)
                if not math.isfinite(metrics["loss"]):
                    raise self.diverged(f"{name}_loss", metrics["loss"], step)
                row |= {f"{member}/{name}_{metric}": value for metric, value in metrics.items()}
        row["lr"] = self.rate(max(step - 1, 0))
        self.state.history.append(row)
        better = self._improved(row)
        now = resume.weights_of(self.network)
        if not self.best_weights:
            self.best_weights = {name: value.clone() for name, value in now.items()}
        for member in better:
            for name, value in now.items():
                self.best_weights[name][member] = value[member]

    def _improved(self, row: Mapping[str, float]) -> list[int]:
        """Return the networks for which a row of the history is a new best."""
        monitor = self.recipe.best
        return [
            member
            for member, watch in enumerate(self.watches)
            if watch.see(monitor, row[f"{member}/{monitor.monitor}"], 0.0)
        ]

    def all_trained(self) -> list[Trained]:
        """Return the outcome of each network."""
        crowd = cast("Crowd", self.network)
        last = resume.weights_of(crowd)
        found = []
        for member, start in enumerate(self.start.networks):  # type: ignore[attr-defined]

            def network(
                stacked: Mapping[str, Tensor], member: int = member, start: Network = start
            ) -> Network:
                return Network(start.architecture, crowd.weights_of(stacked, member))

            kept = {step: network(tensors) for step, tensors in sorted(self.checkpoints.items())}
            found.append(
                Trained(kept, network(self.best_weights), network(last), self._history(member))
            )
        return found

    def _history(self, member: int) -> Table:
        rows, mark = self.state.history, f"{member}/"
        names = [name for name in rows[0] if "/" not in name or name.startswith(mark)]
        return Table({name.removeprefix(mark): [row[name] for row in rows] for name in names})


def fit_crowd(
    recipe: Any,
    starts: Sequence[Network],
    rows: Sequence[Mapping[str, Rows]],
    seed: Seed,
    here: Circumstance,
) -> list[Trained]:
    """Train networks of one shape on rows of one shape; return each one's outcome.

    Raises: FloatingPointError naming the step at which a loss was not finite.
    """
    with quiet():
        fitting = CrowdFitting(recipe, Members(tuple(starts)), rows, seed, here)
        trainer = bare_trainer(here.device)
        with interruptible():
            trainer.fit(fitting, train_dataloaders=fitting.blocks())
        here.progress(fitting.total, fitting.total, "step")
        return fitting.all_trained()


def alike(start: Network, rows: Mapping[str, Rows]) -> str:
    """Return a text that is equal for what can be one crowd: shapes, and all that is no buffer."""
    design = start.architecture
    free = set(getattr(design, "in_buffers", ()))
    parameters = {k: v for k, v in design.model_dump(mode="json").items() if k not in free}
    tensors = {k: (list(v.shape), str(v.dtype)) for k, v in start.weights.items()}
    arrays = {k: [(list(a.shape), str(a.dtype)) for a in (r.x, r.y)] for k, r in rows.items()}
    return json.dumps([type(design).__qualname__, parameters, tensors, arrays], sort_keys=True)
