"""Losses and accuracies of whole splits."""

import numpy as np
import pytest
import torch

from plugins.models.linear import Linear
from plugins.probes.classification import Classification
from runner.errors import RunnerError
from runner.types import Circumstance, Dataset, Network

SHAPE = Linear(inputs=2, outputs=3, bias=False)
X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]], dtype=np.float32)
DATA = Dataset(
    {"train": {"x": X, "y": np.array([0, 1, 0, 0])}, "test": {"x": X[:2], "y": np.array([2, 1])}}
)


def network(scale: float) -> Network:
    weight = scale * torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    return Network(SHAPE, {"layers.0.weight": weight})


def measured(model: Network, data: Dataset = DATA) -> dict[str, float]:
    table = Classification().run(model, data, Circumstance())
    assert list(table.columns) == list(Classification.columns)
    return {name: values[0] for name, values in table.columns.items()}


def test_both_splits_have_the_mean_of_their_rows() -> None:
    logits = X.astype(float) @ np.array([[1.0, 0, -1], [0, 1.0, -1]])
    nats = np.log(np.exp(logits).sum(1))[:, None] - logits
    found = measured(network(1.0))
    assert found["train_loss"] == pytest.approx(nats[range(4), [0, 1, 0, 0]].mean())
    assert found["test_loss"] == pytest.approx(nats[range(2), [2, 1]].mean())
    assert (found["train_acc"], found["test_acc"]) == (1.0, 0.5)


def test_a_loss_far_below_single_precision_keeps_its_digits() -> None:
    """Density of states takes its logarithm: 0 of float32 would have none."""
    data = Dataset({name: {"x": X[:1], "y": np.array([0])} for name in ("train", "test")})
    found = measured(network(30.0), data)["train_loss"]
    assert found == pytest.approx(np.exp(-30.0) + np.exp(-60.0), rel=1e-2)


def test_a_missing_split_is_named() -> None:
    with pytest.raises(RunnerError, match="no split 'test'"):
        measured(network(1.0), Dataset({"train": DATA.splits["train"]}))
