"""Distances between the outputs of stacked networks and those of a reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from plugins.maths.networks.stacked import Stack, hits
from runner.types import Network, Split


@torch.no_grad()
def compare(
    networks: Sequence[Network], reference: Network, data: Split, rows: int, device: str
) -> dict[str, list[float]]:
    """Return the columns of `function_drift`, one value for each of K networks.

    Model and reference take the same road, so that equal networks differ by exactly zero. A
    difference that is not a number counts as infinite.
    """
    stack, base = Stack.of(networks, device), Stack.of([reference], device)
    inputs = torch.as_tensor(data["x"], device=device)
    if inputs.is_floating_point():
        inputs = inputs.to(stack.flat.dtype)
    labels = torch.as_tensor(data["y"], device=device).long()
    largest = torch.zeros(len(networks), dtype=torch.float64, device=device)
    total, changed, right = (torch.zeros_like(largest) for _ in range(3))
    reference_right = 0.0
    for x, y in zip(inputs.split(rows), labels.split(rows), strict=True):
        logits, expected = stack.logits(stack.flat, x), base.logits(base.flat, x)
        gap = (logits - expected).abs().nan_to_num(torch.inf, torch.inf)
        largest = torch.maximum(largest, gap.amax((1, 2)).double())
        total += gap.mean(2).sum(1, dtype=torch.float64)
        changed += (logits.argmax(2) != expected.argmax(2)).sum(1)
        right += hits(logits, y).sum(1)
        reference_right += hits(expected, y).sum().item()
    count = len(labels)
    columns = {
        "max_abs_logit": largest,
        "mean_abs_logit": total / count,
        "changed": changed / count,
        "accuracy": right / count,
        "reference_accuracy": torch.full_like(right, reference_right / count),
    }
    return {name: values.tolist() for name, values in columns.items()}
