"""Gradient descent on one weight, by hand."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.parameters import Real
from runner.plugin import Model, Trainer
from runner.types import Circumstance, Dataset, Network, Seed, Table, Trained

from ..maths.tally import note


class Schedule(BaseModel):
    """How the step size falls."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: Literal["constant", "linear"] = Field("constant", description="shape of the fall")
    warmup: int = Field(0, ge=0, description="steps before the fall")


class Descent(Trainer):
    """Descend on the mean squared error of a line through the origin.

    Reads: model, data. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"step": "optimizer step", "loss": "mean squared error"}

    steps: int = Field(4, ge=1, description="steps")
    rate: Real = Field(0.1, gt=0, description="step size")
    save_at: tuple[int, ...] = Field((), description="steps whose networks are kept")
    schedule: Schedule = Field(Schedule(), description="how the step size falls")

    def checkpoints(self) -> tuple[int, ...]:
        return self.save_at

    def check_parameters(self) -> str | None:
        late = [step for step in self.save_at if step > self.steps]
        return f"save_at has {late[0]}, after the last step {self.steps}" if late else None

    def run(self, model: Model, data: Dataset, seed: Seed, here: Circumstance) -> Trained:
        import torch

        note(f"descent {self.rate:g} {int(seed)}")
        start = model.initialise(seed)
        split = data["train"]
        weight = seed.numpy("weight").normal()
        kept: dict[int, Network] = {}
        rows: dict[str, list[float]] = {"step": [], "loss": []}
        best = None
        for step in range(1, self.steps + 1):
            error = weight * split["x"] - split["y"]
            loss = float((error**2).mean())
            weight -= self.rate * 2 * float((error * split["x"]).mean())
            rows["step"].append(step)
            rows["loss"].append(loss)
            filled = {n: torch.full_like(w, weight) for n, w in start.weights.items()}
            network = Network(model, filled)
            if best is None or loss < best[0]:
                best = (loss, network)
            if step in self.save_at:
                kept[step] = network
            here.progress(step, self.steps, "steps")
        assert best is not None
        return Trained(kept, best[1], network, Table(rows))
