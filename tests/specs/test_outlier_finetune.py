"""The study of outlier fine-tuning as it is written: its sizes, its files, its settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

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
