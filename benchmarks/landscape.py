"""What a point of a loss surface costs: ours beside one forward pass a point and loss-landscapes.

CPU milliseconds a point on one thread, the three in turn in each round, medians. Ours computes
grids (its preparation counts): whole ones where a point takes no pass through the network, else
small ones; the other two, whose points cost the same each, as many points as fit. All three compute
the mean loss over the same rows; the gap is that between the first two, relative where losses
are above 1.

    python benchmarks/landscape.py                             # ours and the plain loop
    python benchmarks/landscape.py --peers .venv-landscapes    # made there when it is not

With `--whole N` the cases' whole grids are computed by N processes, column by column on one thread
each, and the wall time is told too; the other two are measured by one process once it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

Case = tuple[Any, Any, Any]  # architecture, inputs, labels
ROOT = Path(__file__).resolve().parents[1]


def images(rows: int, shape: tuple[int, ...], classes: int = 10) -> tuple[Any, Any]:
    """Return normal noise in the shape of images, and labels."""
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, *shape, generator=generator)
    return x, torch.randint(0, classes, (rows,), generator=generator)


def linear(rows: int) -> Case:
    """Return softmax regression on MNIST's shape."""
    from plugins.models.linear import Linear

    return Linear(inputs=784, outputs=10), *images(rows, (1, 28, 28))


def mlp(rows: int, layers: int = 1) -> Case:
    """Return a perceptron with hidden layers of 128 units on MNIST's shape."""
    from plugins.models.mlp import Mlp

    model = Mlp(hidden=(128,) * layers, activation="relu", inputs=784, outputs=10)
    return model, *images(rows, (1, 28, 28))


def resnet20(rows: int) -> Case:
    """Return ResNet20 on CIFAR's shape."""
    from plugins.models.resnet import Resnet

    return Resnet(channels=3, outputs=10), *images(rows, (3, 32, 32))


def transformer(rows: int) -> Case:
    """Return the grokking decoder, 128 wide, on distinct pairs modulo 97."""
    import torch

    from plugins.models.transformer import Transformer

    pairs = torch.randperm(97 * 96, generator=torch.Generator().manual_seed(0))[:rows]
    left, right = pairs // 96, pairs % 96 + 1
    x = torch.stack([left, torch.full_like(left, 98), right, torch.full_like(left, 97)], 1)
    return Transformer(vocabulary=99, length=4, outputs=99), x, (left + right) % 97


# name -> the case, and the side of the grid that ours computes (None: --points)
CASES: dict[str, tuple[Callable[[], Case], int | None]] = {
    "linear, 10 samples": (lambda: linear(10), None),
    "linear, 1,000 rows": (lambda: linear(1000), None),
    "linear, 60,000 rows": (lambda: linear(60_000), None),
    "mlp 784-128-10, 10 samples": (lambda: mlp(10), None),
    "mlp 784-128-10, 1,000 rows": (lambda: mlp(1000), None),
    "mlp 784-128-128-10, 10 samples": (lambda: mlp(10, 2), None),
    "mlp 784-128-128-10, 1,000 rows": (lambda: mlp(1000, 2), None),
    "transformer, 512 rows": (lambda: transformer(512), 5),
    "resnet20, 64 rows": (lambda: resnet20(64), 3),
    "resnet20, 512 rows": (lambda: resnet20(512), 2),
}


def main() -> None:
    """Measure each case, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--points", type=int, default=51, help="side of the grid")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each slow way and round")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of cases' names")
    parser.add_argument("--whole", type=int, metavar="N", help="whole grids by N processes, once")
    parser.add_argument("--peers", type=Path, help="virtual environment; made when not there")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(peer(options.worker, options.seconds)))
        return
    import torch

    torch.set_num_threads(1)
    python = installed(options.peers) if options.peers else None
    if options.whole:
        for name in (n for n in CASES if any(part in n for part in options.only)):
            print(whole(name, options, python), flush=True)
        return
    print(
        "| case | path | ours, ms a point | one forward | loss-landscapes | ratios | largest gap |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in CASES:
        if any(part in name for part in options.only):
            print(row(name, options, python), flush=True)


def row(name: str, options: argparse.Namespace, python: Path | None) -> str:
    """Return a case's line of the table."""
    make, side = CASES[name]
    race = Race(*make(), side or options.points)
    costs: dict[str, list[float]] = {"ours": [], "loop": [], "peer": []}
    race.ours()  # warm
    for _ in range(options.rounds):
        costs["ours"].append(race.ours())
        costs["loop"].append(race.loop(options.seconds))
        if python:
            costs["peer"].append(asked(python, name, options.seconds))
    ours, loop, other = (statistics.median(v) if v else float("nan") for v in costs.values())
    return (
        f"| {name} | {race.path} | {ours:.4g} | {loop:.4g} | {other:.4g} "
        f"| {loop / ours:.3g}x, {other / ours:.3g}x | {race.gap:.1e} |"
    )


