"""What pictures cost: figure A.1 of the outlier study for many epochs, drawn by parallel workers.

The tables come from two made-up results files, read before the clock starts: what is timed is
`runner run` of the pictures alone, its start included. CPU seconds are those of all processes;
memory is the largest sum of resident sizes of the tree, shared pages counted in each. The last row
is a script as one writes it by hand: pyplot draws the same curves, bands and titles of the same
files in a loop, at the same size and sharpness, one process, its start included.

    python benchmarks/pictures.py                          # 2 scenarios x 5 betas x 100 epochs
    python benchmarks/pictures.py --epochs 10 --workers 1 2 --script 50
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BETAS, SEEDS = (1.0, 2.0, 4.0, 8.0, 16.0), (100, 200, 300, 400, 500)
SCENARIOS = {"Scenario_1_Single": [(0.0, 5.0)],
             "Scenario_2_Multiple": [(0.0, 5.0), (1.5708, -3.0), (-3.1416, 2.0)]}  # fmt: skip
SPEC = """
extends = "{part}"
title = "Pictures of made-up results"
[axes]
beta = {betas}
seed = {seeds}
epoch = {{ arange = [10, {last}, 10] }}
[axes.scenario.Scenario_1_Single]
name = "single"
[axes.scenario.Scenario_2_Multiple]
name = "multiple"
[probes.fit]
use = "fit_results"
base = "results_base.pkl"
results = "results_finetune.pkl"
beta = "$beta"
seed_label = "$seed"
scenario = "$scenario"
epoch = "$epoch"
base_epoch = 10_000
[renderers.tradeoff]
where = {{ epoch = 10 }}
"""


def made_up(folder: Path, epochs: int) -> None:
    """Write both results files, of the study's sizes, and a spec that draws them."""
    import numpy as np

    from plugins.maths.files.plain_pickle import dumps

    generator = np.random.default_rng(0)
    x_train, x_test = np.linspace(-6.28, 6.28, 17), np.sort(generator.uniform(-6.28, 6.28, 100))
    wave = 10.0 ** -np.linspace(0, 9, 101)

    def leaf(points: list[tuple[float, float]]) -> dict[str, Any]:
        shift = 0.1 * generator.standard_normal()
        x, y = zip(*points, strict=True)
        return {
            "y_pred_test_ft": np.sin(x_test) + shift, "y_pred_train_ft": np.sin(x_train) + shift,
            "x_train_ft_scatter": np.concatenate([x_train, x]),
            "y_train_ft_scatter": np.concatenate([np.sin(x_train), y]),
            "pred_coef_ft": wave * generator.lognormal(size=101),
            **dict.fromkeys(("train_rms_ft", "test_rms_ft", "y_distortion_rms"), abs(shift)),
            **dict.fromkeys(("spectrum_error_ft", "local_fit_error"), 3.5 + shift),
            **dict.fromkeys(("global_damage_rms", "far_distortion_rms"), 0.3 + abs(shift)),
            "near_distortion_rms": 0.5 + abs(shift),
        }  # fmt: skip

    steps = range(10, 10 * epochs + 1, 10)
    tuned = {b: {s: {name: {e: leaf(points) for e in steps} for name, points in SCENARIOS.items()}
                 for s in SEEDS} for b in BETAS}  # fmt: skip
    base = {"y_pred_test_base": np.sin(x_test), "y_pred_train_base": np.sin(x_train),
            "pred_coef_base": wave, "test_rms_base": 0.01}  # fmt: skip
    top = {"x_train": x_train, "y_train": np.sin(x_train), "x_test": x_test,
           "y_test": np.sin(x_test), "true_coef": wave,
           "results_base": {b: {s: {10_000: base} for s in SEEDS} for b in BETAS}}  # fmt: skip
    (folder / "results_base.pkl").write_bytes(dumps(top))
    (folder / "results_finetune.pkl").write_bytes(dumps(tuned))
    part = ROOT / "specs" / "parts" / "_outlier_figures.toml"
    text = SPEC.format(part=part, betas=list(BETAS), seeds=list(SEEDS), last=10 * epochs + 10)
    (folder / "pictures.toml").write_text(text, "utf-8")


def run(folder: Path, step: str, workers: int, artifacts: str) -> dict[str, float]:
    """Run one step of the spec; return wall seconds, CPU seconds and the largest memory, MiB."""
    return timed(folder, "-m", "runner", "run", f"pictures.toml::{step}", "-q",
                 "-n", str(workers), "--artifacts", artifacts)  # fmt: skip


def timed(folder: Path, *arguments: str) -> dict[str, float]:
    """Run Python; return wall seconds, CPU seconds and the largest memory, MiB."""
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, start = os.times(), time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        memory = Memory(process.pid)
        code = process.wait()
    if code:
        raise SystemExit(code)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user
    return {
        "wall": time.perf_counter() - start, "cpu": cpu - before.children_system,
        "memory": memory.most / 2**20,
    }  # fmt: skip


