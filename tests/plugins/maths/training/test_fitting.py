"""The loop: where its blocks of steps end. What it computes is in test_supervised.py."""

import torch
from torch import nn

from plugins.maths.training.fitting import Blocks, Fitting
from plugins.maths.training.supervision import Rows
from plugins.trainers.supervised import Supervised
from runner import Circumstance, Model, Seed


class Line(Model):
    """One weight and one bias."""

    def build(self):
        return nn.Linear(1, 1)


ROWS = {name: Rows(torch.ones(6, 1), torch.ones(6)) for name in ("train", "test")}


def recipe(**given):
    return Supervised.model_validate({"loss": "mse", "steps": 10, "batch": 2, **given})


def ends(**given):
    start = Line().initialise(Seed(0))
    return list(Fitting(recipe(**given), start, ROWS, Seed(0), Circumstance()).blocks())


def test_blocks_end_at_evaluations_checkpoints_and_the_last_step():
    assert ends(evaluate_every=4, save_at=(0, 3, 8, 10)) == [(0, 3), (3, 4), (4, 8), (8, 10)]
    assert ends(evaluate_every=100) == [(0, 10)]
    assert ends() == [(0, 3), (3, 6), (6, 9), (9, 10)]  # three batches a pass


def test_blocks_know_their_number():
    assert len(Blocks((3, 4), 1)) == len(list(Blocks((3, 4), 1))) == 2
