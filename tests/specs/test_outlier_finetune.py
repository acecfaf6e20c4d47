"""The study of outlier fine-tuning as it is written: its sizes, its files, its settings."""

from __future__ import annotations

import itertools
import math
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[2]


def planned(folder: Path, profile: str | None) -> Any:
    from runner.running.journey import Wish, prepare

    spec = ROOT / "specs" / "outlier_finetune.toml"
    return prepare(Wish(spec, profile=profile, artifacts=folder)).plan


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return planned(tmp_path_factory.mktemp("artifacts"), "paper")


def paths(plan: Any, step: str) -> list[str]:
    return [node.plugin.path for node in plan.steps[step].nodes.values()]


@pytest.mark.parametrize("profile", [None, "smoke"])
def test_it_is_valid_in_every_size(tmp_path: Path, profile: str | None) -> None:
    plan = planned(tmp_path, profile)
    nodes = len(plan.steps["baseline"].nodes)
    assert nodes == {None: 15, "smoke": 4}[profile]


def test_the_paper_size_is_the_published_one(paper: Any) -> None:
    assert len(paper.steps["baseline"].nodes) == 25
    assert len(paper.steps["finetuned"].nodes) == 50
    assert len(paper.steps["fit"].nodes) == 5000
    assert len(paper.steps["fit_at_epoch"].nodes) == 1000
    base = next(iter(paper.steps["baseline"].nodes.values())).plugin
    tuned = next(iter(paper.steps["finetuned"].nodes.values())).plugin
    assert (base.steps, base.optimizer.adam.lr, base.loss) == (10_000, 1e-3, "mse")
    assert (tuned.steps, tuned.optimizer.adam.lr, tuned.loss) == (1000, 1e-4, "mse")
    assert tuned.checkpoints() == tuple(range(10, 1001, 10))


def test_files_are_named_as_earlier_scripts_name_them(paper: Any) -> None:
    assert "Scenario_1_Single/beta_2.0/epoch_10.png" in paths(paper, "fit_at_epoch")
    assert "Scenario_2_Multiple/beta_16.0/epoch_1000.png" in paths(paper, "fit_at_epoch")
    wanted = "Scenario_2_Multiple/beta_4.0/beta_local_fit_vs_epoch.png"
    assert wanted in paths(paper, "local_fit")
    assert "Scenario_1_Single/summary_metrics_vs_epoch.png" in paths(paper, "summary")
    assert paths(paper, "tradeoff") == ["summary_tradeoff_vs_beta.png"]
    assert paths(paper, "results_finetune") == ["results_finetune.pkl"]
    assert paths(paper, "results_base") == ["beta_base/results_base.pkl"]
    model = "beta_base/models/model_beta_2.0_seed_100_epoch_10000.pth"
    assert model in paths(paper, "base_models")
    assert len(paths(paper, "base_models")) == 25


def test_titles_are_as_itemised(paper: Any) -> None:
    one = next(iter(paper.steps["fit_at_epoch"].nodes.values())).plugin
    words = [panel.title.replace("\n", " ").partition("{")[0] for panel in one.panels]
    assert words == [
        "Fitted Function (Train: ",
        "Finetuning Impact (Avg. y_distortion_rms: ",
        "Spectrum Comparison (Avg. spectrum_error_ft: ",
    ]
    assert one.panels[2].y_limits == (1e-10, 10.0)
    title = next(iter(paper.steps["local_fit"].nodes.values())).plugin.title
    assert title == "Local Fit Error vs. Epoch (Beta=1.0, Scenario=Scenario_1_Single)"


def test_scenarios_are_three_outliers_or_one_written_with_pi(paper: Any) -> None:
    points = [node.plugin.points for node in paper.steps["outliers"].nodes.values()]
    assert points == [((0.0, 5.0),), ((0.0, 5.0), (math.pi / 2, -3.0), (-math.pi, 2.0))]


def test_every_scenario_starts_from_the_baseline(paper: Any) -> None:
    """BUG of earlier implementations: the second went on from the first one's weights."""
    for node in paper.steps["finetuned"].nodes.values():
        source = node.ports["model"].node
        assert source.label.startswith("baseline[")
        assert node.ports["model"].checkpoint == "last"


def documented(world: Any, number: int) -> Path:
    """Write a text of the study's page, as it stands, into a folder beside `specs`."""
    shutil.copytree(ROOT / "specs" / "parts", world.folder / "specs" / "parts")
    page = (ROOT / "docs" / "outlier_finetune.md").read_text("utf-8")
    spec = world.folder / "mine" / "study.toml"
    spec.parent.mkdir()
    spec.write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[number], "utf-8")
    return spec


def test_existing_baselines_are_fine_tuned_by_the_text_of_the_page(world: Any) -> None:
    """S0.3."""
    spec, x = documented(world, 0), np.linspace(-6.0, 6.0, 17)
    base = spec.parent / "figures" / "beta_base"
    (base / "models").mkdir(parents=True)
    points = {"x_train": x, "y_train": np.sin(x), "x_test": x / 2, "y_test": np.sin(x / 2)}
    (base / "results_base.pkl").write_bytes(pickle.dumps(points))
    outcome = world.cli("validate", spec)
    assert outcome.code == 2
    assert 'no such file "figures/beta_base/models/model_beta_1.0_seed_100' in outcome.err
    for beta, seed in itertools.product((1.0, 16.0), (100, 200)):
        net = torch.nn.Sequential(
            torch.nn.Linear(1, 100), torch.nn.Softplus(), torch.nn.Linear(100, 1)
        )
        weights = {f"net.{name}": value for name, value in net.state_dict().items()}
        torch.save(weights, base / "models" / f"model_beta_{beta}_seed_{seed}_epoch_10000.pth")
    outcome = world.cli("run", f"{spec}::metrics", "-n", 1, "--profile", "smoke")
    assert outcome.code == 0, outcome.out + outcome.err
    table = pd.read_csv(next(world.artifacts.rglob("metrics.csv")))
    assert table.groupby(["scenario", "beta", "seed"]).size().tolist() == 8 * [2]
    assert table["test_rms_base"].nunique() == 4  # each file's own weights


def test_the_page_draws_pictures_from_the_two_pickles(world: Any) -> None:
    """S0.15: what it draws is tested beside `fit_results`."""
    spec = documented(world, 1)
    (spec.parent / "beta_base").mkdir()
    for name in ("beta_base/results_base.pkl", "results_finetune.pkl"):
        (spec.parent / name).write_bytes(pickle.dumps({}))
    outcome = world.cli("validate", spec)
    assert (outcome.code, outcome.err) == (0, "")
