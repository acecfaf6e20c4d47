"""How much the engine itself costs: a sweep of a probe that does nothing worth timing.

Each command runs as a process of its own, several rounds on a fresh store; medians are printed.

    python benchmarks/sweep.py --cells 1000 --rounds 5
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

PROBE = '''
"""Squares a number."""
from typing import ClassVar
from pydantic import Field
from runner import Probe, Real, Table


class Square(Probe):
    """Square a number. Reads: nothing. Raises: nothing. Source: none."""

    columns: ClassVar = {"y": "x squared"}
    x: Real = Field(0.0, description="the number")

    def run(self) -> Table:
        return Table({"y": [self.x**2]})
'''
SPEC = """title = "trivial"
[axes]
x = {{ linspace = [0.0, 1.0, {cells}] }}
[probes.square]
use = "square"
x = "$x"
[renderers.table]
use = "csv"
table = "@square"
path = "table.csv"
"""


def project(folder: Path, cells: int) -> Path:
    """Write a project with one probe and one spec; return the spec."""
    (folder / "pyproject.toml").write_text('[tool.runner]\nplugins = ["trivial_plugins"]\n')
    probes = folder / "trivial_plugins" / "probes"
    probes.mkdir(parents=True)
    for package in (probes.parent, probes):
        (package / "__init__.py").touch()
    (probes / "square.py").write_text(PROBE)
    spec = folder / "trivial.toml"
    spec.write_text(SPEC.format(cells=cells))
    return spec


def timed(*arguments: str) -> tuple[float, float]:
    """Run `runner` and return its wall time in seconds and its peak memory in MiB."""
    started = time.perf_counter()
    with Path(os.devnull).open("wb") as nothing:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "runner", *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, nothing.fileno(), 1)],
        )
        _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"runner {' '.join(arguments)} ended with status {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    """Time plan, first run and re-run for one number of cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    kinds = ("plan", "first run, -n 1", "re-run, all cached", "plan, all cached", "first run, -n 2")
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as name:
        spec = str(project(Path(name), options.cells))
        store = Path(name) / "artifacts"
        for _ in range(options.rounds):
            for kind, arguments in (
                ("plan", ("plan", spec)),
                ("first run, -n 1", ("run", spec, "-n", "1")),
                ("re-run, all cached", ("run", spec)),
                ("plan, all cached", ("plan", spec)),
            ):
                times[kind].append(timed(*arguments))
            shutil.rmtree(store)
            times["first run, -n 2"].append(timed("run", spec, "-n", "2"))
            shutil.rmtree(store)
    print(f"{options.cells} trivial cells, median of {options.rounds} rounds")
    for kind, figures in times.items():
        seconds = statistics.median(s for s, _ in figures)
        memory = statistics.median(m for _, m in figures)
        each = seconds / options.cells * 1e3
        print(f"  {kind:<20} {seconds:6.2f} s  {memory:5.0f} MiB  {each:6.3f} ms a cell")


if __name__ == "__main__":
    main()
