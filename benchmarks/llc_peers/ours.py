"""Ours: a grid of rescaled copies of the network under SI-SGLD; for estimates, SGLD at w*."""

from __future__ import annotations

import argparse

import torch

from llc_peers.problem import Losses, Problem, compete
from plugins.maths.networks.chunks import at_once
from plugins.maths.networks.stacked import Classification, Stack
from plugins.maths.sampling.langevin import Rule, Schedule, sample
from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from runner.types import Network, Seed, Split

OPERANDS = {"full": None, "bf16": torch.bfloat16}
GRID = Rule("sisgld", floor=1e-12, relative=True, metric_localiser=True)
PLAIN = Rule("sgld", floor=0.0, relative=False)


def run(problem: Problem, steps: int, options: argparse.Namespace) -> Losses:
    """Return the losses of the first cell."""
    base = Network(Transformer(**problem.sizes), problem.weights)
    cells = options.cells
    side = round(cells**0.5)
    scales = torch.logspace(-0.5, 0.5, side).tolist() if side > 1 else [1.0]
    rescaled = Rescale
    networks = [rescaled(alpha=a, beta=b).run(base) for a in scales for b in scales][:cells]
    stack = Stack.of(networks)
    data = Split({"x": problem.x.numpy(), "y": problem.y.numpy()})
    target = Classification(stack, data, operands=OPERANDS[options.precision])
    estimating = options.estimate
    step, pull = (problem.step_size, problem.localisation) if estimating else (1e-4, 100.0)
    schedule = Schedule(
        step_size=torch.full((cells,), step), localisation=torch.full((cells,), pull),
        n_beta=problem.n_beta, steps=steps, burn_in=0, chains=problem.chains,
        batch_size=problem.minibatch,
    )  # fmt: skip
    traces = sample(
        target, stack.layout, stack.flat, rule=PLAIN if estimating else GRID, schedule=schedule,
        seed=Seed(problem.seed), chunk=at_once(stack, target.x[: problem.minibatch]),
    )  # fmt: skip
    return traces.loss[0], None


if __name__ == "__main__":
    compete(run)
