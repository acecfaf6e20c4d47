"""The loop around Lightning: where blocks end, what names a run, what is kept quiet."""

import logging
import signal

import pytest
import torch
from torch import nn

from plugins.maths.fitting import Blocks, Fitting, State, Watch, fingerprint, interruptible, quiet
from plugins.maths.optimisers import Monitor
from plugins.maths.supervision import Rows
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
    import json
    from dataclasses import asdict

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


def test_quiet_puts_the_log_levels_back():
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = logger.level
    with quiet():
        assert logger.level == logging.ERROR
    assert logger.level == before


def test_an_exit_of_the_loop_becomes_an_interrupt_and_gives_the_handler_back():
    @interruptible()
    def loop():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise SystemExit(1)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop()
    assert signal.getsignal(signal.SIGINT) is before
