"""What a step of LLC sampling costs: ours beside the peers, and whether the estimates agree.

Every contestant is given the same trained network, data, minibatch, chains, step size, pull to w*
and n*beta, and is a process of its own; they take turns in each round, medians are printed. Ours
runs a grid of rescaled cells fused; the peers know one network at a time, so that one cell stands
for all. Estimates are of plain SGLD at the network itself, the one sampler that all have.

    python benchmarks/llc.py                             # ours and the plain loop
    python benchmarks/llc.py --peers .venv-peers         # made there when it is not

The peers are given the network as one writes it ordinarily (all positions in every block) and once
more `lean`, with only the last position in the last block.

With `--cores N` everybody has N of them, and steps a second of wall time are compared. Ours are N
processes of one thread, each with its share of the cells, as `runner run -n N` computes them. A
peer is measured as it uses the cores by itself, with N threads, and as one would help it: N
processes of one thread, each at work on another cell.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from llc_peers.problem import Problem
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from plugins.data.modular_arithmetic import ModularArithmetic
from plugins.maths.networks.stacked import Classification, Stack
from plugins.models.transformer import Transformer
from plugins.trainers.supervised import Supervised
from runner import Circumstance, Network, Seed, Split

PACKAGES = ("devinterp", "canonical-interp")
HERE = Path(__file__).parent
SEED = Seed(0)


@dataclass(frozen=True)
class Size:
    """A network, its data, how it is trained, and how it is sampled for the estimates."""

    width: int
    modulus: int
    minibatches: tuple[int, ...]
    training: int  # steps
    step_size: float
    localisation: float


SIZES = {
    "large": Size(128, 97, (512, 128), 600, 1e-7, 1e4),
    "bare": Size(64, 59, (64,), 2000, 2.5e-8, 3.2e5),  # as llc_sisgld.toml samples it
    "small": Size(32, 29, (128,), 2000, 1e-6, 1e3),
}


@dataclass(frozen=True)
class Contestant:
    """A program that is timed: module of `llc_peers`, whose environment, what it is told.

    `cells` are those of each of its `copies`, which run side by side.
    """

    name: str
    module: str
    python: str
    told: tuple[str, ...] = ()
    cells: int = 1
    environ: tuple[str, ...] = ()
    threads: int = 1
    copies: int = 1

    def timed(self, problem: Path, steps: int) -> dict[str, Any] | None:
        """Return seconds a step: `cpu`, median of the copies, and `wall`, of all together."""
        told = ("--steps", steps, "--short", 1, "--threads", self.threads)
        with ThreadPoolExecutor(self.copies) as pool:
            results = list(pool.map(lambda _: self.run(problem, *told), range(self.copies)))
        found = [result for result in results if result is not None]
        if len(found) < self.copies:
            return None
        rate = sum(1 / max(result["wall"], 1e-9) for result in found)
        return {"wall": 1 / rate, "cpu": statistics.median(result["cpu"] for result in found)}

    def on(self, cores: int) -> list[Contestant]:
        """Return the ways in which it takes so many cores."""
        if cores == 1:
            return [self]
        side_by_side = replace(
            self, name=f"{self.name}: {cores} processes", copies=cores,
            cells=max(1, self.cells // cores),
        )  # fmt: skip
        if self.module == "ours":
            return [side_by_side] if self.cells > 1 else []
        return [replace(self, name=f"{self.name}: {cores} threads", threads=cores), side_by_side]

    def run(self, problem: Path, *told: object, limit: float = 3600.0) -> dict[str, Any] | None:
        """Return what it prints; None, and a line on the terminal, when it fails."""
        environ = os.environ | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}
        environ |= dict.fromkeys(self.environ, "1")
        environ["OMP_NUM_THREADS"] = str(self.threads)
        done = subprocess.run(
            [self.python, "-m", f"llc_peers.{self.module}", str(problem), *self.told,
             "--cells", str(self.cells), *map(str, told)],
            env=environ, capture_output=True, text=True, timeout=limit, check=False,
        )  # fmt: skip
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:]
            print(f"left out: {self.name}: {reason}", file=sys.stderr, flush=True)
            return None
        return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--peers", type=Path, help="virtual environment; made when not there")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--minibatches", nargs="+", type=int, help="of those that a size has")
    parser.add_argument("--cells", type=int, default=64, help="of ours; a square number")
    parser.add_argument("--steps", type=int, default=6, help="timed steps of a chain; ours 2")
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=1, help="for every contestant")
    parser.add_argument("--draws", type=int, default=100, help="steps for the estimates; 0: none")
    parser.add_argument("--folder", type=Path, help="where trained networks are kept and found")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of contestants' names")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [c for c in contestants(options) if any(part in c.name for part in options.only)]
    found = [way for one in chosen for way in one.on(options.cores)]
    with tempfile.TemporaryDirectory() as name:
        for size in options.sizes:
            network, data = trained(SIZES[size], options.folder)
            for minibatch in SIZES[size].minibatches:
                if options.minibatches and minibatch not in options.minibatches:
                    continue
                path = Path(name) / f"{size}{minibatch}.pt"
                problem = posed(SIZES[size], network, data, minibatch, options.chains)
                problem.save(path)
                speeds(f"{size}, minibatch {minibatch}", problem, path, found, options)
                if options.draws:
                    estimates(problem, path, chosen, options.draws)


def contestants(options: argparse.Namespace) -> list[Contestant]:
    """Return the contestants that can be run."""
    fused = options.cells
    found = [
        Contestant("ours", "ours", sys.executable, cells=fused),
        Contestant("ours, bf16", "ours", sys.executable, ("--precision", "bf16"), fused),
        Contestant("ours, one cell", "ours", sys.executable),
        Contestant("plain loop", "loop", sys.executable),
        Contestant("plain loop, lean", "loop", sys.executable, ("--lean",)),
    ]
    if options.peers is not None:
        python = str(installed(options.peers) / "bin" / "python")
        found += [
            Contestant("devinterp", "devinterp_peer", python),
            Contestant("devinterp, lean", "devinterp_peer", python, ("--lean",)),
            Contestant("canonical-interp", "canonical_peer", python),
        ]
    return found


def installed(folder: Path) -> Path:
    """Return the peers' environment with absolute path, made and filled when it is not there."""
    if not folder.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PACKAGES], check=True)
    return folder.absolute()


