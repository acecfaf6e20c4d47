"""How planning grows: the time and memory of `runner plan` over sweeps of up to a million cells.

python benchmarks/planning.py --cells 1000 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from store_peers import ours
from store_peers.measure import Cost, run


def main() -> None:
    """Measure, then print a table; the growth is told against the row above."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    command = (sys.executable, "-m", "runner", "plan", "trivial.toml")
    planner = replace(ours.contestants()[0], command=command, proof=_proof)
    empty = _median(planner, 1, asked.rounds)
    print("| cells | wall | CPU | memory | a cell, start-up taken off |")
    print("| --- | --- | --- | --- | --- |")
    for cells in asked.cells:
        cost = _median(planner, cells, asked.rounds)
        each = (cost.cpu - empty.cpu) / cells * 1e6
        held = (cost.memory - empty.memory) / cells * 1024
        print(
            f"| {cells:,} | {cost.seconds:.2f} s | {cost.cpu:.2f} s | {cost.memory:.0f} MiB "
            f"| {each:.0f} us, {held:.2f} KiB |",
            flush=True,
        )


def _proof(first: bool, cells: int) -> str:
    del first
    return rf"(?m)^{cells} nodes, 0 cached, {cells} to run"


def _median(planner: ours.Contestant, cells: int, rounds: int) -> Cost:
    costs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            planner.lay(Path(folder), cells)
            costs.append(run(planner, True, cells, Path(folder), limit=3600.0))
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


if __name__ == "__main__":
    main()
