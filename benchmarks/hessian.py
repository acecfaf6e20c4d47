"""Top eigenpairs of a trained ResNet20's Hessian: ours beside PyHessian and eigsh over curvlinops.

Same network, rows and wanted residual, one thread. A ResNet20 is trained on photo_patches, then a
few steps on the same patches with noise: the pairs before those steps are what a warm start knows.
Each contestant has a process of its own, in turn in each round; CPU time is that of the search,
set-up of its operator included, imports not; memory what the process grew by at its peak. Residuals
|H v - value v| / |value| are computed here for all, by products of our own on the network as
it is (batch norm not folded), in double precision.

    python benchmarks/hessian.py                           # ours
    python benchmarks/hessian.py --peers .venv-hessian     # made there when it is not
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "curvlinops-for-pytorch", "einops", "einconv", "backpack-for-pytorch", "unfoldNd",
    "linear-operator", "jaxtyping", "wadler-lindig",
)  # fmt: skip
OURS = ("ours", "ours, warm", "ours, lobpcg", "pyhessian")
# Rounding turns a ReLU here and there whose input is next to zero, and with it the Hessian itself:
# one unit at 16 rows moved products by 6e-4.
SLACK = 1.1
PEERS = ("eigsh over curvlinops", "eigsh over curvlinops, warm")


@dataclass(frozen=True)
class Problem:
    """A module, rows, labels, and the vectors of an earlier network (r, d)."""

    module: Any
    x: Any
    y: Any
    known: Any
    pairs: int
    tolerance: float

    @classmethod
    def load(cls, folder: Path) -> Problem:
        """Return what `prepared` wrote."""
        import numpy as np
        import torch
        from safetensors.torch import load_file

        from plugins.models.resnet import Resnet

        about = json.loads((folder / "about.json").read_text("utf-8"))
        module = Resnet(depth=about["depth"], channels=3, outputs=about["classes"]).build()
        module.load_state_dict(load_file(folder / "network.safetensors"))
        stored = np.load(folder / "rows.npz")
        x, y, known = (torch.from_numpy(stored[name]) for name in ("x", "y", "known"))
        return cls(module.eval(), x, y, known, about["pairs"], about["tolerance"])


def prepared(options: argparse.Namespace, folder: Path) -> None:
    """Train the network and find the pairs before its last steps; write all to a folder."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from plugins.data.photo_patches import PhotoPatches
    from plugins.maths.curvature.lanczos import lanczos
    from plugins.maths.curvature.operators import Curvature
    from plugins.maths.curvature.pairs import Wish
    from plugins.models.resnet import Resnet
    from plugins.perturbations.corruption import Corruption
    from plugins.trainers.supervised import Supervised
    from runner.types import Circumstance, Seed

    seed, here = Seed(0), Circumstance()
    data = PhotoPatches(train=2000, test=500).run(seed)
    sgd = {"momentum": 0.9, "lr": 0.1}
    schedule = {"warmup": options.steps // 10, "cosine": {}}
    first = Supervised(
        optimizer={"sgd": sgd}, schedule=schedule, steps=options.steps, batch=64,
        evaluate_every=options.steps,
    )  # fmt: skip
    trained = first.run(Resnet(depth=options.depth), data, seed, here)
    noisy = Corruption(level=5, only=("train",)).run(data, seed, here)
    more = Supervised(
        optimizer={"sgd": {**sgd, "lr": 1e-3}}, steps=20, batch=64, save_at=(10, 20)
    ).run(trained.last, noisy, seed, here)
    x = torch.from_numpy(noisy["train"]["x"][: options.rows].copy())
    y = torch.from_numpy(noisy["train"]["y"][: options.rows].copy())
    before = Curvature(more.checkpoints[10].module(), x, y)
    known = lanczos(before, Wish(options.pairs), seed.torch("start")).vectors
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(more.last.weights), folder / "network.safetensors")
    np.savez(folder / "rows.npz", x=x.numpy(), y=y.numpy(), known=known.numpy())
    about = {
        "depth": options.depth, "classes": data.about["classes"], "parameters": before.size,
        "pairs": options.pairs, "tolerance": options.tolerance,
        "training": {name: values[-1] for name, values in trained.history.columns.items()},
    }  # fmt: skip
    (folder / "about.json").write_text(json.dumps(about), "utf-8")


