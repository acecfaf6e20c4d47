"""The study of log g as it is written: its sizes, its files, and its two layouts of real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from plugins.maths.spectra.stars import Survey
from runner.types import Seed

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "logg_probe.toml"


def planned(folder: Path, profile: str | None = None) -> Any:
    from runner.running.journey import Wish, prepare

    return prepare(Wish(SPEC, profile=profile, artifacts=folder)).plan


def first(plan: Any, step: str) -> Any:
    return next(iter(plan.steps[step].nodes.values())).plugin


def files(folder: Path, layout: str, rows: int = 160, pixels: int = 200) -> Path:
    """Write the three published files in small, in a layout."""
    survey = Survey(pixels=pixels)
    for name, count in (("train_100k", rows), ("train_1k", 40), ("val_1k", 40)):
        stars = survey.block(Seed(5), name, 0)
        labels = {
            "T_eff": stars.labels["t_eff"], "log_g": stars.labels["log_g"],
            "M_H": stars.labels["m_h"],
        }  # fmt: skip
        (folder / name).mkdir(parents=True)
        with h5py.File(folder / name / "dataset.h5", "w") as file:
            grouped = layout == "grouped"
            file["spectrumdataset/wave" if grouped else "wave"] = np.linspace(7100, 8850, pixels)
            for key in ("flux", "error"):
                place = f"dataset/arrays/{key}/value" if grouped else key
                file[place] = getattr(stars, key)[:count]
            if not grouped:
                for key, values in labels.items():
                    file[key] = values[:count]
                continue
            group = file.create_group("params")
            group.attrs["pandas_type"] = b"frame"
            group.attrs["nblocks"] = 1
            group["block0_items"] = np.array(list(labels), "S")
            group["block0_values"] = np.stack([v[:count] for v in labels.values()], 1)
            group["block0_values"].attrs["transposed"] = True
    return folder


@pytest.mark.parametrize("profile", [None, "smoke"])
def test_it_is_valid_in_every_size(tmp_path: Path, profile: str | None) -> None:
    plan = planned(tmp_path, profile)
    seeds = {None: 3, "smoke": 2}[profile]
    assert len(plan.steps["ridge"].nodes) == seeds * 6  # S1.3: the six rows, for each seed
    assert len(plan.steps["network_trained"].nodes) == seeds * 2


def test_the_paper_size_is_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECTRA", str(files(tmp_path, "flat")))
    plan = planned(tmp_path / "artifacts", "paper")
    unet = first(plan, "unet").shape
    assert (unet.layers, unet.width, unet.kernel) == (9, 48, 25)
    assert not unet.first_guess
    assert not first(plan, "head").head.normalise
    denoiser = first(plan, "denoiser")
    assert (denoiser.loss, denoiser.batch, denoiser.optimizer.adam.lr) == ("T1", 128, 5e-4)
    plateau = denoiser.schedule.plateau
    assert (plateau.factor, plateau.patience, denoiser.epochs) == (0.8, 50, 5000)
    head = first(plan, "network_trained")
    assert (head.optimizer.adamw.lr, head.optimizer.adamw.weight_decay) == (1e-3, 1e-4)
    assert (head.batch, head.epochs, head.clip) == (256, 50, 0.5)
    assert (head.early_stopping.patience, head.early_stopping.monitor) == (15, "val_r2")
    assert (head.schedule.plateau.factor, head.schedule.plateau.patience) == (0.5, 5)


def test_missing_published_files_are_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any
) -> None:
    monkeypatch.setenv("SPECTRA", str(tmp_path))
    outcome = world.cli("validate", SPEC, "--profile", "paper")
    assert outcome.code == 2
    assert "train_100k/dataset.h5" in outcome.err
    assert "not public" in outcome.err


def test_the_hypotheses_are_the_studys_three(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    names = {name for name, step in plan.steps.items() if step.bound.step.family == "hypotheses"}
    assert names >= {"non_linear_beats_linear", "end_to_end_helps", "frozen_reaches_ridge"}


SMALLER = (
    "axes.seed=[0]", "axes.layer=['enc_pre_latent']", "axes.pooling=['segment_mean']",
    "axes.head=['mlp_1']", "axes.fold=[0, 1, 2]", "perturbations.folded.folds=3",
    "models.unet.shape={layers=4, width=4, kernel=5}", "trainers.denoiser.epochs=1",
    "models.informed.shape={layers=4, width=4, kernel=5}",
    "trainers.head_trained.epochs=1", "trainers.network_trained.epochs=1",
    "data.control.train=600", "data.control.pixels=64",
    "expect.it_denoises.check=min(val_rmse) > 0",  # two steps teach it nothing
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["flat", "grouped"])
def test_the_paper_profile_runs_through_on_small_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any, layout: str
) -> None:
    """The published files' places and layouts, the published path; sizes of the networks cut."""
    monkeypatch.setenv("SPECTRA", str(files(tmp_path / "spectra", layout)))
    options = [part for text in SMALLER for part in ("--set", text)]
    outcome = world.cli(
        "run", SPEC, "--profile", "paper", "-n", "1", "--artifacts", tmp_path / "a", *options
    )
    assert "failed" not in outcome.out.replace("expectation", ""), outcome.out
    views = tmp_path / "a" / "logg_probe"
    for name in (
        "ridge_table.md", "method_table.md", "comparison_table.md", "encoder_table.md",
        "training_frozen.png", "predicted_against_true.png",
        "evals/logg_from_encoder_results.csv", "logs/frozen_seed0.csv", "report.md",
        "checkpoints/logg_from_encoder/frozen_seed0_best.safetensors",
    ):  # fmt: skip
        assert (views / name).is_file(), name


@pytest.mark.slow
def test_the_smoke_size_holds_its_expectations(tmp_path: Path, world: Any) -> None:
    outcome = world.cli("run", SPEC, "--profile", "smoke", "-n", "1", "--artifacts", tmp_path / "a")
    assert outcome.code == 0, outcome.out
