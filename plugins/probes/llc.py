"""The local learning coefficient of a trained network, by Langevin sampling around its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from plugins.maths.sampling.health import Health
from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Circumstance, Network, Seed, Split, Table

if TYPE_CHECKING:
    from torch import Tensor

    from plugins.maths.networks.regression import Regression
    from plugins.maths.networks.stacked import Classification, Stack
    from plugins.maths.sampling.langevin import Rule, Schedule, Traces

    Target = Classification | Regression

# What specs/llc_calibration.toml recommends for grokked networks of modulus 59, width 64 (a test
# holds them to specs/_llc_settings.toml). Another network wants a calibration of its own.
STEP_SIZE = {"sgld": 2.5e-8, "psgld": 2e-10, "rsgld": 2e-14, "sisgld": 1.5e-4}
LOCALISATION = {"sgld": 3.2e5, "psgld": 5.1e5, "rsgld": 3.2e5, "sisgld": 47.0}
FLOOR = {"sgld": 0.0, "psgld": 1e-3, "rsgld": 1e-6, "sisgld": 1e-12}
BATCH = 16  # cells computed together where chunk is open: their noise is drawn once


class Llc(Probe):
    """Estimate lambda = n*beta (E[L_n(w)] - L_n(w*)) under the localised tempered posterior.

    w* is the given network, L_n the mean loss in nats over the n data points, exact at w*; the
    expectation is over exp(-n*beta L_n(w) - (w - w*)' Lambda (w - w*) / 2), sampled by `sampler`
    with a metric frozen half a burn-in before draws are kept. Nodes that differ in the model, the
    step size or the localisation run as one computation and see the same noise and minibatches.

    Reads:  model; data.x, data.y (integer labels, or numbers). Draws streams noise, minibatch,
            fisher, preconditioner.
    Raises: RunnerError when n*beta is open and there are fewer than two data points.
    Source: Lau et al., 2023 (arXiv 2308.12108); Watanabe, JMLR 14 (2013); samplers in
            `plugins/maths/sampling/langevin.py`.
    """

    varies: ClassVar[tuple[str, ...]] = (
        "model", "step_size", "localisation", "step_factor", "localisation_factor",
    )  # fmt: skip
    columns: ClassVar[dict[str, str]] = {
        "llc": "local learning coefficient, dimensionless; in mode loss, the mean loss in nats",
        "llc_se": "standard error of llc from chains and autocorrelation, in the unit of llc",
        "llc_first_half": "llc from the first half of every chain",
        "llc_second_half": "llc from the second half of every chain",
        "ess": "effective number of draws, all chains together",
        "rhat": "rank-normalised split R-hat of the loss; 1 when all half chains agree",
        "chain_steps": "steps of all chains, burn-in included, count: the cost",
        "loss_at_center": "mean loss at w* over all data, nats",
        "mean_loss": "mean minibatch loss along the chains after burn-in, nats",
        "accuracy": "mean minibatch accuracy along the chains after burn-in, share; nan where the "
        "loss is squared",
        "accuracy_at_center": "accuracy at w* over all data, share; nan where the loss is squared",
        "drift": "|w - w*| / |w*| at the end, mean of chains; infinite where w* = 0",
        "reach": "mean over parameters of localiser * (w - w*)^2 at the end; 1 in equilibrium",
        "frozen_tensors": "tensors that the metric keeps at w* (norm zero), count",
        "step_size": "step size used, its factor included, in the sampler's unit",
        "localisation": "localisation strength used, its factor included, in the sampler's unit",
        "healthy": "whether every rule of health holds",
        "reason": "the rules that failed, with values; empty when healthy",
    }

    sampler: Literal["sgld", "psgld", "rsgld", "sisgld"] = Field(
        "sisgld",
        description="plain; by running mean of squared gradients; by diagonal Fisher information; "
        "by squared norm of each tensor (scale-invariant)",
    )
    loss: Literal["cross_entropy", "squared"] | None = Field(
        None,
        description="per input: -log p(y), or |y - f(x)|^2 / 2, which is -log p(y) of unit noise; "
        "default by the labels: integers, or numbers with a point",
    )
    mode: Literal["llc", "loss"] = Field(
        "llc", description="loss reports the mean loss in place of the llc"
    )
    step_size: Real | None = Field(
        None, gt=0, description="step size; default by sampler, as calibrated (STEP_SIZE)"
    )
    localisation: Real | None = Field(
        None, ge=0, description="strength gamma of the pull to w*; default by sampler"
    )
    step_factor: Real = Field(
        1.0, gt=0, description="factor on the step size: one axis sweeps samplers of any unit"
    )
    localisation_factor: Real = Field(1.0, gt=0, description="the same for the localisation")
    localiser: Literal["euclidean", "metric"] | None = Field(
        None,
        description="pull gamma (w - w*), or that over the metric, which is covariant under "
        "rescaling; default metric for sisgld, euclidean for the others",
    )
    n_beta: Real | None = Field(None, gt=0, description="n*beta; default n / ln n")
    steps: int = Field(200, ge=1, description="kept steps of each chain")
    burn_in: int = Field(100, ge=0, description="steps before them")
    chains: int = Field(2, ge=1, description="independent chains")
    minibatch: int = Field(128, ge=1, description="inputs in a minibatch; n or more is all data")
    floor: Real | None = Field(
        None, ge=0,
        description="least metric entry: added to sqrt V (psgld), F (rsgld), |w|^2 (sisgld); "
        "default by sampler",
    )  # fmt: skip
    floor_unit: Literal["absolute", "tensor"] | None = Field(
        None,
        description="floor as it stands, or in units of the tensor's mean; default tensor for "
        "sisgld, absolute for the others",
    )
    noise: Literal["common", "own"] = Field(
        "common",
        description="whether cells share the injected noise, or each draws its own, by a stream "
        "named by its weights (the control: under shared noise an invariant sampler is flat by "
        "identity). Minibatches are shared either way",
    )
    norm: Literal["mean_square", "sum_square"] = Field(
        "mean_square", description="squared norm of a tensor in sisgld"
    )
    direction: Literal["multiply", "divide"] = Field(
        "multiply", description="sisgld steps by the squared norm, or by its inverse"
    )
    decay: Real = Field(
        0.99, gt=0, lt=1, description="memory of psgld's V, which adapts in half of burn-in"
    )
    metric_draws: int = Field(
        64, ge=1,
        description="inputs in rsgld's Fisher information; psgld starts from an eighth as many "
        "minibatches",
    )  # fmt: skip
    health: Health = Field(Health(), description="rules of health")
    precision: Literal["full", "bf16"] = Field(
        "full",
        description="type in which matrices are multiplied along the chains: that of the weights, "
        "or bfloat16 (weights, sums, loss and noise keep theirs; the loss at w* is exact). For "
        "networks that state their gradient: the transformer. Rounding differs by cell, by up to a "
        "percent of the llc: not for judging how flat it is",
    )
    chunk: int | None = Field(
        None,
        ge=1,
        description="cells evaluated at a time, or chains of cells where a minibatch is all the "
        "data; for memory, changes no number. Default by the size of cache or GPU memory",
    )

    def batch_size(self) -> int:
        # What is stored at once is what is lost at once when a run is killed.
        return self.chunk or BATCH

    def work(self) -> float:
        return float(self.chains * (self.burn_in + self.steps) * self.minibatch)

    def check_parameters(self) -> str | None:
        if self.sampler in ("psgld", "rsgld") and self.floor == 0:
            return f"floor = 0 divides by zero in {self.sampler}; choose one above 0"
        return None

    def run(self, model: Network, data: Split, seed: Seed, here: Circumstance) -> Table:
        return next(self.run_batch([self], [model], data, seed, here))

    @classmethod
    def run_batch(
        cls,
        nodes: Sequence[Llc],
        model: Sequence[Network],
        data: Split,
        seed: Seed,
        here: Circumstance,
    ) -> Iterator[Table]:
        """Yield the table of each node, one row each."""
        from plugins.maths.networks.stacked import Stack
        from plugins.maths.sampling.langevin import names, sample

        first = nodes[0]
        stack = Stack.of(model, here.device)
        target = first.target(stack, data, here.device)
        rule, schedule = first.rule(), cls.schedule(nodes, target)
        traces = sample(
            target, stack.layout, stack.flat,
            rule=rule, schedule=schedule, seed=seed, chunk=first.at_once(target),
            curvature=first.curvature(target, stack.flat, seed),
            streams=None if first.noise == "common" else names(stack.flat),
            progress=lambda done, total: here.progress(done, total, "steps"),
        )  # fmt: skip
        rows = first.rows(target, stack.flat, schedule, traces)
        for cell in range(len(nodes)):
            yield Table({name: [values[cell]] for name, values in rows.items()})

    def target(self, stack: Stack, data: Split, device: str) -> Target:
        """Return the loss of the networks in the stack."""
        import torch

        from plugins.maths.networks.regression import Regression
        from plugins.maths.networks.stacked import Classification, OwnGradient

        loss = self.loss or ("squared" if data["y"].dtype.kind == "f" else "cross_entropy")
        if self.precision == "full":
            kind = {"cross_entropy": Classification, "squared": Regression}[loss]
            return kind(stack, data, device)
        if loss == "squared" or not isinstance(stack.module, OwnGradient):
            raise RunnerError(
                f"llc: precision = {self.precision!r} is for networks that state the gradient of "
                "their cross-entropy, as the transformer does; leave it out"
            )
        return Classification(stack, data, device, operands=torch.bfloat16)

    def at_once(self, target: Target) -> int:
        """Return how many networks are evaluated at a time."""
        from plugins.maths.networks.chunks import at_once

        return self.chunk or at_once(target.stack, target.x[: self.minibatch])

    def rule(self) -> Rule:
        """Return the sampler's rule with defaults filled in."""
        from plugins.maths.sampling.langevin import Rule

        invariant = self.sampler == "sisgld"
        localiser = self.localiser or ("metric" if invariant else "euclidean")
        unit = self.floor_unit or ("tensor" if invariant else "absolute")
        return Rule(
            sampler=self.sampler,
            floor=FLOOR[self.sampler] if self.floor is None else self.floor,
            relative=unit == "tensor",
            norm=self.norm,
            direction=self.direction,
            metric_localiser=localiser == "metric",
            decay=self.decay,
        )

    def strengths(self) -> tuple[float, float]:
        """Return step size and localisation with defaults and factors applied."""
        step = STEP_SIZE[self.sampler] if self.step_size is None else self.step_size
        pull = LOCALISATION[self.sampler] if self.localisation is None else self.localisation
        return step * self.step_factor, pull * self.localisation_factor

    @classmethod
    def schedule(cls, nodes: Sequence[Llc], target: Target) -> Schedule:
        """Return the schedule of the nodes, whose step sizes and localisations may differ."""
        from plugins.maths.sampling.langevin import Schedule

        first, points, flat = nodes[0], target.points, target.stack.flat
        if first.n_beta is None and points < 2:
            raise RunnerError(f"llc: n / ln n needs two data points, not {points}; set n_beta")
        n_beta = first.n_beta if first.n_beta is not None else points / math.log(points)
        strengths = [node.strengths() for node in nodes]
        return Schedule(
            step_size=flat.new_tensor([step for step, _ in strengths]),
            localisation=flat.new_tensor([pull for _, pull in strengths]),
            n_beta=n_beta,
            steps=first.steps,
            burn_in=first.burn_in,
            chains=first.chains,
            batch_size=first.minibatch,
        )

    def curvature(self, target: Target, center: Tensor, seed: Seed) -> Tensor | None:
        """Return what the sampler's metric needs to know at w*, (K, P), or None."""
        from plugins.maths.sampling.fisher import diagonal, squared_gradient

        if self.sampler == "rsgld":
            return diagonal(target, center, seed, self.metric_draws)
        if self.sampler == "psgld":
            draws = max(1, self.metric_draws // 8)
            return squared_gradient(
                target,
                center,
                seed,
                batch_size=self.minibatch,
                draws=draws,
                chunk=self.at_once(target),
            )
        return None

    def rows(
        self, target: Target, center: Tensor, schedule: Schedule, traces: Traces
    ) -> dict[str, list[Any]]:
        """Return the columns, one value for each cell."""
        import torch

        from plugins.maths.sampling.chains import effective_size, halves, split_rhat, standard_error

        width = self.at_once(target)
        parts = [slice(at, at + width) for at in range(0, len(center), width)]
        exact = [target.exact(center[part], part) for part in parts]
        loss, accuracy = (torch.cat(values) for values in zip(*exact, strict=True))
        is_loss = self.mode == "loss"
        base, factor = (0.0 * loss, 1.0) if is_loss else (loss, schedule.n_beta)
        mean = traces.loss.double().mean((1, 2))
        first, second = halves(traces.loss)
        columns = {
            "llc": factor * (mean - base),
            "llc_se": factor * standard_error(traces.loss),
            "llc_first_half": factor * (first - base),
            "llc_second_half": factor * (second - base),
            "ess": effective_size(traces.loss),
            "rhat": split_rhat(traces.loss),
            "loss_at_center": loss,
            "mean_loss": mean,
            "accuracy": traces.accuracy.double().mean((1, 2)),
            "accuracy_at_center": accuracy,
            "drift": traces.drift,
            "reach": traces.reach,
            "frozen_tensors": traces.frozen,
            "step_size": schedule.step_size,
            "localisation": schedule.localisation,
        }
        lists = {name: values.tolist() for name, values in columns.items()}
        rows = [
            dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)
        ]
        reasons = [self.health.reasons(row, target.classes) for row in rows]
        return lists | {
            "chain_steps": [schedule.chains * (schedule.burn_in + schedule.steps)] * len(rows),
            "healthy": [not r for r in reasons],
            "reason": ["; ".join(r) for r in reasons],
        }
