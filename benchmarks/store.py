"""What a cell costs: ours beside the peers, on sweeps of trivial cells, in one run.

First run in milliseconds a cell, the fully cached run after it, peak memory of both, and the cached
run of a single cell (cold start). Every command is a process of its own in a fresh folder; medians.

    python benchmarks/store.py                             # ours alone
    python benchmarks/store.py --peers .venv-peers         # made there when it is not
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from store_peers import ours, peers
from store_peers.contestant import Contestant
from store_peers.measure import Cost, OverLimitError, run

PACKAGES = ("dvc", "snakemake", "doit", "joblib", "redun")
SLOW = 20.0  # seconds; what takes longer is measured once


@dataclass
class Figures:
    """One contestant's costs at one number of cells."""

    cells: int
    asked: int  # the number of cells it was to reach
    first: list[Cost] = field(default_factory=list)
    again: list[Cost] = field(default_factory=list)

    @property
    def slow(self) -> bool:
        """Whether one round is enough."""
        return sum(cost.seconds for cost in [*self.first, *self.again]) > SLOW * len(self.first)

    @property
    def least(self) -> float:
        """The least wall time of a first run: what other load on the machine disturbed least."""
        return min(cost.seconds for cost in self.first)


Results = dict[Contestant, list[Figures]]


def main() -> None:
    """Measure, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3, help="of what takes less than 20 s")
    parser.add_argument("--peers", type=Path, help="virtual environment; made when not there")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one command")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of contestants' names")
    parser.add_argument("--folder", type=Path, help="where to work: decides which disk")
    options = parser.parse_args()
    found = ours.contestants()
    if options.peers is not None:
        found += peers.contestants(installed(options.peers))
    found = [one for one in found if any(part in one.name for part in options.only)]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        results = measured(found, Path(name), options)
    show(results)


def installed(folder: Path) -> Path:
    """Return the peers' environment with absolute path, made and filled when it is not there."""
    if not folder.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        for package in PACKAGES:  # one that cannot be had does not keep the others out
            subprocess.run([*pip, package], check=False)
    return folder.absolute()


def measured(found: list[Contestant], folder: Path, options: argparse.Namespace) -> Results:
    """Return each contestant's figures for one cell and for each number of cells that it reaches.

    Contestants take turns in each round, so that other load on the machine falls on all of them.
    Where one would take longer than the limit it is measured at the most cells that should fit.
    """
    results: Results = {one: [] for one in found}
    for cells in [1, *sorted(options.cells)]:
        racing = {}
        for one, figures in results.items():
            most = reachable(figures, options.limit)
            if figures and figures[-1].asked < cells and most < min(cells, 1.5 * figures[-1].cells):
                print(f"{one.name}: {cells} cells would take over the limit", file=sys.stderr)
            else:
                racing[one] = Figures(int(min(cells, most)), cells)
        for _ in range(options.rounds):
            for one, figures in list(racing.items()):
                if figures.slow:
                    continue
                racing[one] = fitting(one, figures, folder, options.limit)
        for one, figures in racing.items():
            if figures.first:
                results[one].append(figures)
    return results


def reachable(found: list[Figures], limit: float) -> float:
    """Return how many cells should fit into the limit, to one digit, by the growth seen so far."""
    if len(found) < 2:  # start-up is all that is known
        return math.inf
    start, last = found[0].least, found[-1]
    spent = max(last.least - start, 1e-3)
    power = 1.0
    if len(found) > 2:
        before = max(found[-2].least - start, 1e-3)
        power = (
            max(1.0, math.log(spent / before) / math.log(last.cells / found[-2].cells))
            if last.cells != found[-2].cells
            else 1.0
        )
    most = last.cells * (max(limit - start, 0) / spent) ** (1 / power)
    digit = 10 ** math.floor(math.log10(max(most, 1)))
    return most // digit * digit


def fitting(one: Contestant, figures: Figures, folder: Path, limit: float) -> Figures:
    """Run a contestant, at half as many cells after each time that was over the limit."""
    while figures.cells:
        try:
            again(one, figures, folder, limit)
        except OverLimitError:
            print(f"{one.name}: over the limit at {figures.cells} cells", file=sys.stderr)
            if figures.first:  # of an earlier round
                return figures
            figures = Figures(figures.cells // 2, figures.asked)
        else:
            return figures
    return figures


def again(one: Contestant, figures: Figures, folder: Path, limit: float) -> None:
    """Run a contestant twice in a fresh folder: computing all, then nothing."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        one.lay(place, figures.cells)
        a, b = (run(one, first, figures.cells, place, limit) for first in (True, False))
    figures.first.append(a)
    figures.again.append(b)
    print(f"{one.name}, {figures.cells}: {a}, again {b}", file=sys.stderr, flush=True)


def middle(costs: Iterable[Cost]) -> Cost:
    """Return the medians."""
    costs = list(costs)
    return Cost(*(statistics.median(c[part] for c in costs) for part in range(3)))


def show(results: Results) -> None:
    """Print one table for each number of cells, growth, and what each contestant checks."""
    best = next(iter(results))
    for cells in sorted({f.cells for found in results.values() for f in found[1:]}):
        print(f"\n{cells:,} cells (x: times {best.name})\n")
        print("| | first run, ms a cell | x | CPU, ms | MiB | cached run, s | x | CPU, s | MiB |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        rows = {o: f for o, found in results.items() for f in found[1:] if f.cells == cells}
        for one, figures in rows.items():
            a, b = middle(figures.first), middle(figures.again)
            ratios = ("", "")
            if best in rows:
                base = middle(rows[best].first), middle(rows[best].again)
                ratios = (
                    f"{a.seconds / base[0].seconds:.1f}",
                    f"{b.seconds / base[1].seconds:.1f}",
                )
            print(
                f"| {one.name} | {a.seconds / cells * 1e3:.2f} | {ratios[0]} "
                f"| {a.cpu / cells * 1e3:.2f} | {a.memory:.0f} "
                f"| {b.seconds:.2f} | {ratios[1]} | {b.cpu:.2f} | {b.memory:.0f} |"
            )
    print("\n| | cold start, s | most cells | growth (CPU) | a cached run checks | durable |")
    print("| --- | --- | --- | --- | --- | --- |")
    for one, found in results.items():
        print(
            f"| {one.name} | {middle(found[0].again).seconds:.2f} | {found[-1].cells:,} "
            f"| {growth(found)} | {one.checks} | {one.durable} |"
        )


def growth(found: list[Figures]) -> str:
    """Return a cell's CPU time at the most cells over that at the number before, start-up off.

    CPU time, and the least of the rounds, because other load on the machine stretches them least.
    """
    if len(found) < 3:
        return "-"
    start, *costs = [min(cost.cpu for cost in f.first) for f in found]
    a, b = [(cost - start) / f.cells for cost, f in zip(costs[-2:], found[-2:], strict=True)]
    return f"{b / a:.2f} ({found[-2].cells:,} to {found[-1].cells:,})" if a > 0 else "-"


if __name__ == "__main__":
    main()
