"""What a training run knows: its name, its notes, its watches."""

import json
from dataclasses import asdict

import pytest
import torch
from torch import nn

from plugins.maths.training.fitting_state import State, Watch, fingerprint
from plugins.maths.training.optimisers import Monitor
from plugins.maths.training.supervision import Rows
from plugins.trainers.supervised import Supervised
from runner import Model, Seed


class Line(Model):
    """One weight and one bias."""

    def build(self):
        return nn.Linear(1, 1)


ROWS = {name: Rows(torch.ones(6, 1), torch.ones(6)) for name in ("train", "test")}


def recipe(**given):
    return Supervised.model_validate({"loss": "mse", "steps": 10, "batch": 2, **given})


def test_a_run_is_named_by_recipe_weights_rows_and_seed():
    start, other = Line().initialise(Seed(0)), Line().initialise(Seed(1))
    name = fingerprint(recipe(), start, ROWS, Seed(0))
    assert name == fingerprint(recipe(), Line().initialise(Seed(0)), dict(ROWS), Seed(0))
    moved = {**ROWS, "test": Rows(torch.zeros(6, 1), torch.ones(6))}
    others = [
        fingerprint(recipe(clip=1.0), start, ROWS, Seed(0)),
        fingerprint(recipe(), other, ROWS, Seed(0)),
        fingerprint(recipe(), start, moved, Seed(0)),
        fingerprint(recipe(), start, ROWS, Seed(1)),
    ]
    assert len({name, *others}) == 5


def test_the_state_comes_back_from_its_own_notes():
    state = State(step=3, history=[{"step": 0, "loss": 0.1}], best=Watch(0.1, 2), kept=[0, 3])
    assert State.of(json.loads(json.dumps(asdict(state)))) == state


def test_a_watch_counts_evaluations_since_the_best():
    watch = Watch()
    seen = [watch.see(Monitor(), value, 0.0) for value in (2.0, 1.0, 1.0, 3.0, 0.5)]
    assert seen == [True, True, False, False, True]
    assert watch == Watch(0.5, 0)


def test_a_metric_that_is_undefined_cannot_be_watched():
    with pytest.raises(FloatingPointError, match="test_r2 is nan"):
        Watch().see(Monitor(monitor="test_r2"), float("nan"), 0.0)
