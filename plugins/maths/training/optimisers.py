"""The option tables of training: optimizer, schedule, what to watch. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runner.parameters import Real

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer as TorchOptimizer


class Options(BaseModel):
    """A nested table of parameters: frozen, and unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    def given(self, names: Iterable[str]) -> list[str]:
        """Return those of the names whose value is not None."""
        return [name for name in names if getattr(self, name) is not None]


class Adam(Options):
    """Adam with L2 regularisation added to the gradient (Kingma and Ba 2015)."""

    lr: Real = Field(1e-3, gt=0, description="learning rate")
    betas: tuple[Real, Real] = Field((0.9, 0.999), description="decay of both moments, in [0, 1)")
    eps: Real = Field(1e-8, gt=0, description="added to the root of the second moment")
    weight_decay: Real = Field(0.0, ge=0, description="coefficient of |w|^2 / 2 in the loss")

    @model_validator(mode="after")
    def _betas_below_one(self) -> Adam:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas = {list(self.betas)} must lie in [0, 1)")
        return self


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), on every parameter."""

    weight_decay: Real = Field(0.01, ge=0, description="share of lr by which weights shrink a step")


class Sgd(Options):
    """Stochastic gradient descent, with momentum if asked for."""

    lr: Real = Field(1e-2, gt=0, description="learning rate")
    momentum: Real = Field(0.0, ge=0, lt=1, description="share of the last update kept")
    weight_decay: Real = Field(0.0, ge=0, description="coefficient of |w|^2 / 2 in the loss")
    nesterov: bool = Field(False, description="look-ahead momentum; needs momentum > 0")

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov = true needs momentum > 0, such as 0.9")
        return self


class Optimizer(Options):
    """Exactly one of the tables `adamw`, `adam`, `sgd`."""

    adamw: AdamW | None = Field(None, description="AdamW")
    adam: Adam | None = Field(None, description="Adam")
    sgd: Sgd | None = Field(None, description="SGD, with or without momentum")

    @model_validator(mode="after")
    def _one(self) -> Optimizer:
        if len(names := self.given(type(self).model_fields)) != 1:
            raise ValueError(
                f"exactly one of adamw, adam, sgd must be given, not {', '.join(names) or 'none'}; "
                "for example optimizer = { adamw = { lr = 1e-3 } }"
            )
        return self

    @property
    def name(self) -> str:
        """Name of the table that is given."""
        return self.given(type(self).model_fields)[0]

    @property
    def lr(self) -> float:
        """Learning rate before the schedule."""
        return float(getattr(self, self.name).lr)

    def build(self, parameters: Iterator[Tensor]) -> TorchOptimizer:
        """Return the torch optimizer; fused kernels, several times fewer calls a step."""
        from torch import optim

        classes = {"adamw": optim.AdamW, "adam": optim.Adam, "sgd": optim.SGD}
        return classes[self.name](parameters, fused=True, **getattr(self, self.name).model_dump())


Mode = Literal["min", "max"]


class Monitor(Options):
    """A column of the history, and which direction is better."""

    monitor: str = Field("test_loss", description="column of the history to watch")
    mode: Mode = Field("min", description="whether less or more of it is better")

    def better(self, value: float, best: float | None, margin: float = 0.0) -> bool:
        """Return whether value beats best by more than margin; anything beats no value yet."""
        if best is None:
            return True
        return value < best - margin if self.mode == "min" else value > best + margin


class EarlyStopping(Monitor):
    """Stop after `patience` evaluations in a row without a gain of more than `min_delta`."""

    patience: int = Field(10, ge=1, description="evaluations without a gain before the stop")
    min_delta: Real = Field(
        0.0, ge=0, description="smallest gain that counts, in the column's unit"
    )


class Plateau(Monitor):
    """Multiply the rate by `factor` once more than `patience` evaluations brought no gain."""

    factor: Real = Field(0.5, gt=0, lt=1, description="what the rate is multiplied by")
    patience: int = Field(5, ge=0, description="evaluations without a gain that are borne")
    threshold: Real = Field(
        1e-4, ge=0, description="smallest gain that counts, relative to the best"
    )


class Constant(Options):
    """The rate as given, to the end."""


class Linear(Options):
    """Constant, then straight down to zero over the last steps."""

    decay: Real = Field(0.1, gt=0, le=1, description="share of all steps over which it falls")


class Cosine(Options):
    """Half a cosine from the rate down to `floor` times it (Loshchilov and Hutter 2017)."""

    floor: Real = Field(0.0, ge=0, le=1, description="share of the rate left at the end")


class Schedule(Options):
    """At most one of constant, linear, cosine, plateau (none: constant), and a warm-up."""

    warmup: int = Field(0, ge=0, description="steps over which the rate first rises linearly")
    constant: Constant | None = Field(None, description="the rate as given")
    linear: Linear | None = Field(None, description="to zero over the last share of the steps")
    cosine: Cosine | None = Field(None, description="half a cosine over all steps")
    plateau: Plateau | None = Field(None, description="smaller whenever a metric stops improving")

    @model_validator(mode="after")
    def _one_at_most(self) -> Schedule:
        if len(names := self.given(("constant", "linear", "cosine", "plateau"))) > 1:
            raise ValueError(
                f"at most one of constant, linear, cosine, plateau may be given, not "
                f"{', '.join(names)}"
            )
        return self

    def factor(self, step: int, total: int) -> float:
        """Return what the rate of update `step` (0-based) of `total` is multiplied by.

        The plateau's reductions are not in it: they depend on the run.
        """
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.linear:
            return rise * min(1.0, (total - step) / (self.linear.decay * total))
        if self.cosine:
            half = 0.5 * (1 + math.cos(math.pi * step / total))
            return rise * (self.cosine.floor + (1 - self.cosine.floor) * half)
        return rise
