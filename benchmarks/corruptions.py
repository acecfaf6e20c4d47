"""Images corrupted a second, and agreement: ours, batched, beside imagecorruptions, image by image.

Process CPU time on one thread, the two in turn for each kind, medians over rounds. The peer's
functions are given CIFAR-10-C's published constants in the place of its own (those of ImageNet-C);
its elastic_transform is another one and takes none. For each kind the root mean square distance to
the clean image at all five levels is compared: equal up to what different draws explain (z), and
for kinds without draws pixel by pixel.

    python benchmarks/corruptions.py                            # ours alone
    python benchmarks/corruptions.py --peers .venv-corruptions  # made there when it is not
"""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# it uses names that NumPy 2 and later scikit-images have not
PEERS = (
    "imagecorruptions==1.1.2", "numpy<2", "scikit-image<0.23", "scipy<1.13",
    "opencv-python-headless<4.11", "numba<0.60", "setuptools<81",
)  # fmt: skip
WITHOUT_DRAWS = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
)  # fmt: skip
OTHERS = {"elastic_transform": "another transform", "frost": "photographs"}  # not comparable


def main() -> None:
    """Measure each kind, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--peer-images", type=int, default=100, help="of those, for the peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of kinds' names")
    parser.add_argument("--peers", type=Path, help="virtual environment; made when not there")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(options.worker)
        return
    from plugins.maths.images.kinds import SEVERITIES

    clean = patches(options.images)
    with tempfile.TemporaryDirectory() as folder:
        peer = (
            Peer(installed(options.peers), Path(folder), clean[: options.peer_images])
            if (options.peers)
            else None
        )
        print(
            "| kind | ours, images/s | peer | ratio | distance, level 1 to 5 | peer | largest |z| |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- |")
        totals: dict[str, float] = {"ours": 0.0, "peer": 0.0}
        kinds = [k for k in SEVERITIES if any(part in k for part in options.only)]
        for kind in kinds:
            print(row(kind, clean, peer, options, totals), flush=True)
        each = f"{totals['ours'] * 1e3 / len(kinds):.3g} ms an image and kind"
        if peer:
            each += f", peer {totals['peer'] * 1e3 / len(kinds):.3g}: "
            each += f"{totals['peer'] / totals['ours']:.1f}x"
            peer.close()
        print(f"\n{len(kinds)} kinds, level 5: {each}")


def patches(count: int) -> Any:
    """Return clean images (n, 32, 32, 3), bytes."""
    from plugins.data.photo_patches import PhotoPatches
    from plugins.maths.images.pixels import bytes_of, scales
    from runner.types import Seed

    data = PhotoPatches(bands=5, train=1, test=count).run(Seed(0))
    return bytes_of(data["test"]["x"], *scales(data.about))


def row(
    kind: str, clean: Any, peer: Peer | None, options: argparse.Namespace, totals: dict[str, float]
) -> str:
    """Return a kind's line of the table; add seconds an image to the totals."""
    from plugins.maths.images.corruptions import corrupted
    from runner.types import Seed

    times: dict[str, list[float]] = {"ours": [], "peer": []}
    corrupted(clean[:10], kind, 5, Seed(0))  # warm
    for _ in range(options.rounds):
        start = time.process_time()
        corrupted(clean, kind, 5, Seed(0))
        times["ours"].append((time.process_time() - start) / len(clean))
        if peer:
            times["peer"].append(peer.run(kind, 5)[0])
    ours = statistics.median(times["ours"])
    totals["ours"] += ours
    found = {level: corrupted(clean, kind, level, Seed(0)) for level in range(1, 6)}
    own = [distance(found[level], clean) for level in found]
    if peer is None:
        return f"| {kind} | {1 / ours:,.0f} | | | {means(own)} | | |"
    theirs = statistics.median(times["peer"])
    totals["peer"] += theirs
    others = {level: peer.run(kind, level)[1] for level in range(1, 6)}
    some = clean[: len(others[1])]
    own = [distance(found[level][: len(some)], some) for level in found]
    far = [distance(others[level], some) for level in others]
    if kind in OTHERS:
        verdict = f"not compared: {OTHERS[kind]}"
    elif kind in WITHOUT_DRAWS:
        gaps = [abs(found[s][: len(some)].astype(int) - others[s]) for s in found]
        verdict = (
            f"largest gap {max(int(g.max()) for g in gaps)}, "
            f"{max(float((g > 1).mean()) for g in gaps):.2%} above 1"
        )
    else:
        verdict = f"{max(z(a, b) for a, b in zip(own, far, strict=True)):.1f}"
    return (
        f"| {kind} | {1 / ours:,.0f} | {1 / theirs:,.0f} | {theirs / ours:.1f}x "
        f"| {means(own)} | {means(far)} | {verdict} |"
    )


