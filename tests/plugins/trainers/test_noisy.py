"""Training under fresh noise: what is drawn when, closed forms of the losses, kills, disks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plugins.data.synthetic_spectra import SyntheticSpectra
from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.maths.networks.head_shape import HeadShape
from plugins.maths.spectra.noise import fixed_noise, fresh_noise
from plugins.maths.training import denoising, fitting
from plugins.maths.training.noisy_rows import NoisyRows
from plugins.models.blindspot_unet1d import BlindspotUnet1d
from plugins.models.encoder_head import EncoderHead
from plugins.models.labelled_denoiser import LabelledDenoiser
from plugins.trainers.noisy import Noisy
from runner import Circumstance, Dataset, RunnerError, Seed
from runner.arrays import LazyArray

SHAPE = BlindspotShape(layers=3, width=4, kernel=3)
SEED = Seed(0)


@pytest.fixture(scope="module")
def stars() -> Dataset:
    return SyntheticSpectra(train=90, val=70, test=20, pixels=32).run(SEED, Circumstance())


def trainer(**more: Any) -> Noisy:
    optimizer = {"adam": {"lr": 5e-3}}
    return Noisy.model_validate({"epochs": 2, "batch": 32, "optimizer": optimizer, **more})


def same(first: Any, second: Any) -> bool:
    return all(torch.equal(first.weights[k], second.weights[k]) for k in first.weights)


# -- noise ---------------------------------------------------------------------------------------


def test_the_noise_of_evaluation_belongs_to_the_row() -> None:
    whole = fixed_noise(SEED, "val", 0, 200, 8)
    assert np.array_equal(fixed_noise(SEED, "val", 70, 131, 8), whole[70:131])
    assert not np.array_equal(fixed_noise(SEED, "test", 0, 200, 8), whole)
    assert abs(whole.std() - 1) < 0.1  # 1,600 draws: a standard error of 0.018


def test_the_noise_of_training_belongs_to_the_step() -> None:
    first = fresh_noise(SEED, 5, 4, 8)
    assert torch.equal(first, fresh_noise(Seed(0), 5, 4, 8))
    assert not torch.equal(first, fresh_noise(SEED, 6, 4, 8))


def test_a_row_has_fresh_noise_at_every_step_and_one_in_evaluation(stars: Dataset) -> None:
    """S1 (e): train noise is redrawn per step, that of val and test is fixed."""
    rows = NoisyRows.of(stars["val"], "val", (), 1.0, SEED)
    batches = rows.batches(None, SEED)
    (first, _), (second, _) = batches.at(0), batches.at(1)
    error = torch.sort(first[:, 1].sum(1)).values
    assert torch.allclose(error, torch.sort(second[:, 1].sum(1)).values)  # the same stars
    assert not torch.equal(
        torch.sort(first[:, 0].sum(1)).values, torch.sort(second[:, 0].sum(1)).values
    )
    kept = [torch.cat([x for x, _ in rows.kept()]) for _ in range(2)]
    assert torch.equal(*kept)


def test_noise_is_the_error_times_the_level(stars: Dataset) -> None:
    rows = NoisyRows.of(stars["val"], "val", (), 2.0, SEED)
    x, y = next(rows.kept())
    noise = torch.from_numpy(fixed_noise(SEED, "val", 0, 64, x.shape[-1]))
    clean, error = (torch.from_numpy(stars.splits["val"][k][:64]) for k in ("flux", "error"))
    assert torch.allclose(x[:, 0], clean + 2 * error * noise)
    assert torch.equal(x[:, 1], error)
    assert torch.allclose(y, torch.stack([clean, x[:, 0], 2 * error], 1))


# -- losses --------------------------------------------------------------------------------------


def parts() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    output = torch.rand(5, 2, 7, generator=draw, dtype=torch.float64) + 0.1
    return output, torch.rand(5, 3, 7, generator=draw, dtype=torch.float64) + 0.1


def test_losses_are_the_likelihoods_they_name() -> None:
    output, y = parts()
    mean, variance = output.unbind(1)
    clean, noisy, error = y.unbind(1)
    total = variance + error**2
    normal = torch.distributions.Normal(mean, total.sqrt())
    assert torch.allclose(denoising.e2(output, y), -normal.log_prob(noisy).mean())
    laplace = torch.distributions.Laplace(mean, (total / 2).sqrt())
    assert torch.allclose(denoising.e1(output, y), -laplace.log_prob(noisy).mean())
    centre = (variance * noisy + error**2 * mean) / total
    supervised = torch.distributions.Laplace(centre, (total / 2).sqrt())
    assert torch.allclose(denoising.t1(output, y), -supervised.log_prob(clean).mean())


def test_the_posterior_is_between_prediction_and_pixel() -> None:
    output, y = parts()
    sure = torch.stack([output[:, 0], torch.full_like(output[:, 1], 1e-12)], 1)
    assert torch.allclose(denoising.posterior(sure, y), output[:, 0])
    unsure = torch.stack([output[:, 0], torch.full_like(output[:, 1], 1e12)], 1)
    assert torch.allclose(denoising.posterior(unsure, y), y[:, 1])


# -- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["E2", "E1", "T1"])
def test_a_denoiser_learns_and_is_told_by_its_columns(stars: Dataset, loss: str) -> None:
    found = trainer(loss=loss, epochs=4).run(
        BlindspotUnet1d(shape=SHAPE), stars, SEED, Circumstance()
    )
    history = found.history.columns
    metrics = ("loss", "rmse", "rmse_noisy")
    told = {f"{split}_{name}" for split in ("train", "val") for name in metrics}
    assert set(history) == {"step", "lr"} | told
    assert history["step"] == [0, 3, 6, 9, 12]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert len(set(history["val_rmse_noisy"])) == 1  # the same noise at each evaluation


def test_metrics_are_over_the_whole_split(stars: Dataset) -> None:
    """S1.13; 70 rows are two pieces of evaluation."""
    design = BlindspotUnet1d(shape=SHAPE)
    found = trainer(steps=1, epochs=None).run(design, stars, SEED, Circumstance())
    rows = NoisyRows.of(stars["val"], "val", (), 1.0, SEED)
    x, y = (torch.cat(part) for part in zip(*rows.kept(), strict=True))
    with torch.no_grad():
        output = found.last.module()(x)
    clean = y[:, 0]
    rmse = (denoising.posterior(output, y) - clean).square().mean().sqrt()
    assert math.isclose(found.history.columns["val_rmse"][-1], float(rmse), rel_tol=1e-5)
    loss = float(denoising.e2(output, y))
    assert math.isclose(found.history.columns["val_loss"][-1], loss, rel_tol=1e-5)


def head_of(stars: Dataset) -> Any:
    encoder = BlindspotUnet1d(shape=SHAPE).initialise(SEED)
    return EncoderHead(head=HeadShape(hidden=8), pool={"kind": "global_mean"}).run(
        encoder, SEED, stars
    )


def test_a_head_is_trained_on_labels_and_its_frozen_encoder_stays(stars: Dataset) -> None:
    start = head_of(stars)
    recipe = trainer(
        loss="mse", epochs=6, best={"monitor": "val_r2", "mode": "max"}, clip=0.5,
        early_stopping={"monitor": "val_r2", "mode": "max", "patience": 15},
        schedule={"plateau": {"monitor": "val_r2", "mode": "max"}},
    )  # fmt: skip
    found = recipe.run(start, stars, SEED, Circumstance())
    history = found.history.columns
    assert {"val_r2", "val_rmse", "val_mae"} <= set(history)
    assert history["step"][0] == 0  # S1.11: the network before training is evaluated
    assert history["val_r2"][-1] > history["val_r2"][0]
    for name, value in start.weights.items():
        assert torch.equal(found.last.weights[name], value) == name.startswith("encoder.")


def test_r2_is_one_minus_residual_over_total(stars: Dataset) -> None:
    start = head_of(stars)
    found = trainer(loss="mse", steps=1, epochs=None).run(start, stars, SEED, Circumstance())
    rows = NoisyRows.of(stars["val"], "val", ("log_g",), 1.0, SEED)
    x, y = (torch.cat(part) for part in zip(*rows.kept(), strict=True))
    with torch.no_grad():
        away = found.last.module()(x) - y
    r2 = 1 - away.square().sum() / (y - y.mean()).square().sum()
    assert math.isclose(found.history.columns["val_r2"][-1], float(r2), rel_tol=1e-4)


# -- a loss of labels beside the denoiser's ------------------------------------------------------


def labelled(stars: Dataset, **more: Any) -> Any:
    design = LabelledDenoiser(shape=SHAPE, pool={"kind": "global_mean"}, outputs=2)
    recipe = trainer(**{"targets": ("log_g", "t_eff"), "label_weight": 0.5, **more})
    return recipe.run(design, stars, SEED, Circumstance())


def test_a_denoiser_learns_labels_beside_its_loss(stars: Dataset) -> None:
    found = labelled(stars, epochs=6).history.columns
    assert found["val_label_r2"][-1] > found["val_label_r2"][0]
    assert found["val_rmse"][-1] < found["val_rmse"][0]


def test_the_loss_of_labels_is_their_error_in_training_deviations(stars: Dataset) -> None:
    last = labelled(stars, steps=1, epochs=None)
    train, val = (
        np.stack([stars[split][k] for k in ("log_g", "t_eff")], 1).astype(np.float64)
        for split in ("train", "val")
    )
    true = torch.from_numpy((val - train.mean(0)) / train.std(0))
    rows = NoisyRows.of(stars["val"], "val", (), 1.0, SEED)
    x, y = (torch.cat(part) for part in zip(*rows.kept(), strict=True))
    with torch.no_grad():
        spectra, guess = last.last.module()(x)
    square = (guess - true).square()
    wanted = float(denoising.e2(spectra, y)) + 0.5 * float(square.mean())
    assert math.isclose(last.history.columns["val_loss"][-1], wanted, rel_tol=1e-5)
    r2 = 1 - square.sum() / (true - true.mean(0)).square().sum()
    assert math.isclose(last.history.columns["val_label_r2"][-1], float(r2), rel_tol=1e-4)


def test_the_labels_reach_the_encoder(stars: Dataset) -> None:
    heavy, light = (labelled(stars, steps=3, epochs=None, label_weight=w) for w in (50.0, 1e-9))
    name = "encoder.enter.conv.weight"
    assert not torch.allclose(heavy.last.weights[name], light.last.weights[name])


class OnDisk(LazyArray):
    """Stands for an array on disk."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def rows(self, start: int, stop: int) -> Any:
        return self.array[start:stop]


