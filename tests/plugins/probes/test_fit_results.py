"""Existing results as tables: what two pickles hold comes back, and pictures need no training."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plugins.data.function_1d import Function1d
from plugins.models.mlp import Mlp
from plugins.perturbations.append_points import AppendPoints
from plugins.probes.fit_metrics import Fit, FitMetrics
from plugins.probes.fit_results import FitResults
from plugins.renderers.nested import Nested
from runner import Circumstance, RunnerError, Seed, Table
from runner.parameters import InputFile, file_digest

ROOT = Path(__file__).parents[3]
CELL = {"beta": 2.0, "seed": 100, "scenario": "Scenario_1_Single", "epoch": 10, "base_epoch": 5}
KEYS = ["beta", "seed", "scenario", "epoch"]


def measured(keep: bool = True) -> Fit:
    data = Function1d(train=9, test=40).run(Seed(0))
    base, tuned = (Mlp(hidden=(4,)).shaped_for(data).initialise(Seed(at)) for at in (1, 2))
    outliers = AppendPoints(points=((0.0, 5.0),), keep=keep).run(data)
    return FitMetrics(order=12).run(tuned, base, outliers, data, Circumstance())


def exported(folder: Path, fit: Fit, betas: tuple[float, ...] = (2.0,)) -> None:
    """Write both files as the study's own renderers do."""
    import tomllib

    files = {"results_base": "outlier_finetune.toml",
             "results_finetune": "parts/_outlier_tuning.toml"}  # fmt: skip
    parts = (fit.metrics, fit.curves, fit.spectrum)
    cells = [CELL | {"beta": beta, "seed": seed} for beta in betas for seed in (100, 200)]
    tables = [Table.of(pd.concat([part.frame.assign(**cell) for cell in cells])) for part in parts]
    for name, file in files.items():
        wish = tomllib.loads((ROOT / "specs" / file).read_text("utf-8"))["renderers"][name]
        given = {k: v for k, v in wish.items() if k in Nested.model_fields}
        plugin = Nested.model_validate_json(json.dumps(given), strict=True)
        path = folder / Path(plugin.path).name
        path.write_bytes(plugin.run(*tables).contents[".pkl"])


def read(folder: Path, **parameters: Any) -> Fit:
    files = {
        name: InputFile(folder / file, file_digest(folder / file))
        for name, file in (("base", "results_base.pkl"), ("results", "results_finetune.pkl"))
    }
    cell = {"seed_label" if name == "seed" else name: value for name, value in CELL.items()}
    return FitResults(**files | cell | parameters).run()


def test_what_the_study_exports_comes_back(tmp_path: Path) -> None:
    fit = measured()
    exported(tmp_path, fit)
    found = read(tmp_path)
    for name in ("y_distortion_rms", "train_rms_ft", "far_near_ratio", "test_rms_base"):
        assert found.metrics.columns[name] == pytest.approx(fit.metrics.columns[name])
    assert np.isnan(found.metrics.columns["train_rms_base"]).all()  # no file holds it
    own, ours = found.curves.frame, fit.curves.frame
    assert own["part"].tolist() == ours["part"].tolist()
    assert own["tuned_on"].tolist() == ours["tuned_on"].tolist()
    here = ours["part"] != "appended"
    for name in ("x", "y", "base", "ft", "change"):
        assert np.allclose(own[name][here], ours[name][here])
    for name, values in fit.spectrum.columns.items():
        assert np.allclose(found.spectrum.columns[name], values)


def test_outliers_alone_are_told_from_outliers_after_the_training_points(tmp_path: Path) -> None:
    exported(tmp_path, measured(keep=False))
    frame = read(tmp_path).curves.frame
    assert frame[frame["tuned_on"]]["part"].tolist() == ["appended"]


def test_a_cell_that_the_files_lack_is_told_with_what_they_have(tmp_path: Path) -> None:
    exported(tmp_path, measured())
    with pytest.raises(RunnerError, match=r"results_base\.pkl has no 3\.0; it has 2\.0"):
        read(tmp_path, beta=3.0)
    with pytest.raises(RunnerError, match=r"results_finetune\.pkl has no 20; it has 10"):
        read(tmp_path, epoch=20)


def test_a_missing_file_is_told_with_the_step_that_makes_it(shared_world: Any) -> None:
    """S0.16."""
    with pytest.raises(RunnerError) as told:
        shared_world.plan(FIGURES)
    for name in ("results_base", "results_finetune"):
        assert f'no such file "{name}.pkl"' in str(told.value)
        assert f"[renderers.{name}] of specs/outlier_finetune.toml writes it" in str(told.value)


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_results_that_would_execute_are_refused(tmp_path: Path) -> None:
    exported(tmp_path, measured())
    (tmp_path / "results_finetune.pkl").write_bytes(pickle.dumps({2.0: Trap(tmp_path / "trap")}))
    with pytest.raises(RunnerError, match=r"names '.*mkdir'"):
        read(tmp_path)
    assert not (tmp_path / "trap").exists()


FIGURES = f"""
extends = "{ROOT / "specs" / "parts" / "_outlier_figures.toml"}"
title = "t"
[axes]
beta = [1.0, 2.0]
seed = [100, 200]
epoch = [10]
[axes.scenario.Scenario_1_Single]
name = "Scenario_1_Single"
[probes.fit]
use = "fit_results"
base = "results_base.pkl"
results = "results_finetune.pkl"
beta = "$beta"
seed_label = "$seed"
scenario = "$scenario"
epoch = "$epoch"
base_epoch = 5
[renderers.tradeoff]
where = {{ epoch = 10 }}
"""


def test_every_picture_is_drawn_from_the_two_pickles_alone(world: Any) -> None:
    exported(world.folder, measured(), (1.0, 2.0))
    done = world.cli("run", world.spec(FIGURES), "-n", 1)
    assert done.code == 0, done.out + done.err
    found = {str(p.relative_to(world.artifacts)) for p in world.artifacts.rglob("*.png")}
    folder = "study/Scenario_1_Single"
    assert found == {
        "study/summary_tradeoff_vs_beta.png", f"{folder}/summary_metrics_vs_epoch.png",
        *(f"{folder}/beta_{b}/epoch_10.png" for b in ("1.0", "2.0")),
        *(f"{folder}/beta_{b}/beta_local_fit_vs_epoch.png" for b in ("1.0", "2.0")),
    }  # fmt: skip
