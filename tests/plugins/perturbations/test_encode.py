"""Features of spectra, pooled and dealt into folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from plugins.data.synthetic_spectra import SyntheticSpectra
from plugins.maths.networks.blindspot_shape import BlindspotShape
from plugins.maths.networks.head_shape import PoolShape
from plugins.maths.spectra.noise import fixed_noise
from plugins.models.blindspot_unet1d import BlindspotUnet1d
from plugins.models.encoder_head import EncoderHead
from plugins.models.probe_head import ProbeHead
from plugins.perturbations.encode import Encode
from plugins.perturbations.fold import Fold
from plugins.perturbations.pool_features import PoolFeatures
from plugins.perturbations.spectra_inputs import SpectraInputs
from runner import Circumstance, Dataset, RunnerError, Seed

SEED = Seed(0)
ENCODER = BlindspotUnet1d(shape=BlindspotShape(layers=3, width=4, kernel=3)).initialise(Seed(1))


@pytest.fixture(scope="module")
def stars() -> Dataset:
    return SyntheticSpectra(train=90, val=20, test=70, pixels=64).run(SEED, Circumstance())


@pytest.fixture(scope="module")
def features(stars: Dataset) -> Dataset:
    return Encode().run(ENCODER, stars, SEED, Circumstance())


def test_features_are_those_of_the_noisy_spectra(stars: Dataset, features: Dataset) -> None:
    split = stars.splits["test"]
    noisy = split["flux"] + split["error"] * fixed_noise(SEED, "test", 0, 70, 54)
    x = torch.from_numpy(np.stack([noisy, split["error"]], 1))
    with torch.no_grad():
        wanted = ENCODER.module().encode(x, "enc_last").numpy()
    assert np.allclose(features.splits["test"]["enc_last"], wanted, atol=1e-5)
    assert features.splits["train"]["enc_pre_latent"].shape == (90, 4, 13)
    assert np.array_equal(features.splits["val"]["log_g"], stars.splits["val"]["log_g"])
    assert (features.about["channels"], features.about["positions"]) == (4, 13)


def test_a_network_of_encoder_and_head_is_encoded_by_its_encoder(
    stars: Dataset, features: Dataset
) -> None:
    network = EncoderHead().run(ENCODER, SEED, stars)
    found = Encode(layers=("enc_last",)).run(network, stars, SEED, Circumstance())
    assert np.array_equal(found.splits["val"]["enc_last"], features.splits["val"]["enc_last"])
    head = ProbeHead(channels=2, positions=1, outputs=1).initialise(SEED)
    with pytest.raises(RunnerError, match="network with an encoder, not a ProbeHead"):
        Encode().run(head, stars, SEED, Circumstance())


@pytest.mark.parametrize(
    ("kind", "width"), [("global_mean", 4), ("mean_max", 8), ("segment_mean", 32)]
)
def test_pooled_features_become_inputs_of_a_head(features: Dataset, kind: str, width: int) -> None:
    data = PoolFeatures(pool=PoolShape(kind=kind)).run(features)
    assert data.splits["train"]["x"].shape == (90, width)
    assert data.splits["train"]["y"].shape == (90, 1)
    head = ProbeHead().shaped_for(data).initialise(SEED).module()
    assert head(torch.from_numpy(data.splits["val"]["x"])).shape == (20, 1)


def test_positions_are_kept_for_a_head_that_pools(features: Dataset) -> None:
    data = PoolFeatures(pool=PoolShape(kind="none")).run(features)
    assert data.splits["test"]["x"].shape == (70, 4, 13)
    head = ProbeHead(pool=PoolShape(kind="attention")).shaped_for(data).initialise(SEED).module()
    assert head(torch.from_numpy(data.splits["val"]["x"])).shape == (20, 1)
    assert PoolFeatures(pool=PoolShape(kind="attention")).check_parameters() is not None


def test_scaling_is_that_of_the_training_split(features: Dataset) -> None:
    plain = PoolFeatures(targets=("t_eff", "log_g")).run(features)
    data = PoolFeatures(targets=("t_eff", "log_g"), scale_targets=True, standardise=True).run(
        features
    )
    for split in (data.splits["train"]["x"], data.splits["train"]["y"]):
        assert np.allclose(split.mean(0), 0, atol=1e-4)
    back = data.splits["test"]["y"] * data.about["target_std"] + data.about["target_mean"]
    assert np.allclose(back, plain.splits["test"]["y"], rtol=1e-4)


def test_what_is_missing_is_named(features: Dataset) -> None:
    with pytest.raises(RunnerError, match="no 'dec_input'"):
        PoolFeatures(layer="dec_input").run(features)
    with pytest.raises(RunnerError, match="13 positions cannot be cut into 14"):
        PoolFeatures(pool=PoolShape(segments=14)).run(features)


def test_over_all_folds_each_row_is_tested_once(features: Dataset) -> None:
    data = PoolFeatures().run(features)
    rows = np.concatenate([data.splits[n]["x"] for n in ("train", "val", "test")])
    tested: list[Any] = []
    for fold in range(4):
        dealt = Fold(folds=4, fold=fold).run(data, SEED)
        sizes = {name: len(split["x"]) for name, split in dealt.splits.items()}
        assert sum(sizes.values()) == 180
        assert sizes["test"] == sizes["val"] == 45
        inside = {row.tobytes() for row in dealt.splits["train"]["x"]}
        assert not inside & {row.tobytes() for row in dealt.splits["test"]["x"]}
        tested += [row.tobytes() for row in dealt.splits["test"]["x"]]
    assert sorted(tested) == sorted(row.tobytes() for row in rows)
    assert Fold(folds=4, fold=4).check_parameters() is not None


def test_rows_keep_their_labels_in_a_fold(features: Dataset) -> None:
    data = PoolFeatures().run(features)
    label = {
        x.tobytes(): float(y[0])
        for split in data.splits.values()
        for x, y in zip(split["x"], split["y"], strict=True)
    }
    dealt = Fold(fold=2).run(data, SEED).splits["val"]
    pairs = zip(dealt["x"], dealt["y"], strict=True)
    assert all(label[x.tobytes()] == float(y[0]) for x, y in pairs)


def test_spectra_themselves_become_inputs(stars: Dataset) -> None:
    split = stars.splits["val"]
    found = {
        p: SpectraInputs(part=p).run(stars, SEED).splits["val"] for p in ("error", "noisy", "clean")
    }
    assert np.allclose(found["error"]["x"], np.log(split["error"]))
    assert np.array_equal(found["clean"]["x"], split["flux"])
    noise = fixed_noise(SEED, "val", 0, 20, 54)
    assert np.allclose(found["noisy"]["x"], split["flux"] + split["error"] * noise)
    assert np.array_equal(found["error"]["y"][:, 0], split["log_g"])
