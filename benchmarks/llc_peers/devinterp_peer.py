"""devinterp 2: `sample` with its own SGLD, data loader and store; labels ride behind the tokens."""

from __future__ import annotations

import argparse
import contextlib
import os
import warnings
from pathlib import Path

import torch
from torch.nn import functional as F

from llc_peers.problem import Losses, Problem, compete


def loss_of(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Return the loss of each row, repeated over its positions: the shape that it asks for."""
    loss = F.cross_entropy(model(rows[:, :-1]), rows[:, -1], reduction="none")
    return loss[:, None].expand(-1, rows.shape[1] - 1)


def run(problem: Problem, steps: int, options: argparse.Namespace) -> Losses:
    """Return its trace of losses and its estimate, whose mean is over all steps."""
    from datasets import Dataset
    from devinterp.slt.llc import compute_llc
    from devinterp.slt.sampling import sample

    rows = torch.cat([problem.x, problem.y[:, None]], 1)
    data = Dataset.from_dict({"input_ids": rows.tolist()}).with_format("torch")
    with Path(os.devnull).open("w") as quiet, contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        found = sample(
            problem.network(options.lean), data, {},
            lr=problem.step_size, n_beta=problem.n_beta, localization=problem.localisation,
            num_chains=problem.chains, num_draws=steps, batch_size=problem.minibatch,
            num_init_loss_batches=1 if not options.estimate else 32, init_seed=problem.seed,
            device="cpu", loss_fn=loss_of,
        )  # fmt: skip
        summary = compute_llc(found)
    return torch.tensor(summary.loss_trace.values), float(summary.llc_mean)


if __name__ == "__main__":
    compete(run)
