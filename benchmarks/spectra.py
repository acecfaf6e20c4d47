"""What spectra cost: generated, stored, read and encoded per second, and the memory of many.

Each part runs in a process of its own and prints CPU seconds, spectra a second of CPU time and the
largest memory that the process held (resident, pages of mapped libraries included).

    python benchmarks/spectra.py                       # rates, some thousand spectra
    python benchmarks/spectra.py --rows 100000 --only generate epoch   # the memory of many
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VAL = 512


def data(rows: int, pixels: int) -> Any:
    """Return the plugin that generates so many training spectra."""
    from plugins.data.synthetic_spectra import SyntheticSpectra

    return SyntheticSpectra(train=rows, val=VAL, test=VAL, pixels=pixels)


def generate(rows: int, pixels: int, folder: Path) -> int:
    """Generate spectra and store them, as a node of a study does."""
    from runner import Circumstance, Seed
    from runner.storage.codec import Writer
    from runner.storage.store import Store

    made = data(rows, pixels).run(Seed(0), Circumstance(scratch=folder / "scratch"))
    store = Store(folder / "store")
    (folder / "described.json").write_text(json.dumps(Writer(store).describe(made)), "utf-8")
    store.close()
    return rows + 2 * VAL


def stored(folder: Path) -> Any:
    """Return the data set that `generate` left."""
    from runner.registry import Registry
    from runner.storage.codec import Reader
    from runner.storage.store import Store

    described = json.loads((folder / "described.json").read_text("utf-8"))
    return Reader(Store(folder / "store"), Registry.of(ROOT)).load(described)


def read(rows: int, pixels: int, folder: Path) -> int:
    """Read all spectra in shuffled minibatches of 128."""
    import numpy as np

    del pixels
    train = stored(folder)["train"]
    order = np.random.default_rng(0).permutation(rows)
    for start in range(0, rows, 128):
        chosen = order[start : start + 128]
        for name in ("flux", "error"):
            assert len(train[name][chosen]) == len(chosen)
    return rows


def epoch(rows: int, pixels: int, folder: Path) -> int:
    """Train a head for one pass on fresh noise, its encoder frozen and small: the data counts."""
    from plugins.maths.networks.blindspot_shape import BlindspotShape
    from plugins.models.blindspot_unet1d import BlindspotUnet1d
    from plugins.models.encoder_head import EncoderHead
    from plugins.trainers.noisy import Noisy
    from runner import Circumstance, Seed

    del pixels
    stars = stored(folder)
    denoiser = BlindspotUnet1d(shape=BlindspotShape(layers=7, width=4, kernel=3))
    design = EncoderHead().run(denoiser.initialise(Seed(0)), Seed(0), stars)
    trainer = Noisy(
        loss="mse", epochs=1, batch=128, measured=VAL, optimizer={"adam": {"lr": 1e-3}},
        best={"monitor": "val_r2", "mode": "max"},
    )  # fmt: skip
    trained = trainer.run(design, stars, Seed(0), Circumstance())
    assert trained.history.columns["step"][-1] == -(-rows // 128)
    return rows


def encode(rows: int, pixels: int, folder: Path, shape: dict[str, int] | None = None) -> int:
    """Encode spectra by the published network, as a node of a study does."""
    from plugins.maths.networks.blindspot_shape import BlindspotShape
    from plugins.models.blindspot_unet1d import BlindspotUnet1d
    from plugins.perturbations.encode import Encode
    from runner import Circumstance, Dataset, Seed

    del pixels
    whole = stored(folder)
    some = min(rows, 256 if shape is None else 2048)
    split = {name: values[:some] for name, values in whole.splits["train"].items()}
    network = BlindspotUnet1d(shape=BlindspotShape(**(shape or {}))).initialise(Seed(0))
    Encode().run(network, Dataset({"train": split}, whole.about), Seed(0), Circumstance())
    return some


def encode_small(rows: int, pixels: int, folder: Path) -> int:
    """Encode spectra by the network of the bare study."""
    return encode(rows, pixels, folder, {"layers": 7, "width": 16, "kernel": 9})


PARTS: dict[str, Callable[[int, int, Path], int]] = {
    "generate": generate, "read": read, "encode": encode, "encode_small": encode_small,
    "epoch": epoch,
}  # fmt: skip


def measured(name: str, rows: int, pixels: int, folder: Path) -> None:
    """Run one part in this process and print what it took."""
    import torch

    torch.set_num_threads(1)
    imports = "plugins.trainers.noisy", "plugins.maths.training.fitting", "h5py"
    for module in imports:
        __import__(module)
    wall, cpu = time.perf_counter(), time.process_time()
    done = PARTS[name](rows, pixels, folder)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name:>13}: {done:7,} spectra, {cpu:7.1f} s of CPU ({wall:.1f} s), "
        f"{done / cpu:9,.0f} a second of CPU, peak {peak:.2f} GiB",
        flush=True,
    )


def main() -> None:
    """Run the parts one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4096, help="training spectra")
    parser.add_argument("--pixels", type=int, default=4096)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="where spectra lie; else a temporary one")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    wish = parser.parse_args()
    if wish.part:
        measured(wish.part, wish.rows, wish.pixels, wish.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = wish.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in wish.only:
            sizes = ["--rows", str(wish.rows), "--pixels", str(wish.pixels)]
            command = [sys.executable, __file__, "--part", name, *sizes, "--folder", str(folder)]
            env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            subprocess.run(command, check=True, env=env)


if __name__ == "__main__":
    main()
