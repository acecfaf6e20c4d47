"""Which networks are walked over, in which order, and on which rows."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.maths.curvature.snapshots import rows_of, snapshots
from plugins.models.linear import Linear
from plugins.probes.hessian_trace import HessianTrace
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split, Table, Trained

MODEL = Linear(inputs=5, outputs=3)
NETWORKS = [MODEL.initialise(Seed(n)) for n in range(4)]
G = np.random.default_rng(0)
DATA = Split({"x": G.standard_normal((40, 5)).astype("float32"), "y": G.integers(0, 3, 40)})


def run(kept: dict[int, Network], last: Network, end: int) -> Trained:
    return Trained(kept, last, last, Table({"step": [0, end]}))


def test_snapshots_come_in_the_order_of_training_and_the_last_network_last() -> None:
    # BUG of earlier implementations: the final model had the label -1 and was sorted first
    a, b, c, d = NETWORKS
    found = snapshots(run({20: c, 0: a, 10: b}, d, 25))
    assert [one.steps for one in found] == [0, 10, 20, 25]
    assert [one.network for one in found] == [a, b, c, d]
    assert [one.number for one in found] == [0, 1, 2, 3]


def test_a_last_network_that_was_kept_is_not_taken_twice() -> None:
    a, b, *_ = NETWORKS
    assert [one.steps for one in snapshots(run({0: a, 10: b}, b, 10))] == [0, 10]


def test_a_network_alone_is_one_snapshot_of_unknown_steps() -> None:
    (one,) = snapshots(NETWORKS[0])
    assert np.isnan(one.steps)


def test_a_run_without_checkpoints_is_told_of() -> None:
    with pytest.raises(RunnerError, match="save_at"):
        snapshots(run({}, NETWORKS[0], 10))


def test_rows_are_the_same_for_each_snapshot_unless_fresh() -> None:
    # BUG of earlier implementations: a fresh batch for each snapshot mixed in noise of sampling
    found = snapshots(run({0: NETWORKS[0], 10: NETWORKS[1]}, NETWORKS[1], 10))
    one, other = (rows_of(HessianTrace(rows=16), DATA, Seed(0), s) for s in found)
    assert np.array_equal(one.x, other.x)
    fresh = [rows_of(HessianTrace(rows=16, fresh=True), DATA, Seed(0), s) for s in found]
    assert not np.array_equal(fresh[0].x, fresh[1].x)
    again = rows_of(HessianTrace(rows=16, fresh=True), DATA, Seed(0), found[1])
    assert np.array_equal(fresh[1].x, again.x)


def test_rows_are_drawn_without_replacement_and_by_the_seed() -> None:
    (snapshot,) = snapshots(NETWORKS[0])
    found = rows_of(HessianTrace(rows=16), DATA, Seed(0), snapshot)
    assert len(np.unique(found.x, axis=0)) == 16
    other = rows_of(HessianTrace(rows=16), DATA, Seed(1), snapshot)
    assert not np.array_equal(found.x, other.x)
    assert len(rows_of(HessianTrace(), DATA, Seed(0), snapshot)) == 40


def test_more_rows_than_there_are_is_told_of() -> None:
    with pytest.raises(RunnerError, match="rows = 41 of a split of 40"):
        HessianTrace(rows=41).run(NETWORKS[0], DATA, Seed(0), Circumstance())


def test_fresh_rows_of_a_network_alone_are_told_of() -> None:
    with pytest.raises(RunnerError, match="a network given alone"):
        HessianTrace(rows=4, fresh=True).run(NETWORKS[0], DATA, Seed(0), Circumstance())


def test_a_network_that_is_not_finite_is_told_of() -> None:
    broken = Network(MODEL, {n: v * float("nan") for n, v in NETWORKS[0].weights.items()})
    with pytest.raises(RunnerError, match="not finite"):
        HessianTrace().run(broken, DATA, Seed(0), Circumstance())
