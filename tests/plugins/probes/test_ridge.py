"""Ridge, networks' metrics, and what sums them up."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from plugins.data.synthetic_spectra import SyntheticSpectra
from plugins.models.probe_head import ProbeHead
from plugins.perturbations.spectra_inputs import SpectraInputs
from plugins.probes.mean_interval import MeanInterval
from plugins.probes.regression_metrics import RegressionMetrics
from plugins.probes.ridge import Ridge
from plugins.probes.split_overlap import SplitOverlap
from plugins.probes.training_epochs import TrainingEpochs
from plugins.probes.weights_changed import WeightsChanged
from runner import Circumstance, Dataset, Network, RunnerError, Seed, Table

HERE = Circumstance()


def linear(noise: float = 0.0, targets: int = 1, rows: int = 300) -> Dataset:
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(6, targets))
    splits = {}
    for name in ("train", "val", "test"):
        x = draw.normal(2.0, 3.0, (rows, 6))
        y = x @ weights + 1.0 + noise * draw.normal(size=(rows, targets))
        splits[name] = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
    return Dataset(splits, {"targets": [f"t{at}" for at in range(targets)]})


def test_what_is_linear_is_found_whole() -> None:
    frame = Ridge().run(linear(targets=2)).metrics.frame
    assert len(frame) == 6
    assert (frame.r2 > 1 - 1e-5).all()
    assert set(frame.target) == {"t0", "t1"}


def test_it_is_the_closed_form_on_standardised_features() -> None:
    data = linear(noise=2.0)
    train, test = data.splits["train"], data.splits["test"]
    mean, std = train["x"].astype(float).mean(0), train["x"].astype(float).std(0)
    x, y = (train["x"] - mean) / std, train["y"].astype(float)
    weights = np.linalg.solve(x.T @ x + 30.0 * np.eye(6), x.T @ (y - y.mean()))
    wanted = (test["x"] - mean) / std @ weights + y.mean()
    found = Ridge(alpha=30.0).run(data).predictions.frame
    assert np.allclose(found.predicted, wanted[:, 0], atol=1e-4)


def test_a_feature_that_varies_by_rounding_alone_is_left_out() -> None:
    """Standardised, the last digit of a constant would be a feature as large as any other."""
    wanted = Ridge().run(linear(noise=1.0)).metrics.frame
    data = linear(noise=1.0)
    for name, split in data.splits.items():
        constant = np.full(len(split["x"]), 0.3, np.float32)
        constant[-20:] = np.nextafter(constant[-20:], np.float32(1 if name == "train" else 0))
        split["x"] = np.column_stack([split["x"], constant, np.zeros_like(constant)])
    found = Ridge().run(data).metrics.frame
    assert np.allclose(found.r2, wanted.r2, rtol=1e-12)


def test_features_that_nearly_repeat_each_other_are_solved_in_double_precision() -> None:
    wanted = Ridge().run(linear(noise=1.0)).metrics.frame
    data = linear(noise=1.0)
    for split in data.splits.values():
        x = split["x"].astype(np.float64)
        split["x"] = np.column_stack([x, x + 1e-5 * x[:, ::-1]]).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # sklearn warns of a matrix that it cannot solve
        frame = Ridge(alpha=1e-3).run(data).metrics.frame
    assert np.allclose(frame.r2, wanted.r2, atol=0.01)


def test_no_varying_feature_is_an_error() -> None:
    data = linear()
    data.splits["train"]["x"] = np.ones_like(data.splits["train"]["x"])
    with pytest.raises(RunnerError, match="no feature varies"):
        Ridge().run(data)


def test_metrics_are_consistent_with_each_other_and_the_predictions() -> None:
    """S1 (g): RMSE^2 = MSE, and variance = MSE / (1 - R2)."""
    found = Ridge().run(linear(noise=1.0))
    row = found.metrics.frame.query("split == 'test'").iloc[0]
    frame = found.predictions.frame
    assert math.isclose(row.rmse**2, row.mse)
    assert math.isclose(row.mse / (1 - row.r2), frame.true.var(ddof=0), rel_tol=1e-9)
    assert math.isclose(row.mae, (frame.true - frame.predicted).abs().mean(), rel_tol=1e-9)


@pytest.fixture(scope="module")
def leaks() -> dict[str, float]:
    found = {}
    for model in ("continuum", "clean_flux"):
        made = SyntheticSpectra(train=1500, val=10, test=300, pixels=256, error_model=model)
        data = SpectraInputs(part="error").run(made.run(Seed(0), HERE), Seed(0))
        frame = Ridge().run(data).metrics.frame
        found[model] = float(frame[frame.split == "test"].r2.iloc[0])
    return found


def test_the_control_finds_errors_that_leak_and_no_others(leaks: dict[str, float]) -> None:
    """S1 (h): -0.002 when the error uses the continuum, 0.936 when it uses the clean flux."""
    assert leaks["clean_flux"] > 0.5
    assert leaks["continuum"] < 0.1


def test_a_network_is_measured_in_the_labels_units() -> None:
    data = linear()
    about = {**data.about, "target_mean": [10.0], "target_std": [2.0]}
    network = ProbeHead(channels=6, positions=1, outputs=1, head={"kind": "linear"}).initialise(
        Seed(0)
    )
    found = RegressionMetrics().run(network, Dataset(data.splits, about), Seed(0), HERE)
    split = data.splits["val"]
    with torch.no_grad():
        guess = network.module()(torch.from_numpy(split["x"])).numpy() * 2 + 10
    rmse = float(np.sqrt(np.mean((guess - (split["y"] * 2 + 10)) ** 2)))
    frame = found.metrics.frame
    assert math.isclose(frame[frame.split == "val"].rmse.iloc[0], rmse, rel_tol=1e-5)


def test_outputs_that_do_not_fit_are_refused() -> None:
    network = ProbeHead(channels=6, positions=1, outputs=2).initialise(Seed(0))
    with pytest.raises(RunnerError, match=r"outputs .* and targets .* differ"):
        RegressionMetrics().run(network, linear(), Seed(0), HERE)
    with pytest.raises(RunnerError, match="neither x and y nor flux"):
        RegressionMetrics().run(network, Dataset({"train": {"z": np.ones(3)}}), Seed(0), HERE)


def test_shared_rows_are_counted() -> None:
    """S1.7: no overlap was ever checked."""
    rows = np.arange(20.0).reshape(10, 2)
    data = Dataset({
        "train": {"x": rows}, "val": {"x": rows[8:] + 0.5}, "test": {"x": rows[[3, 3, 9]]},
    })  # fmt: skip
    frame = SplitOverlap().run(data).frame.set_index(["first", "second"])
    assert frame.loc[("train", "val"), "shared"] == 0
    assert frame.loc[("train", "test"), "shared"] == 3
    assert frame.loc[("train", "test"), "repeated"] == 1
    with pytest.raises(RunnerError, match="no array 'flux'"):
        SplitOverlap(by=("flux",)).run(data)


def test_a_change_of_a_weight_or_a_buffer_is_seen() -> None:
    class Model(ProbeHead):
        def build(self):
            return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))

    start = Model().initialise(Seed(0))
    same = WeightsChanged().run(start, start).columns
    assert (same["weight_change"], same["buffer_change"]) == ([0.0], [0.0])
    assert same["parameters"] == same["trainable"] == same["compared"] == [10]
    weights = {k: v.clone() for k, v in start.weights.items()}
    weights["0.weight"][0, 1] += 0.25
    weights["1.running_mean"][0] -= 3
    moved = WeightsChanged().run(Network(start.architecture, weights), start).columns
    assert math.isclose(moved["weight_change"][0], 0.25, rel_tol=1e-6)
    assert moved["buffer_change"] == [3.0]
    with pytest.raises(RunnerError, match=r"no tensor of the model begins 'encoder\.'"):
        WeightsChanged(prefix="encoder.").run(start, start)


def test_epochs_are_counted_both_ways_and_the_first_best_is_marked() -> None:
    """S1 (g): epoch 1..50 after a check at 0, while the file name's epoch counts from 0."""
    r2 = [-6.6, 0.3, 0.6, 0.6, 0.5]
    columns = {"step": [0, 3, 6, 9, 12], "val_r2": r2, "lr": [1e-3] * 5, "train_loss": [5.0] * 5}
    columns |= {f"val_{name}": [1.0] * 5 for name in ("loss", "rmse", "mae")}
    frame = TrainingEpochs().run(Table(columns)).frame
    assert frame.epoch.tolist() == [0, 1, 2, 3, 4]
    assert frame.epoch_from_0.tolist() == [-1, 0, 1, 2, 3]
    assert frame.best.tolist() == [False, False, True, False, False]


def test_the_interval_is_students() -> None:
    values = [0.50, 0.52, 0.57]
    found = MeanInterval().run(Table({"r2": values})).columns
    reach = 4.302652729911275 * np.std(values, ddof=1) / math.sqrt(3)  # t of 2 degrees, 0.975
    assert math.isclose(found["high"][0] - found["mean"][0], reach, rel_tol=1e-9)
    assert (found["least"], found["most"], found["repeats"]) == ([0.50], [0.57], [3])
    assert math.isnan(MeanInterval().run(Table({"r2": [0.5]})).columns["low"][0])
    with pytest.raises(ValueError, match="no rows, or some that are not finite"):
        MeanInterval().run(Table({"r2": [0.5, float("nan")]}))
