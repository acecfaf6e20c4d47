"""What became of a node, and how a run is to go: what is told by all and computed by none."""

from __future__ import annotations

import time
from dataclasses import dataclass

from runner.errors import Failure
from runner.planning.plan import Node
from runner.types import Verdict

PASSED, CACHED, FAILED, BLOCKED, NOT_RUN = "passed", "cached", "failed", "blocked", "not run"


@dataclass(frozen=True)
class Result:
    """What became of a node in this run."""

    node: Node
    status: str
    seconds: float = 0.0
    failure: Failure | None = None
    verdict: Verdict | None = None
    log: str = ""


@dataclass(frozen=True)
class Options:
    """The circumstances of a run, and when it stops early."""

    workers: int = 1
    device: str = "cpu"
    stop_after: int | None = None  # failures; None: never
    strict: bool = False  # whether a refuted hypothesis makes the run fail
    time_limit: float | None = None  # seconds after which what runs is stopped; None: never
    dask: str = ""  # the cluster to compute on, as `--dask` has it


def elapsed(started: float) -> str:
    """Return the time since `started` for people, `41 s` or `3 min 20 s`."""
    seconds = time.monotonic() - started
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
