"""A grid summed up, by hand and against the language of checks."""

import math

import numpy as np
import pytest

from plugins.probes.flatness import Flatness
from runner.language.expression import call
from runner.types import Table


def summed(values, healthy, errors=None) -> dict:
    errors = [1.0] * len(values) if errors is None else errors
    table = Table({"llc": values, "llc_se": errors, "healthy": healthy})
    found = Flatness().run(table)
    assert list(found.columns) == list(Flatness.columns)
    return {name: column[0] for name, column in found.columns.items()}


def test_a_grid_by_hand():
    found = summed([1.0, 3.0, 100.0], [True, True, False], [0.5, 0.3, 1.0])
    assert found == {
        "cells": 3, "healthy_cells": 2, "healthy_share": 2 / 3, "spread": 0.5, "median": 2.0,
        "least": 1.0, "most": 3.0, "relative_error": pytest.approx(0.3),
    }  # fmt: skip


def test_the_spread_is_that_of_a_check():
    values = np.random.default_rng(0).normal(-5.0, 1.0, 40)
    assert summed(values, [True] * 40)["spread"] == call("spread", values)


def test_without_a_healthy_cell_nothing_is_known_but_the_count():
    found = summed([7.0, 7.0], [False, False])
    assert (found["cells"], found["healthy_cells"], found["healthy_share"]) == (2, 0, 0.0)
    assert math.isnan(found["spread"])
    assert math.isnan(found["median"])


def test_an_unhealthy_cell_that_is_not_finite_changes_nothing():
    assert summed([1.0, 3.0, math.nan], [True, True, False])["spread"] == 0.5


def test_a_table_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        summed([], [])


def test_a_missing_column_is_named_with_a_near_miss():
    table = Table({"llc": [1.0], "llc_se": [0.1], "helthy": [True]})
    with pytest.raises(ValueError, match=r"healthy = 'healthy'.*did you mean \"helthy\""):
        Flatness().run(table)