def trained(size: Size, folder: Path | None) -> tuple[Network, Split]:
    """Return a network that knows its training data, and the data."""
    data = ModularArithmetic(modulus=size.modulus).run(SEED)
    start = Transformer(width=size.width).shaped_for(data).initialise(SEED)
    kept = folder and folder / f"width{size.width}.pt"
    if kept and kept.exists():
        return Network(start.architecture, torch.load(kept, weights_only=True)), data["train"]
    trainer = Supervised(
        optimizer={"adamw": {"lr": 2e-3, "betas": (0.9, 0.98), "weight_decay": 0.1}},
        schedule={"linear": {"decay": 0.5}}, steps=size.training, batch=256,
        evaluate_every=size.training,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        found = trainer.run(start, data, SEED, Circumstance(scratch=Path(scratch)))
    if kept:
        torch.save(dict(found.last.weights), kept)
    return found.last, data["train"]


def posed(size: Size, network: Network, data: Split, minibatch: int, chains: int) -> Problem:
    """Return what the contestants are given."""
    sizes = {
        name: getattr(network.architecture, name)
        for name in ("layers", "heads", "width", "vocabulary", "length", "outputs")
    }
    x, y = (torch.as_tensor(data[name]).long() for name in "xy")
    n_beta = len(y) / float(torch.tensor(float(len(y))).log())
    weights = {name: value.clone() for name, value in network.weights.items()}
    return Problem(
        sizes, weights, x, y, minibatch, chains, size.step_size, size.localisation, n_beta,
        int(SEED),
    )  # fmt: skip


def speeds(
    title: str, problem: Problem, path: Path, found: list[Contestant], options: argparse.Namespace
) -> None:
    """Print cost, ratio and share of the matmul peak of each contestant."""
    rounds: list[dict[str, dict[str, Any]]] = []
    peaks: list[dict[str, float]] = []
    for _ in range(options.rounds):
        results = {}
        for one in found:
            steps = options.steps if one.cells == 1 else max(2, options.steps // 4)
            result = one.timed(path, steps)
            print(f"{title}: {one.name}: {result}", file=sys.stderr, flush=True)
            if result is not None:
                results[one.name] = result
        rounds.append(results)
        peaks.append({kind: peak(dtype) for kind, dtype in TYPES.items()})
    best = {kind: statistics.median(p[kind] for p in peaks) for kind in TYPES}
    work = flops(problem)
    peaks_told = ", ".join(f"{kind} {value:.0f} GFLOP/s" for kind, value in best.items())
    work_told = ", ".join(f"{way} {value:.3f}" for way, value in work.items())
    base, others = "cpu", ("devinterp", "plain loop")
    if options.cores > 1:
        base = "wall"
        others = tuple(f"devinterp: {options.cores} {way}" for way in ("threads", "processes"))
    print(f"\n{title}, chains {options.chains}, cores {options.cores}")
    print(f"matmul peak {peaks_told}; GFLOP a step: {work_told}\n")
    told = "".join(f" {other} / it |" for other in others)
    print(f"| | steps/s | CPU ms a step |{told} GFLOP/s | share of peak |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for one in (c for c in found if all(c.name in r for r in rounds)):
        cpu = statistics.median(r[one.name]["cpu"] for r in rounds)
        wall = statistics.median(r[one.name]["wall"] for r in rounds)
        ratios = [
            f"{statistics.median(r[other][base] / r[one.name][base] for r in rounds):.2f}"
            if all(other in r for r in rounds)
            else "-"
            for other in others
        ]
        kind = "bf16" if "bf16" in one.told else "fp32"
        way = "ours" if one.module == "ours" else "lean" if "--lean" in one.told else "plain"
        rate = work[way] / cpu
        speed = f"{1 / wall:.1f}" if wall > 0 else "-"  # other load may swallow the difference
        print(f"| {one.name} | {speed} | {cpu * 1e3:.2f} | {ratios[0]} | {ratios[1]} "
              f"| {rate:.1f} | {rate / best[kind]:.2f} |", flush=True)  # fmt: skip


TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def peak(dtype: torch.dtype, size: int = 1024, tries: int = 8) -> float:
    """Return the fastest square product seen, GFLOP a second of process time."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    spent = []
    for _ in range(tries + 1):
        begun = time.process_time()
        torch.mm(a, b, out=out)
        spent.append(time.process_time() - begun)
    return 2e-9 * size**3 / min(spent[1:])


def flops(problem: Problem) -> dict[str, float]:
    """Return the GFLOP of all matrix products of one step, forward and backward, as counted."""
    rows = torch.arange(problem.minibatch)
    x, y = problem.x[rows], problem.y[rows]

    def ordinary(lean: bool) -> None:
        F.cross_entropy(problem.network(lean)(x), y).backward()

    stack = Stack.of([Network(Transformer(**problem.sizes), problem.weights)])
    target = Classification(stack, Split({"x": problem.x.numpy(), "y": problem.y.numpy()}))
    out = torch.empty_like(stack.flat)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: ordinary(False),
        "lean": lambda: ordinary(True),
        "ours": lambda: target.gradient(stack.flat, slice(None), rows, out),
    }

    def added_product(
        into: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...], **rest: Any
    ) -> int:
        del into, rest
        return 2 * a[0] * a[1] * a[2] * b[2]

    counted = {torch.ops.aten.baddbmm_: added_product}  # in place: the counter knows it not
    found = {}
    for name, way in ways.items():
        with FlopCounterMode(display=False, custom_mapping=counted) as counter:
            way()
        found[name] = counter.get_total_flops() / 1e9
    return found


def estimates(problem: Problem, path: Path, found: list[Contestant], draws: int) -> None:
    """Print every contestant's estimate from equally many steps, all of them counted.

    The loss at w* is the exact one for all; a peer's own figure, which takes another, stands
    beside. The standard error is over chains.
    """
    stack = Stack.of([Network(Transformer(**problem.sizes), problem.weights)])
    target = Classification(stack, Split({"x": problem.x.numpy(), "y": problem.y.numpy()}))
    base = target.exact(stack.flat, slice(None))[0].item()
    print(f"\nloss at w* {base:.3g} nats; {draws} steps of each of {problem.chains} chains\n")
    print("| | llc | standard error | its own figure |")
    print("| --- | --- | --- | --- |")
    for one in found:
        if one.cells > 1 and "bf16" not in one.told:
            continue  # ours with one cell stands for it: a cell's result ignores its company
        alone = replace(one, cells=1)
        result = alone.run(path, "--steps", draws, "--estimate")
        if result is None:
            continue
        llc = problem.n_beta * (torch.tensor(result["means"]) - base)
        error = llc.std().item() / len(llc) ** 0.5
        own = "-" if result["own"] is None else f"{result['own']:.3g}"
        print(f"| {one.name} | {llc.mean().item():.4g} | {error:.2g} | {own} |", flush=True)


if __name__ == "__main__":
    main()