def test_spectra_on_disk_train_to_the_same_bits(stars: Dataset) -> None:
    lazy = {
        name: {k: OnDisk(v) if k in ("flux", "error") else v for k, v in split.items()}
        for name, split in stars.splits.items()
    }
    held, read = (
        trainer().run(BlindspotUnet1d(shape=SHAPE), data, SEED, Circumstance())
        for data in (stars, Dataset(lazy, stars.about))
    )
    assert same(held.last, read.last)


def test_a_killed_run_goes_on_to_the_same_bits(
    stars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_REPORTS", 0.0)
    whole = trainer().run(BlindspotUnet1d(shape=SHAPE), stars, SEED, Circumstance())

    class KillError(Exception):
        pass

    def die(done: float, total: float, unit: str) -> None:
        if done >= 4:
            raise KillError

    here = Circumstance(scratch=tmp_path / "scratch", progress=die)
    with pytest.raises(KillError):
        trainer().run(BlindspotUnet1d(shape=SHAPE), stars, SEED, here)
    assert (tmp_path / "scratch" / "resume.safetensors").exists()
    again = Circumstance(scratch=tmp_path / "scratch")
    found = trainer().run(BlindspotUnet1d(shape=SHAPE), stars, SEED, again)
    assert same(found.last, whole.last)
    assert found.history.columns == whole.history.columns


def test_missing_arrays_and_splits_are_named(stars: Dataset) -> None:
    design = BlindspotUnet1d(shape=SHAPE)
    with pytest.raises(RunnerError, match="no split 'dev'"):
        trainer(evaluate=("dev",), best={"monitor": "train_loss"}).run(
            design, stars, SEED, Circumstance()
        )
    with pytest.raises(RunnerError, match="no array 'redshift'"):
        trainer(loss="mse", targets=("redshift",)).run(head_of(stars), stars, SEED, Circumstance())


def test_a_monitor_must_be_a_column_of_the_loss() -> None:
    wrong = trainer(best={"monitor": "val_r2", "mode": "max"}).check_parameters()
    assert wrong is not None
    assert "val_r2" in wrong
    assert trainer(loss="mse", best={"monitor": "val_r2"}).check_parameters() is None
    assert trainer(label_weight=1.0, best={"monitor": "val_label_r2"}).check_parameters() is None
    twice = trainer(loss="mse", label_weight=1.0, best={"monitor": "val_r2"})
    assert "labels alone" in str(twice.check_parameters())
