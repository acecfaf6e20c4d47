"""What is compared: how a contestant is laid out in a folder, run, and believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contestant:
    """One way to compute and keep N cells, each the square of a whole number.

    `lay` writes all it needs for N cells into a fresh folder, `command` runs there, twice. A run
    counts only when its output holds what `proof` gives: that all cells were computed, or none.
    """

    name: str
    lay: Callable[[Path, int], None]
    command: tuple[str, ...]
    proof: Callable[[bool, int], str]  # (first run?, cells) -> regular expression
    checks: str  # what its no-op run verifies of each cell
    durable: str  # what is done for a finished cell's result to survive
    modules: Path | None = None  # a folder that Python imports from before all others
    package: str = ""  # where its presence is looked for, in the peers' environment
