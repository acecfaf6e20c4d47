"""Synthetic spectra: what follows from what, and what may leak."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.maths.spectra.stars import BLOCK, RANGES, Survey, sky
from runner.types import Seed

SEED = Seed(0)


@pytest.fixture(scope="module")
def stars():
    return Survey(pixels=512).block(SEED, "train", 0)


def test_spectra_are_positive_and_in_single_precision(stars) -> None:
    assert stars.flux.shape == stars.error.shape == (BLOCK, 512)
    assert stars.flux.dtype == stars.error.dtype == np.float32
    assert (stars.flux > 0).all()
    assert (stars.error > 0).all()


def test_labels_fill_their_ranges(stars) -> None:
    for name, (low, high) in RANGES.items():
        values = stars.labels[name]
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high


def test_median_flux_and_signal_are_those_of_the_survey() -> None:
    """S1 (f): flux median 0.5, signal to noise about 7.5 at magnitude 21.5."""
    stars = Survey(pixels=2048).block(SEED, "train", 0)
    assert 0.45 < np.median(stars.flux) < 0.55
    assert 6.5 < np.median(stars.flux / stars.error) < 8.5


def test_errors_grow_with_magnitude_and_the_dial_of_noise() -> None:
    plain = Survey(pixels=64).block(SEED, "train", 0).error
    faint = Survey(pixels=64, magnitude=22.5).block(SEED, "train", 0).error
    loud = Survey(pixels=64, noise=1.7).block(SEED, "train", 0).error
    assert np.allclose(faint / plain, 10**0.4, rtol=1e-5)
    assert np.allclose(loud / plain, 1.7, rtol=1e-5)


def test_errors_from_the_continuum_hold_no_line() -> None:
    """Over temperature, night and airglow the error has no more to say; see the control probe."""
    one = Survey(pixels=512).block(SEED, "train", 0)
    other = Survey(pixels=512, error_model="clean_flux").block(SEED, "train", 0)
    assert np.array_equal(one.flux, other.flux)
    assert (one.error >= other.error * 0.999).mean() > 0.8  # lines take photons away
    assert not np.allclose(one.error, other.error)


def test_stars_depend_on_seed_split_and_block_alone() -> None:
    survey = Survey(pixels=64)
    again = survey.block(SEED, "train", 1)
    assert np.array_equal(again.flux, survey.block(Seed(0), "train", 1).flux)
    for other in (
        survey.block(SEED, "val", 1), survey.block(Seed(1), "train", 1),
        survey.block(SEED, "train", 2),
    ):  # fmt: skip
        assert not np.array_equal(again.labels["log_g"], other.labels["log_g"])


def test_metals_deepen_lines(stars) -> None:
    """Mean depth against the continuum is what falls with [M/H]."""
    poor, rich = (stars.labels["m_h"] < -1.5), (stars.labels["m_h"] > 0)
    ripple = stars.flux.std(1) / stars.flux.mean(1)
    assert ripple[rich].mean() > 1.5 * ripple[poor].mean()


def test_wings_widen_with_gravity() -> None:
    grid = sky(2048)
    templates = grid.strong_templates.reshape(-1, 5, 2048)
    areas = templates[1].sum(1)  # of Ca II 8542
    assert (np.diff(areas) > 0).all()
    assert np.allclose(templates.max(2), 1, atol=0.3)
