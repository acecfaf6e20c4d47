"""Which pixels are kept."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.maths.spectra import mask
from plugins.maths.spectra.mask import quiet_pixels


@pytest.mark.parametrize(("pixels", "kept"), [(4096, 3481), (1024, 870), (20, 17)])
def test_as_many_pixels_are_kept_as_published(pixels: int, kept: int) -> None:
    """S1 (c): pixels whose median error is below the 0.85 quantile; 3,481 of 4,096."""
    errors = np.random.default_rng(0).random((5, pixels)).astype(np.float32)
    assert len(quiet_pixels(errors, 0.85)) == kept


def test_the_noisiest_medians_go_whatever_their_means() -> None:
    errors = np.tile(np.arange(1, 11, dtype=np.float32), (5, 1))
    errors[0, 0] = 1000  # one bad exposure is no bad pixel
    assert quiet_pixels(errors, 0.8).tolist() == list(range(8))


def test_all_are_kept_when_asked() -> None:
    assert quiet_pixels(np.ones((2, 4), np.float32), 1.0).tolist() == [0, 1, 2, 3]


def test_strips_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = np.random.default_rng(1).random((50, 33)).astype(np.float32)
    whole = quiet_pixels(errors, 0.5)
    monkeypatch.setattr(mask, "STRIP", 4 * 50 * 4)  # four pixels at once
    assert np.array_equal(quiet_pixels(errors, 0.5), whole)
