"""What every contestant is given, and how each is timed; it needs torch alone."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llc_peers.network import Decoder

Losses = tuple[Tensor, float | None]  # (chains, steps) minibatch losses; the contestant's own llc


@dataclass(frozen=True)
class Problem:
    """One network at w*, its data, and plain SGLD around it: equal for all."""

    sizes: dict[str, int]
    weights: dict[str, Tensor]
    x: Tensor
    y: Tensor
    minibatch: int
    chains: int
    step_size: float
    localisation: float
    n_beta: float
    seed: int

    @staticmethod
    def load(path: Path) -> Problem:
        """Read what `save` wrote: tensors and numbers."""
        return Problem(**torch.load(path, weights_only=True))

    def save(self, path: Path) -> None:
        """Write the problem for the contestants."""
        torch.save(vars(self), path)

    def network(self, lean: bool) -> Decoder:
        """Return the ordinary network at w*."""
        network = Decoder(self.sizes, lean)
        found = {name: w for name, w in self.weights.items() if not name.endswith(".eps")}
        network.load_state_dict(found)
        return network


def compete(run: Callable[[Problem, int, argparse.Namespace], Losses]) -> None:
    """Time a contestant and print what it came to as one line of JSON.

    Its cost is that of the steps by which a long run exceeds a short one, so that start-up,
    compilation and what is done once a chain are in neither. A first short run warms up.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--short", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lean", action="store_true")
    parser.add_argument("--precision", default="full")
    parser.add_argument("--cells", type=int, default=1)
    parser.add_argument("--estimate", action="store_true", help="one long run, not timed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    problem = Problem.load(options.problem)
    torch.manual_seed(problem.seed)
    if options.estimate:
        losses, own = run(problem, options.steps, options)
        print(json.dumps({"means": losses.double().mean(1).tolist(), "own": own}))
        return
    run(problem, options.short, options)
    spent = []
    for steps in (options.short, options.short + options.steps):
        begun = time.perf_counter(), time.process_time()
        run(problem, steps, options)
        spent.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    count = options.steps * problem.chains * options.cells
    wall, cpu = ((b - a) / count for a, b in zip(*spent, strict=True))
    figures: dict[str, Any] = {"wall": wall, "cpu": cpu, "torch": torch.__version__}
    print(json.dumps(figures))