def script(folder: Path, pictures: int) -> None:
    """Draw some pictures with pyplot alone, in a plain loop over the two files."""
    import matplotlib as mpl

    mpl.use("agg")
    import numpy as np
    from matplotlib import pyplot as plt

    from plugins.maths.files.plain_pickle import loads

    base = loads((folder / "results_base.pkl").read_bytes())
    tuned = loads((folder / "results_finetune.pkl").read_bytes())
    (folder / "script").mkdir()
    epochs = list(tuned[BETAS[0]][SEEDS[0]][next(iter(SCENARIOS))])
    cells = [(b, name, e) for e in epochs for b in BETAS for name in SCENARIOS]
    x, y = base["x_test"], base["y_test"]
    for beta, name, epoch in cells[:pictures]:
        seeds = [tuned[beta][seed][name][epoch] for seed in SEEDS]
        before = [base["results_base"][beta][seed][10_000] for seed in SEEDS]
        was = np.mean([one["y_pred_test_base"] for one in before], 0)
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7, 2.8))
        left.plot(x, y, "k", x, was, "g")
        now = np.array([one["y_pred_test_ft"] for one in seeds])
        banded(left, x, now, "r")
        left.scatter(x, y, 2, "grey")
        left.scatter(seeds[0]["x_train_ft_scatter"], seeds[0]["y_train_ft_scatter"], 20, "b")
        left.set_title(f"Fitted Function\n(Train: 17+{len(SCENARIOS[name])}, Test: {len(x)})")
        banded(middle, x, now - was, "b", marker=".")
        distortion = np.mean([one["y_distortion_rms"] for one in seeds])
        middle.set_title(f"Finetuning Impact\n(Avg. y_distortion_rms: {distortion:.4f})")
        order = np.arange(len(base["true_coef"]))
        right.plot(order, np.abs(base["true_coef"]), "k.-")
        right.plot(order, np.mean([np.abs(one["pred_coef_base"]) for one in before], 0), "g.-")
        banded(right, order, np.abs([one["pred_coef_ft"] for one in seeds]), "r", marker=".")
        right.set(yscale="log", ylim=(1e-10, 10))
        error = np.mean([one["spectrum_error_ft"] for one in seeds])
        right.set_title(f"Spectrum Comparison\n(Avg. spectrum_error_ft: {error:.4f})")
        for axes, label in ((left, "y"), (middle, "change"), (right, "|c_k|")):
            axes.set(xlabel="x", ylabel=label)
        left.legend(["truth", "before", "fine-tuned"])
        figure.suptitle(f"{name}, beta = {beta}, epoch {epoch}")
        figure.tight_layout()
        figure.savefig(folder / "script" / f"{name}_{beta}_{epoch}.png", dpi=200)
        plt.close(figure)


def banded(axes: Any, x: Any, values: Any, colour: str, **look: Any) -> None:
    """Draw the mean over seeds and one standard deviation around it."""
    mean, std = values.mean(0), values.std(0, ddof=1)
    axes.plot(x, mean, color=colour, **look)
    low = mean - std
    if (mean > 0).all():  # as for a log axis: a band that reaches zero ends above it
        low = low.clip(mean.min() / 10)
    axes.fill_between(x, low, mean + std, color=colour, alpha=0.2)


class Memory:
    """The largest sum of resident sizes of a process and its children, looked at now and then."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most = pid, 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while Path(f"/proc/{self.pid}").exists():
            sizes = [resident(pid) * page for pid in tree(self.pid)]
            self.most = max(self.most, sum(sizes))
            time.sleep(0.5)


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in tree(int(child)))]


def resident(pid: int) -> int:
    """Return the pages of a process that are in memory; 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0


def main() -> None:
    """Draw the pictures with each number of workers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=100, help="pictures are 10 times as many")
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary one")
    parser.add_argument("--script", type=int, default=100, help="pictures by hand; 0: none")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.draw:
        script(options.draw, options.script)
        return
    pictures = len(BETAS) * len(SCENARIOS) * options.epochs
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        made_up(folder, options.epochs)
        print(
            "| workers | pictures | wall, s | a second | CPU, s | CPU a picture, s | memory, MiB |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for workers in options.workers:
            artifacts = f"artifacts-{workers}"
            run(folder, "fit", workers, artifacts)
            cost = run(folder, "fit_at_epoch", workers, artifacts)
            drawn = len(list((folder / artifacts).rglob("epoch_*.png")))
            if drawn != pictures:
                raise SystemExit(f"{drawn} pictures instead of {pictures}")
            print(row(str(workers), pictures, cost), flush=True)
        if options.script:
            count = min(options.script, pictures)
            arguments = ("--draw", str(folder), "--script", str(count))
            print(row("a script", count, timed(folder, str(Path(__file__).resolve()), *arguments)))


def row(name: str, pictures: int, cost: dict[str, float]) -> str:
    """Return a line of the table."""
    return (
        f"| {name} | {pictures} | {cost['wall']:.1f} | {pictures / cost['wall']:.1f} "
        f"| {cost['cpu']:.1f} | {cost['cpu'] / pictures:.3f} | {cost['memory']:.0f} |"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
