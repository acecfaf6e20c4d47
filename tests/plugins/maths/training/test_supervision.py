"""Minibatches, target shapes and whole-split metrics."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from plugins.maths.training import supervision
from plugins.maths.training.supervision import Batches, Rows, aligned, measure
from plugins.trainers.supervised import METRICS
from runner import RunnerError, Seed
from runner.types import Split


def rows(count):
    return Rows(torch.arange(count), torch.arange(count) * 10)


def test_a_pass_takes_every_row_once_and_rows_stay_with_their_targets():
    batches = Batches(rows(11), 4, Seed(0))
    for number in (0, 1):
        parts = [batches.at(3 * number + place) for place in range(3)]
        assert [len(x) for x, _ in parts] == [4, 4, 3]
        assert sorted(torch.cat([x for x, _ in parts]).tolist()) == list(range(11))
        assert all(torch.equal(y, 10 * x) for x, y in parts)


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    walked = Batches(rows(11), 4, Seed(0))
    walk = [walked.at(step)[0] for step in range(9)]
    assert torch.equal(Batches(rows(11), 4, Seed(0)).at(7)[0], walk[7])
    assert torch.equal(walked.at(1)[0], walk[1])  # also backwards
    assert not torch.equal(torch.cat(walk[:3]), torch.cat(walk[3:6]))
    other = Batches(rows(11), 4, Seed(1))
    assert not torch.equal(torch.cat([other.at(step)[0] for step in range(3)]), torch.cat(walk[:3]))


def test_a_batch_beyond_the_rows_is_all_of_them_and_none_keeps_their_order():
    assert Batches(rows(5), 100, Seed(0)).at(3)[0].sort().values.tolist() == list(range(5))
    assert Batches(rows(5), None, Seed(0)).at(3)[0].tolist() == list(range(5))


def test_targets_never_broadcast():
    assert aligned(torch.zeros(4, 1), torch.ones(4)).shape == (4, 1)
    assert aligned(torch.zeros(4), torch.ones(4, 1)).shape == (4,)
    with pytest.raises(RunnerError, match="number of outputs"):
        aligned(torch.zeros(4, 2), torch.ones(4))
    with pytest.raises(RunnerError, match="number of outputs"):
        aligned(torch.zeros(4, 1), torch.ones(1, 4))


def test_metrics_do_not_depend_on_the_rows_measured_at_once(monkeypatch):
    class Table(nn.Module):
        def forward(self, x):
            return torch.stack([x, torch.zeros_like(x)], 1)

    x = torch.tensor([math.log(3.0), 0.0, -1.0, 2.0, -math.log(3.0)])
    data = Rows(x, torch.tensor([0, 0, 0, 1, 1]))
    whole = measure(Table(), data, "cross_entropy")
    monkeypatch.setattr(supervision, "ROWS", 2)
    assert measure(Table(), data, "cross_entropy") == whole
    # -log softmax: log(4/3), log 2, log(1 + e), log(1 + e^2), log(4/3); a tie goes to class 0
    losses = [math.log(4 / 3), math.log(2), math.log1p(math.e), math.log1p(math.e**2)]
    assert whole["loss"] == pytest.approx((sum(losses) + math.log(4 / 3)) / 5, rel=1e-6)
    assert whole["accuracy"] == pytest.approx(3 / 5)


def test_r2_of_two_outputs_pools_their_sums_of_squares_and_is_nan_without_spread():
    x = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    found = measure(nn.Identity(), Rows(x, torch.tensor([[0.0, 1.0], [2.0, 7.0]])), "mse")
    assert found["r2"] == pytest.approx(1 - 16 / (2 + 18))
    assert found["rmse"] == pytest.approx(2.0)
    assert found["mae"] == pytest.approx(1.0)
    assert math.isnan(measure(nn.Identity(), Rows(x, torch.ones(2, 2)), "mse")["r2"])


def test_measuring_leaves_the_mode_of_the_network_as_it_was():
    network = nn.Dropout(0.5)
    x = torch.ones(50, 1)
    assert measure(network, Rows(x, x), "mse")["loss"] == 0.0
    assert network.training


def test_the_metrics_are_the_ones_the_trainer_announces():
    real = Rows(torch.ones(2, 2), torch.zeros(2, 2))
    classes = Rows(torch.ones(2, 2), torch.zeros(2, dtype=torch.int64))
    assert tuple(measure(nn.Identity(), real, "mse")) == METRICS["mse"]
    found = measure(nn.Identity(), classes, "cross_entropy")
    assert tuple(found) == METRICS["cross_entropy"]


@pytest.mark.parametrize(
    ("arrays", "loss", "complaint"),
    [
        ({"x": np.zeros((3, 2))}, "mse", "no array 'y'"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, "mse", "3 rows of x and 2 of y"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "mse", "0 rows"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "cross_entropy", "integer classes"),
        ({"x": np.zeros((3, 2)), "y": np.zeros((3, 1), int)}, "cross_entropy", "integer classes"),
    ],
)
def test_unfit_splits_are_refused_by_name(arrays, loss, complaint):
    with pytest.raises(RunnerError, match=complaint):
        Rows.of(Split(arrays), "train", loss)


def test_tokens_stay_integers_and_reals_take_the_default_dtype():
    split = Split({"x": np.zeros((3, 2), np.int32), "y": np.zeros(3, np.int32)})
    assert Rows.of(split, "train", "cross_entropy").y.dtype == torch.int64
    assert Rows.of(split, "train", "mse").y.dtype == torch.float32
    assert Rows.of(Split({"x": np.zeros(3), "y": np.zeros(3)}), "t", "mse").x.dtype == torch.float32