# -- contestants: a problem -> values, vectors (r, d), products ------------------------------------

Found = tuple[Any, Any, int]


def ours(problem: Problem, engine: str, warm: bool) -> Found:
    """Return what our own engines find."""
    import torch

    from plugins.maths.curvature.lanczos import lanczos
    from plugins.maths.curvature.lobpcg import lobpcg
    from plugins.maths.curvature.operators import Curvature
    from plugins.maths.curvature.pairs import Wish

    search = {"lanczos": lanczos, "lobpcg": lobpcg}[engine]
    operator = Curvature(problem.module, problem.x, problem.y)
    wish = Wish(problem.pairs, tolerance=problem.tolerance)
    known = problem.known if warm else None
    found = search(operator, wish, torch.Generator().manual_seed(0), known=known)
    return found.values.numpy(), found.vectors.numpy(), found.products


def pyhessian(problem: Problem) -> Found:
    """Return what PyHessian finds on a batch, its graph kept, as its README uses it."""
    import numpy as np
    import torch
    from pyhessian import hessian

    theirs = sys.modules[hessian.__module__]
    count, true = [0], theirs.hessian_vector_product

    def counted(*arguments: Any) -> Any:
        count[0] += 1
        return true(*arguments)

    theirs.hessian_vector_product = counted
    torch.manual_seed(0)
    search = hessian(
        problem.module, torch.nn.CrossEntropyLoss(), data=(problem.x, problem.y), cuda=False
    )
    values, vectors = search.eigenvalues(maxIter=100, tol=1e-3, top_n=problem.pairs)
    flat = [torch.cat([part.reshape(-1) for part in vector]).numpy() for vector in vectors]
    return np.asarray(values), np.stack(flat), count[0]


def eigsh(problem: Problem, warm: bool) -> Found:
    """Return what SciPy's Lanczos finds by curvlinops' products."""
    import numpy as np
    import torch
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import LinearOperator
    from scipy.sparse.linalg import eigsh as search

    for parameter in problem.module.parameters():
        parameter.requires_grad_(requires_grad=True)
    operator = HessianLinearOperator(
        problem.module, torch.nn.CrossEntropyLoss(), list(problem.module.parameters()),
        [(problem.x, problem.y)], check_deterministic=False,
    ).to_scipy()  # fmt: skip
    count = [0]

    def product(vector: Any) -> Any:
        count[0] += 1
        return operator @ vector.reshape(-1).astype(np.float32)

    generator = np.random.default_rng(0)
    start = problem.known.sum(0).numpy() if warm else generator.standard_normal(operator.shape[0])
    counting = LinearOperator(operator.shape, matvec=product, dtype=np.float32)
    values, vectors = search(
        counting, k=problem.pairs, which="LM", tol=problem.tolerance,
        v0=start.astype(np.float32),
    )  # fmt: skip
    return values, vectors.T, count[0]


NEEDED = {"ours": "plugins.maths.curvature.lobpcg", "pyhessian": "pyhessian", "eigsh": "curvlinops"}
CONTESTANTS: dict[str, Callable[[Problem], Found]] = {
    "ours": lambda problem: ours(problem, "lanczos", warm=False),
    "ours, warm": lambda problem: ours(problem, "lanczos", warm=True),
    "ours, lobpcg": lambda problem: ours(problem, "lobpcg", warm=False),
    "pyhessian": pyhessian,
    "eigsh over curvlinops": lambda problem: eigsh(problem, warm=False),
    "eigsh over curvlinops, warm": lambda problem: eigsh(problem, warm=True),
}


def compete(name: str, folder: Path) -> dict[str, Any]:
    """Run a contestant in this process; write what it found, return what it cost."""
    import warnings

    import numpy as np
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    own = next(module for start, module in NEEDED.items() if name.startswith(start))
    for module in (own, "scipy.sparse.linalg"):
        importlib.import_module(module)
    problem = Problem.load(folder)
    problem.module(problem.x[:1])
    before = memory("VmRSS")
    start = time.process_time()
    values, vectors, products = CONTESTANTS[name](problem)
    seconds = time.process_time() - start
    grown = memory("VmHWM") - before
    np.savez(folder / "found.npz", values=values, vectors=vectors)
    return {"seconds": seconds, "products": products, "memory": grown}


