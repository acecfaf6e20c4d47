"""The probe hands the sweep on and gives the columns that it documents."""

import pytest

from plugins.probes.recommend import Recommend
from runner.types import Table

SWEEP = Table(
    {
        "e": [1.0, 2.0, 4.0] * 2,
        "g": [1.0] * 6,
        "seed": [0, 0, 0, 1, 1, 1],
        "llc": [5.0, 6.0, 5.0] * 2,
        "llc_se": [1.0] * 6,
        "ess": [9.0] * 6,
        "healthy": [True] * 6,
        "step_size": [1e-3, 2e-3, 4e-3] * 2,
        "localisation": [30.0] * 6,
    }
)


def test_one_row_with_the_documented_columns():
    found = Recommend(step="e", pull="g", repeats=("seed",)).run(SWEEP)
    assert list(found.columns) == list(Recommend.columns)
    assert len(found) == 1
    assert found.columns["step_size"] == [2e-3]
    assert found.columns["localisation"] == [30.0]


def test_the_tolerance_decides_what_is_flat():
    tight = Recommend(step="e", pull="g", repeats=("seed",), tolerance=0.5).run(SWEEP)
    assert tight.columns["flat"] == [False]


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="step = 'step': no such column"):
        Recommend(pull="g", repeats=("seed",)).run(SWEEP)
