"""SGLD as a plain PyTorch loop: one chain after the other, autograd, no more than it needs."""

from __future__ import annotations

import argparse

import torch
from torch.nn import functional as F

from llc_peers.problem import Losses, Problem, compete


def run(problem: Problem, steps: int, options: argparse.Namespace) -> Losses:
    """Return the losses."""
    losses = torch.empty(problem.chains, steps)
    step, pull = problem.step_size, problem.localisation
    for chain in range(problem.chains):
        network = problem.network(options.lean)
        weights = list(network.parameters())
        center = [w.detach().clone() for w in weights]
        for at in range(steps):
            rows = torch.randperm(len(problem.y))[: problem.minibatch]
            loss = F.cross_entropy(network(problem.x[rows]), problem.y[rows])
            slopes = torch.autograd.grad(loss, weights)
            losses[chain, at] = loss.detach()
            with torch.no_grad():
                for w, star, g in zip(weights, center, slopes, strict=True):
                    drift = problem.n_beta * g + pull * (w - star)
                    w.add_(drift, alpha=-step / 2).add_(torch.randn_like(w), alpha=step**0.5)
    return losses, None


if __name__ == "__main__":
    compete(run)
