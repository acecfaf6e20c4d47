"""The study of Hessian eigenvectors as it is written, and its smallest size run whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "hessian_finetune.toml"
PLACES = ("CIFAR10", "CIFAR10C")


def planned(folder: Path, profile: str | None = None, **sets: str) -> Any:
    from runner.running.journey import Wish, prepare

    changes = tuple(f"{name}={value}" for name, value in sets.items())
    return prepare(Wish(SPEC, profile=profile, artifacts=folder, sets=changes)).plan


def only(plan: Any, step: str) -> Any:
    (node,) = plan.steps[step].nodes.values()
    return node


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the two published data sets, a few rows each."""
    folder = tmp_path_factory.mktemp("published")
    rows = np.random.default_rng(0).integers(0, 256, (20, 3073), dtype=np.uint8)
    rows[:, 0] %= 10
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        (folder / name).write_bytes(rows.tobytes())
    images = np.random.default_rng(1).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    np.save(folder / "gaussian_noise.npy", images)
    np.save(folder / "labels.npy", np.tile(rows[:, 0], 5))
    return folder


@pytest.fixture
def with_files(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLACES:
        monkeypatch.setenv(name, str(published))


def test_snapshots_stand_before_the_first_and_after_the_last_batch(tmp_path: Path) -> None:
    tuned = only(planned(tmp_path), "finetuned").plugin
    last = 2 * -(-2048 // 64)
    assert tuned.checkpoints() == (*range(0, last, 5), last)


@pytest.mark.usefixtures("with_files")
def test_the_paper_size_is_the_published_one(tmp_path: Path) -> None:
    plan = planned(tmp_path, "paper")
    net = only(plan, "net").plugin
    assert (net.depth, net.width, net.shortcut) == (20, 16, "B")
    tuned = only(plan, "finetuned").plugin
    assert (tuned.epochs, tuned.batch, tuned.optimizer.sgd.lr) == (2, 128, 1e-3)
    assert tuned.optimizer.sgd.momentum == 0.9
    assert tuned.checkpoints() == (*range(0, 158, 10), 158)  # 2 epochs of 79 batches
    eigen = only(plan, "eigen").plugin
    assert (eigen.pairs, eigen.rows, eigen.which) == (10, 128, "magnitude")
    assert only(plan, "subspace").plugin.components == 20
    assert only(plan, "published").plugin.level == 5
    assert only(plan, "published").plugin.kind == "gaussian_noise"
    assert only(plan, "tuning").ports["source"].node is only(plan, "published")


def test_the_hessian_batch_is_fixed_and_its_contrast_is_not(tmp_path: Path) -> None:
    """BUG of earlier implementations: a fresh random batch for each snapshot."""
    plan = planned(tmp_path)
    assert not only(plan, "eigen").plugin.fresh
    assert only(plan, "eigen_fresh").plugin.fresh
    assert only(plan, "subspace").ports["vectors"].node is only(plan, "eigen")


def test_files_and_pictures_are_laid_out_as_itemised(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    paths = {
        node.plugin.path
        for step in plan.steps.values()
        for node in step.nodes.values()
        if hasattr(node.plugin, "path")
    }
    for step in (0, 30, 64):
        assert f"eigen_vectors/batch_{step}.npz" in paths
        assert f"models/batch_{step}.pth" in paths
        for kind in ("summary", "trace", "last_layer"):
            assert f"hessian_matrices/batch_{step}_{kind}.npz" in paths
    for name in ("pca_variance", "pca_cumulative_variance", "pca_projection", "cosine_similarity"):
        assert f"plots/{name}.png" in paths
    assert {"hessian_analysis.log", "pca_results/projection.csv"} <= paths


def test_cosines_are_drawn_of_all_vectors_in_magnitude(tmp_path: Path) -> None:
    """BUG of earlier implementations: cosines of means of vectors whose signs mean nothing."""
    one = only(planned(tmp_path), "cosines").plugin
    assert (one.x, one.y, one.value) == ("vector", "other", "cosine")
    assert (one.limits, one.colours, one.blocks) == ((0, 1), "viridis", ("steps", "other_steps"))


@pytest.mark.parametrize("profile", [None, "smoke", "paper"])
def test_every_picture_says_which_images_it_is_about(profile: str | None) -> None:
    from runner.language.spec import load

    spec = load(SPEC, profile)
    pictures = [step for step in spec.steps.values() if step.body.get("path", "").endswith(".png")]
    assert len(pictures) == 13
    assert {step.body["footnote"] for step in pictures} == {"$pictured"}
    assert ("CIFAR" in spec.params["pictured"]) == (profile == "paper")
    assert ("scikit-learn" in spec.params["pictured"]) == (profile != "paper")


@pytest.mark.usefixtures("with_files")
def test_the_spec_of_the_docs_reads_a_network_from_a_file(shared_world: Any) -> None:
    """S3.1: a published ResNet20 in the place of the trained one."""
    words = (ROOT / "docs" / "hessian_finetune.md").read_text("utf-8")
    blocks = [part.partition("```")[0] for part in words.split("```toml\n")[1:]]
    text = "\n".join(blocks).replace("../specs", str(ROOT / "specs"))
    file = shared_world.folder / "checkpoints" / "resnet20_cifar10.pkl"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"no more than a file is needed to plan")
    plan = shared_world.plan(text)
    assert only(plan, "finetuned").ports["model"].node is only(plan, "pretrained")
    assert only(plan, "pretrained").plugin.strip_prefix == "module."
    assert only(plan, "tuning").ports["source"].node is only(plan, "published")


@pytest.mark.parametrize(("profile", "parameters"), [(None, 19_822), ("paper", 272_474)])
def test_single_eigenvalues_stand_above_the_lower_end_of_the_pictured_density(
    profile: str | None, parameters: int
) -> None:
    """With one lower end for all sizes the largest eigenvalues were cut off the paper's picture."""
    from runner.language.spec import load

    spec = load(SPEC, profile)
    body = spec.steps["densities"].body
    assert body["derive"] == {"relative": "density / max(density)"}  # whatever the unit
    assert body["panels"][0]["y_limits"][0] == "$faintest"
    assert 1 / 100 < spec.params["faintest"] * parameters < 1 / 10


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest size, run."""
    folder = tmp_path_factory.mktemp("smoke")
    done = subprocess.run(
        [sys.executable, "-m", "runner", "run", str(SPEC), "--profile", "smoke",
         "--artifacts", str(folder), "-n", "1", "-q"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "hessian_finetune"


@pytest.mark.slow
def test_rows_of_the_pca_are_eigenvectors(smoke: Path) -> None:
    """BUG of earlier implementations: PCA of the transpose, so that parameters were scattered."""
    table = pd.read_csv(smoke / "pca_results" / "projection.csv")
    assert len(table) == 5 * 3  # snapshots x pairs, not parameters
    vectors = np.concatenate(
        [np.load(smoke / f"eigen_vectors/batch_{n}.npz")["vectors"] for n in (0, 2, 4, 6, 8)]
    )
    shares = pd.read_csv(smoke / "pca_results" / "components.csv")["share"]
    aligned = vectors * signs(vectors)[:, None]
    values = np.linalg.svd(aligned - aligned.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(shares[:3], (values / values.sum())[:3], rtol=1e-3)


def signs(vectors: Any) -> Any:
    """Turn each vector along the one of the snapshot before that it is most parallel to."""
    found = [float(np.sign(row[np.abs(row).argmax()])) for row in vectors[:3]]
    for row in range(3, len(vectors)):
        before = vectors[row // 3 * 3 - 3 : row // 3 * 3]
        along = before @ vectors[row]
        best = int(np.abs(along).argmax())
        found.append(float(np.sign(along[best]) * found[row // 3 * 3 - 3 + best]))
    return np.array(found)


@pytest.mark.slow
def test_snapshots_go_from_the_first_to_the_last_batch(smoke: Path) -> None:
    """BUG of earlier implementations: the last one, labelled -1, was sorted first."""
    table = pd.read_csv(smoke / "eigenvalues.csv").sort_values("snapshot", kind="stable")
    assert table["steps"].unique().tolist() == [0, 2, 4, 6, 8]
    last = torch.load(smoke / "models" / "batch_8.pth", weights_only=True)
    first = torch.load(smoke / "models" / "batch_0.pth", weights_only=True)
    start = torch.load(smoke / "checkpoints" / "pretrained.pth", weights_only=True)
    assert all(torch.equal(first[name], start[name]) for name in start)
    assert not torch.equal(first["linear.weight"], last["linear.weight"])


@pytest.mark.slow
def test_a_snapshots_files_belong_together(smoke: Path) -> None:
    for step in (0, 8):
        vectors = np.load(smoke / f"eigen_vectors/batch_{step}.npz")
        summary = np.load(smoke / f"hessian_matrices/batch_{step}_summary.npz")
        assert vectors["vectors"].shape[0] == 3
        np.testing.assert_allclose(np.diag(summary["projected"]), vectors["eigenvalues"])
        block = np.load(smoke / f"hessian_matrices/batch_{step}_last_layer.npz")["block"]
        assert block.shape == (54, 54)  # 8 features and a bias to each of six classes
        np.testing.assert_allclose(block, block.T, atol=1e-4)


@pytest.mark.slow
def test_the_log_tells_each_snapshots_eigenvalues_and_trace(smoke: Path) -> None:
    lines = (smoke / "hessian_analysis.log").read_text("utf-8").splitlines()
    assert sum(line.startswith("snapshot ") for line in lines) == 15
    (trace,) = [line for line in lines if line.startswith("trace:")]
    assert len(trace.split(",")) == 5
    manifest = json.loads((smoke / "run.json").read_text("utf-8"))
    assert manifest["nodes"]


# -- the published size, its files in small --------------------------------------------------------

STEPS = (0, 2, 4)  # of 2 epochs of 2 batches
SMALLER = (
    "axes.step=[0, 2, 4]", "axes.shown=[0, 4]", "params.hessian_rows=8",
    "trainers.pretrained.epochs=2", "trainers.pretrained.schedule.warmup=3",
    "probes.trace.samples=4", "probes.density.vectors=1", "probes.density.lanczos_steps=20",
)  # fmt: skip
FOUR = ("pca_variance", "pca_cumulative_variance", "pca_projection", "cosine_similarity")


def small_files(folder: Path) -> None:
    """Write CIFAR-10's six files and two of CIFAR-10-C, of photographs, fewer rows each."""
    from plugins.data.photo_patches import PhotoPatches
    from plugins.maths.images.corruptions import corrupted
    from plugins.maths.images.pixels import bytes_of, scales
    from runner.types import Seed

    data = PhotoPatches(train=320, test=256).run(Seed(0))
    pixels = {name: bytes_of(data[name]["x"], *scales(data.about)) for name in data.splits}
    rows = {
        name: np.hstack([
            data[name]["y"].astype(np.uint8)[:, None],
            images.transpose(0, 3, 1, 2).reshape(len(images), 3072),
        ])
        for name, images in pixels.items()
    }  # fmt: skip
    for number, part in enumerate(np.split(rows["train"], 5), 1):
        (folder / f"data_batch_{number}.bin").write_bytes(part.tobytes())
    (folder / "test_batch.bin").write_bytes(rows["test"].tobytes())
    levels = [corrupted(pixels["test"], "gaussian_noise", s, Seed(0)) for s in range(1, 6)]
    np.save(folder / "gaussian_noise.npy", np.concatenate(levels))
    np.save(folder / "labels.npy", np.tile(rows["test"][:, 0], 5))


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published size, run on small files: the whole network, fewer rows, batches, products."""
    folder = tmp_path_factory.mktemp("paper")
    small_files(folder)
    sets = [part for text in SMALLER for part in ("--set", text)]
    done = subprocess.run(
        [sys.executable, "-m", "runner", "run", str(SPEC), "--profile", "paper",
         "--artifacts", str(folder), "-n", "1", "-q", *sets],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **dict.fromkeys(PLACES, str(folder))},
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return folder / "hessian_finetune"


@pytest.mark.slow
def test_in_the_published_size_nothing_breaks_and_every_pair_converges(paper: Path) -> None:
    manifest = json.loads((paper / "run.json").read_text("utf-8"))
    assert set(manifest["failed"]) <= {"it_had_learned"}  # ten batches teach it little
    statuses = {entry["node"]: entry["status"] for entry in manifest["nodes"]}
    assert statuses["all_pairs_converged"] == "passed"
    assert manifest["device"] == "cpu"
    assert manifest["resolved"]["params"]["hessian_rows"] == 8
    assert manifest["seconds"] > 0


@pytest.mark.slow
def test_the_published_size_leaves_every_itemised_file(paper: Path) -> None:
    """S3.6, S3.7 and S3.9."""
    there = {str(path.relative_to(paper)) for path in paper.rglob("*") if path.is_file()}
    wanted = {
        f"hessian_matrices/batch_{step}_{kind}.npz"
        for step in STEPS
        for kind in ("summary", "trace", "last_layer")
    }
    wanted |= {f"eigen_vectors/batch_{step}.npz" for step in STEPS}
    wanted |= {f"models/batch_{step}.pth" for step in STEPS}
    tables = ("components.csv", "projection.csv", "scores.npz", "overlaps.csv", "continuity.csv")
    wanted |= {f"pca_results/{name}" for name in tables}
    further = (
        "subspace_overlap", "subspace_overlap_fresh", "continuity", "eigenvalues",
        "least_eigenvalues", "density", "trace", "finetuning", "pretraining",
    )  # fmt: skip
    wanted |= {f"plots/{name}.png" for name in (*FOUR, *further)}
    wanted |= {
        "hessian_analysis.log", "eigenvalues.csv", "traces_of_layers.csv", "finetuning.csv",
        "tensorboard/events.out.tfevents", "checkpoints/pretrained.pth", "run.json",
        "report.html", "report.md",
    }  # fmt: skip
    assert {name for name in there if not name.startswith("runs/")} == wanted


@pytest.mark.slow
def test_the_published_network_and_its_blocks_have_their_sizes(paper: Path) -> None:
    state = torch.load(paper / "models" / "batch_4.pth", weights_only=True)
    size = sum(v.numel() for n, v in state.items() if "running" not in n and "num_" not in n)
    assert size == 272_474
    assert np.load(paper / "eigen_vectors" / "batch_4.npz")["vectors"].shape == (10, size)
    assert np.load(paper / "pca_results" / "scores.npz")["scores"].shape[:2] == (30, 20)
    block = np.load(paper / "hessian_matrices" / "batch_0_last_layer.npz")["block"]
    assert block.shape == (650, 650)  # 64 features and a bias to each of ten classes
    assert len(pd.read_csv(paper / "finetuning.csv")) == 3  # before, and after each epoch


@pytest.mark.slow
def test_the_event_file_holds_the_scalars_and_the_four_pictures(paper: Path) -> None:
    content = (paper / "tensorboard" / "events.out.tfevents").read_bytes()
    for tag in (b"eigenvalue/index_10", b"hessian_batch/trace", b"clean/loss", b"clean/accuracy"):
        assert tag in content
    for name in FOUR:
        assert (paper / "plots" / f"{name}.png").read_bytes() in content
