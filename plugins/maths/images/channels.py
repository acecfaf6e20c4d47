"""What all data of colour images share of their parameters. Imports nothing heavy."""

from __future__ import annotations

from runner.parameters import Real

Channels = tuple[Real, Real, Real]  # red, green, blue
MEAN: Channels = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training images, in [0, 1]
STD: Channels = (0.2470, 0.2435, 0.2616)


def std_problem(std: Channels) -> str | None:
    """Return what is wrong with the divisors, or None."""
    return f"std = {list(std)} must be above 0" if min(std) <= 0 else None