def means(levels: list[Any]) -> str:
    """Return the mean of each level."""
    return " ".join(f"{values.mean():.2f}" for values in levels)


def distance(found: Any, clean: Any) -> Any:
    """Return each image's root mean square difference to the clean one, grey values."""
    return ((found.astype(float) - clean) ** 2).mean((1, 2, 3)) ** 0.5


def z(one: Any, other: Any) -> float:
    """Return the difference of two means over the same images in its standard errors."""
    gap = one - other
    error = gap.std(ddof=1) / len(gap) ** 0.5
    return float(abs(gap.mean()) / max(error, 1e-12))


class Peer:
    """A process in the peer's environment that corrupts images when told to."""

    def __init__(self, python: Path, folder: Path, clean: Any) -> None:
        import numpy as np

        np.save(folder / "clean.npy", clean)
        self.folder = folder
        self.process = subprocess.Popen(
            [str(python), __file__, "--worker", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.count = len(clean)
        for kind in ("gaussian_noise", "glass_blur"):  # the second compiles itself when called
            self.run(kind, 5)

    def run(self, kind: str, level: int) -> tuple[float, Any]:
        """Return CPU seconds an image, and the images."""
        import numpy as np

        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{kind} {level}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"] / self.count, np.load(self.folder / "found.npy")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


def installed(folder: Path) -> Path:
    """Return the Python of the peer's environment, made and filled when it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
    return python.absolute()


# -- in the peer's environment ---------------------------------------------------------------------


def serve(folder: Path) -> None:
    """Corrupt the images in a folder by each kind and level that is asked for."""
    import warnings

    warnings.simplefilter("ignore")
    import cv2
    import numpy as np
    from PIL import Image

    cv2.setNumThreads(1)
    functions = with_our_constants()
    clean = np.load(folder / "clean.npy")
    np.random.seed(0)  # noqa: NPY002  # what the peer draws from
    for line in sys.stdin:
        kind, level = line.split()
        start = time.process_time()
        found = [np.uint8(functions[kind](Image.fromarray(image), int(level))) for image in clean]
        seconds = time.process_time() - start
        np.save(folder / "found.npy", np.stack(found))
        print(json.dumps({"seconds": seconds}), flush=True)


def with_our_constants() -> dict[str, Any]:
    """Return the peer's module with its lists of severities replaced by CIFAR-10-C's."""
    import imagecorruptions.corruptions as peer
    import numpy as np

    from plugins.maths.images.kinds import SEVERITIES

    def whole(value: float) -> float:
        return int(value) if value == int(value) else value

    constants: dict[str, list[Any]] = {
        kind: [tuple(map(whole, c)) if len(c) > 1 else whole(c[0]) for c in levels]
        for kind, levels in SEVERITIES.items()
    }
    constants["zoom_blur"] = [np.arange(1, end, 0.01) for (end,) in SEVERITIES["zoom_blur"]]
    constants["glass_blur"] = [(c[0], 1, int(c[1])) for c in SEVERITIES["glass_blur"]]
    loader = WithConstants(str(peer.__name__), str(peer.__file__))
    loader.kinds = frozenset(constants)
    spec = importlib.util.spec_from_file_location(peer.__name__, peer.__file__, loader=loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    vars(module)["_CONSTANTS"] = constants
    loader.exec_module(module)
    vars(module)["gaussian"] = smoothed  # its functions look it up when called
    return vars(module)


class WithConstants(importlib.machinery.SourceFileLoader):
    """Loads the peer's source with `c = _CONSTANTS[kind][severity - 1]` for its own lists."""

    kinds: frozenset[str] = frozenset()  # of those that are functions of the module

    def get_code(self, fullname: str) -> Any:
        """Return the changed module's code; what is compiled beside the source stays as it is."""
        tree = ast.parse(self.get_source(fullname) or "")
        functions = [line for line in tree.body if isinstance(line, ast.FunctionDef)]
        for function in (one for one in functions if one.name in self.kinds):
            for line in function.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "c":
                    own = f"_CONSTANTS['{function.name}'][severity - 1]"
                    line.value = ast.parse(own, mode="eval").body
        return self.source_to_code(ast.fix_missing_locations(tree), self.path)


def smoothed(image: Any, sigma: Any, multichannel: bool = False, **more: Any) -> Any:
    """Call scikit-image's gaussian, which has another word for colour images by now."""
    from skimage.filters import gaussian

    return gaussian(image, sigma, channel_axis=-1 if multichannel else None, **more)


if __name__ == "__main__":
    main()
