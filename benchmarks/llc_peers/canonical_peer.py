"""canonical-interp: chains side by side under vmap, its compiled step, gradients not compiled.

Compiling the gradients is its default, here switched on by LLC_COMPILED in the environment. It
imports `itertools.batched`, which Python has since 3.12; an older one is given it.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader, TensorDataset

from llc_peers.problem import Losses, Problem, compete


def batched(values: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    """Yield tuples of `size` values, the last one perhaps shorter."""
    rest = iter(values)
    while part := tuple(itertools.islice(rest, size)):
        yield part


def run(problem: Problem, steps: int, options: argparse.Namespace) -> Losses:
    """Return its trace of losses and its estimate."""
    if not hasattr(itertools, "batched"):
        itertools.batched = batched
    from canonical_interp.slt import LLCEstimator

    logging.disable(logging.WARNING)
    loader = DataLoader(
        TensorDataset(problem.x, problem.y), batch_size=problem.minibatch, shuffle=True,
        drop_last=True,
    )  # fmt: skip
    estimator = LLCEstimator(
        draws=steps, chains=problem.chains, burnin_steps=0, steps_bw_draws=1,
        learning_rate=problem.step_size, localization=problem.localisation, nbeta=problem.n_beta,
    )  # fmt: skip
    estimate = estimator.estimate_llc(
        problem.network(options.lean), loader, seed=problem.seed, show_progress=False,
        compile="LLC_COMPILED" in os.environ,
    )  # fmt: skip
    return estimator.array_log_l, float(estimate)


if __name__ == "__main__":
    torch.multiprocessing.set_sharing_strategy("file_system")
    compete(run)