def memory(name: str) -> float:
    """Return what this process holds (VmRSS) or held at most (VmHWM), MiB.

    Not by getrusage: its peak begins with that of the process which started this one.
    """
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


# -- the race --------------------------------------------------------------------------------------


class Judge:
    """Computes residuals and orthogonality of what contestants found."""

    def __init__(self, folder: Path) -> None:
        from plugins.maths.curvature.operators import Curvature

        self.folder, self.problem = folder, Problem.load(folder)
        self.first: tuple[Any, Any] | None = None  # vectors and values of the first contestant
        args = (self.problem.module.double(), self.problem.x.double(), self.problem.y)
        self.operator = Curvature(*args, fold=False)

    def __call__(self) -> dict[str, Any]:
        """Return the worth of the last contestant's pairs and how far they are from the first's."""
        import numpy as np
        import torch

        stored = np.load(self.folder / "found.npz")
        vectors = torch.from_numpy(stored["vectors"]).double()
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        images = self.operator(vectors)
        values = (images * vectors).sum(1)
        left = (images - values[:, None] * vectors).norm(dim=1) / values.abs()
        order = values.abs().argsort(descending=True)
        off = (vectors @ vectors.T - torch.eye(len(vectors)).double()).abs().max()
        vectors, values = vectors[order], values[order]
        if self.first is None:
            self.first = (vectors, values)
        return {
            "worst": float(left.max()),
            "good": int((left <= SLACK * self.problem.tolerance).sum()),
            "off": float(off),
            "values": values.tolist(),
            "gap": float((values / self.first[1] - 1).abs().max()),
            "cosine": float((vectors * self.first[0]).sum(1).abs().min()),
        }


def main() -> None:
    """Prepare the problem, let the contestants run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--depth", type=int, default=20, help="of the network")
    parser.add_argument("--rows", type=int, default=64, help="of the Hessian batch")
    parser.add_argument("--steps", type=int, default=150, help="of training")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of contestants' names")
    parser.add_argument("--peers", type=Path, help="virtual environment; made when not there")
    parser.add_argument("--problem", type=Path, help="folder of the trained network, kept")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(compete(options.worker, options.problem)))
        return
    with tempfile.TemporaryDirectory() as aside:
        race(options, options.problem or Path(aside))


def race(options: argparse.Namespace, folder: Path) -> None:
    """Run all rounds and print a line for each contestant."""
    import torch

    torch.set_num_threads(1)
    if not (folder / "about.json").exists():
        prepared(options, folder)
    about = json.loads((folder / "about.json").read_text("utf-8"))
    print("network:", about, flush=True)
    python = installed(options.peers) if options.peers else None
    names = [n for n in (*OURS, *(PEERS if python else ())) if any(p in n for p in options.only)]
    judge, costs, said = Judge(folder), dict[str, list[Any]](), dict[str, Any]()
    for number in range(options.rounds):
        for name in names:
            own = Path(sys.executable) if name in OURS or python is None else python
            costs.setdefault(name, []).append(asked(own, name, folder))
            if number == 0:
                said[name] = judge()
                print(name, costs[name][-1], said[name], flush=True)
    print(
        "| contestant | CPU s | HVPs | MiB | within tolerance | worst residual | |V'V - 1| "
        "| values apart | least |cosine| |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        found = {key: statistics.median(c[key] for c in costs[name]) for key in costs[name][0]}
        verdict = said[name]
        print(
            f"| {name} | {found['seconds']:.1f} | {found['products']:g} | {found['memory']:.0f} "
            f"| {verdict['good']} of {about['pairs']} | {verdict['worst']:.1e} "
            f"| {verdict['off']:.0e} | {verdict['gap']:.0e} | {verdict['cosine']:.5f} |"
        )
    for name in names[1:]:
        pairs = zip(costs[name], costs[names[0]], strict=True)
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)
        print(f"{name}: {ratio:.2f} times the CPU time of {names[0]}")


def installed(folder: Path) -> Path:
    """Return the peers' Python; its environment has our torch, so that all run the same one."""
    if not folder.exists():
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES]
        subprocess.run(install, check=True)
    return (folder / "bin" / "python").absolute()


def asked(python: Path, name: str, folder: Path) -> dict[str, float]:
    """Return what a contestant cost, measured in a process of its own."""
    paths = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [str(python), __file__, "--worker", name, "--problem", str(folder)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