def whole(name: str, options: argparse.Namespace, python: Path | None) -> str:
    """Return what a whole grid took, and what the others take for some of its points."""
    race, start = Race(*CASES[name][0](), options.points), time.perf_counter()
    spent, paths, race.losses = 0.0, set(), []
    with ProcessPoolExecutor(options.whole, mp_context=get_context("spawn")) as pool:
        asks = [(name, options.points, at) for at in range(options.points)]
        for seconds, found, path in pool.map(column, *zip(*asks, strict=True)):
            spent, paths = spent + seconds, paths | {path}
            race.losses.append(found)
            done = len(race.losses) * options.points
            passed = time.perf_counter() - start
            print(
                f"{done} points, {passed:.0f} s, {1000 * spent / done:.4g} ms each", file=sys.stderr
            )
    wall = time.perf_counter() - start
    ours, loop = 1000 * spent / options.points**2, race.loop(options.seconds)
    other = asked(python, name, options.seconds) if python else float("nan")
    return (
        f"{name}: {options.points} x {options.points} points, {', '.join(paths)}: {wall:.0f} s of "
        f"wall, {spent:.0f} s of CPU time, {ours:.4g} ms a point; one forward {loop:.4g}, "
        f"loss-landscapes {other:.4g}: {loop / ours:.3g}x, {other / ours:.3g}x; "
        f"largest gap {race.gap:.1e}"
    )


@cache
def known(name: str, side: int) -> Race:
    """Return a case that a process has met before."""
    import torch

    torch.set_num_threads(1)
    return Race(*CASES[name][0](), side)


def column(name: str, side: int, at: int) -> tuple[float, list[float], str]:
    """Return CPU seconds, the losses at one alpha and all betas, and the way they were found."""
    from plugins.maths.landscape.landscapes import surface

    race = known(name, side)
    start = time.process_time()
    found = surface(race.plane, race.x, race.y, race.at[at : at + 1], race.at)
    return time.process_time() - start, found.losses[0].tolist(), found.path


class Race:
    """One network, two directions, one data set: timed our way and plainly."""

    def __init__(self, architecture: Any, x: Any, y: Any, side: int) -> None:
        import torch

        from plugins.maths.landscape import directions
        from plugins.maths.landscape.planes import Plane
        from plugins.maths.landscape.sampled import axis
        from runner.types import Seed

        self.network, self.x, self.y = architecture.initialise(Seed(0)), x, y
        weights = directions.parameters_of(self.network)
        pair = directions.random_pair(weights, Seed(0), "global", renormalise=True)
        self.along = {n: torch.stack([d[n] for d in pair]).float() for n in weights}
        self.plane, self.at = Plane.of(self.network, self.along), axis(-1.0, 1.0, side)
        self.module = self.network.module()
        self.losses: Any = None
        self.path, self.gap = "", 0.0

    def ours(self) -> float:
        """Return CPU milliseconds a point."""
        from plugins.maths.landscape.landscapes import surface

        start = time.process_time()
        found = surface(self.plane, self.x, self.y, self.at, self.at)
        spent = time.process_time() - start
        self.losses, self.path = found.losses, found.path
        return 1000 * spent / found.losses.numel()

    def loop(self, seconds: float) -> float:
        """Return CPU milliseconds a point of a module that is loaded and called for each."""
        import torch
        from torch.nn import functional as F

        parameters = dict(self.module.named_parameters())
        done, start = 0, time.process_time()
        with torch.no_grad():
            while done == 0 or time.process_time() - start < seconds:
                i, j = done % len(self.at), (7 * done) % len(self.at)
                for name, value in parameters.items():
                    first, second = self.along[name]
                    value.copy_(self.network.weights[name])
                    value.add_(first, alpha=self.at[i]).add_(second, alpha=self.at[j])
                loss = F.cross_entropy(self.module(self.x), self.y).item()
                gap = abs(loss - float(self.losses[i][j])) / max(1.0, abs(loss))
                self.gap = max(self.gap, gap)
                done += 1
            return 1000 * (time.process_time() - start) / done


def installed(folder: Path) -> Path:
    """Return the peer's Python; its environment has our torch, so that both run the same one."""
    if not folder.exists():
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "loss-landscapes"]
        subprocess.run(install, check=True)
    return (folder / "bin" / "python").absolute()


def asked(python: Path, case: str, seconds: float) -> float:
    """Return the peer's CPU milliseconds a point, measured in a process of its own."""
    paths = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [str(python), __file__, "--worker", case, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def peer(case: str, seconds: float) -> float:
    """Return CPU milliseconds a point of loss_landscapes.random_plane, as its README uses it."""
    import loss_landscapes
    import torch
    from loss_landscapes.metrics import Loss

    from runner.types import Seed

    torch.set_num_threads(1)
    architecture, x, y = CASES[case][0]()
    module = architecture.initialise(Seed(0)).module()
    metric = Loss(torch.nn.CrossEntropyLoss(), x, y)

    def plane(steps: int, normalization: str) -> float:
        start = time.process_time()
        with torch.no_grad():
            loss_landscapes.random_plane(
                module, metric, 1, steps, normalization=normalization, deepcopy_model=True
            )
        return time.process_time() - start

    way = "filter"
    try:
        first = plane(1, way)
    except ZeroDivisionError:  # it divides by the norm of each entry of biases, fresh ones are 0
        way = "model"
        first = plane(1, way)
    steps = max(1, min(51, int((seconds / max(first, 1e-4)) ** 0.5)))
    return 1000 * plane(steps, way) / steps**2


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
