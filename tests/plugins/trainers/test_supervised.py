"""The supervised trainer: closed forms, reproducible curves, kills that change nothing."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from plugins.maths.training import fitting, resume, supervision
from plugins.trainers.supervised import Supervised
from runner import Circumstance, Dataset, Model, Network, RunnerError, Seed

ROOT = Path(__file__).parents[3]


class Linear(Model):
    """One linear layer without bias, one output."""

    inputs: int = 3

    def build(self):
        return nn.Linear(self.inputs, 1, bias=False)


class Noisy(Model):
    """A classifier with everything that must survive a kill: dropout draws, running buffers."""

    def build(self):
        return nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 2)
        )


def regression(rows=20, test=7):
    """Return y = x . (1, -2, 0.5) + noise, targets of shape (N,)."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(rows + test, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.1 * draw.normal(size=rows + test)
    return Dataset(
        {"train": {"x": x[:rows], "y": y[:rows]}, "test": {"x": x[rows:], "y": y[rows:]}}
    )


def classes(rows=22, test=10):
    """Return two classes, the sign of a noisy sum; 22 rows leave a smaller last batch."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(rows + test, 3))
    y = (x.sum(1) + draw.normal(size=rows + test) > 0).astype(np.int64)
    return Dataset(
        {"train": {"x": x[:rows], "y": y[:rows]}, "test": {"x": x[rows:], "y": y[rows:]}}
    )


def recipe(**given):
    """Return a trainer; by default 12 steps of plain full-batch SGD on the squared error."""
    plain = {"optimizer": {"sgd": {"lr": 0.1}}, "loss": "mse", "steps": 12, "evaluate_every": 3}
    trainer = Supervised.model_validate({**plain, **given})
    assert trainer.check_parameters() is None
    return trainer


NOISY = {
    "loss": "cross_entropy", "batch": 8, "steps": 40, "evaluate_every": 7, "save_at": (0, 10, 33),
    "optimizer": {"adamw": {"lr": 0.02}},
    "schedule": {"warmup": 5, "plateau": {"patience": 0, "threshold": 0.1}},
    "best": {"monitor": "test_accuracy", "mode": "max"},
    "early_stopping": {"monitor": "train_loss", "patience": 50},
}  # fmt: skip


def train(trainer, model=None, data=None, here=None, seed=0):
    return trainer.run(model or Linear(), data or regression(), Seed(seed), here or Circumstance())


def same(one, other):
    """Assert that two outcomes are equal to the bit."""
    assert one.history.frame.equals(other.history.frame)
    assert list(one.checkpoints) == list(other.checkpoints)
    pairs = [(one.last, other.last), (one.best, other.best)]
    pairs += [(one.checkpoints[step], other.checkpoints[step]) for step in one.checkpoints]
    for a, b in pairs:
        assert a.weights.keys() == b.weights.keys()
        for name in a.weights:
            assert torch.equal(a.weights[name], b.weights[name]), name


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
def test_full_batch_descent_follows_its_closed_form():
    # w_t - w* = (1 - lr H)^t (w_0 - w*), H = 2 X'X / N; fp64 rounding over 12 steps
    result = train(recipe(save_at=(0,)))
    x, y = (regression()["train"][name] for name in "xy")
    hessian, least = 2 * x.T @ x / len(x), np.linalg.lstsq(x, y, rcond=None)[0]
    start = result.checkpoints[0].weights["weight"].numpy()[0]
    shrink = np.linalg.matrix_power(np.eye(3) - 0.1 * hessian, 12)
    end = result.last.weights["weight"].numpy()[0]
    np.testing.assert_allclose(end, least + shrink @ (start - least), rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_metrics_are_of_whole_splits_also_before_the_first_step():
    result = train(recipe(save_at=(0,), batch=4))
    x, y = (regression()["test"][name] for name in "xy")
    row = result.history.frame.iloc[0]
    left = x @ result.checkpoints[0].weights["weight"].numpy()[0] - y
    assert row["step"] == 0
    assert row["test_loss"] == pytest.approx(np.mean(left**2), rel=1e-12)
    assert row["test_rmse"] == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-12)
    assert row["test_mae"] == pytest.approx(np.mean(np.abs(left)), rel=1e-12)
    spread = np.sum((y - y.mean()) ** 2)
    assert row["test_r2"] == pytest.approx(1 - np.sum(left**2) / spread, rel=1e-12)


def test_minibatch_adamw_equals_a_bare_loop():
    trainer = recipe(batch=6, optimizer={"adamw": {"lr": 0.05, "betas": (0.9, 0.98)}})
    result = train(trainer, seed=4)
    module = Linear().initialise(Seed(4)).module().train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.05, betas=(0.9, 0.98), fused=True)
    x, y = (torch.as_tensor(regression()["train"][name]).float() for name in "xy")
    for step in range(12):
        order = torch.randperm(20, generator=Seed(4).torch("batches", step // 4))
        chosen = order[step % 4 * 6 : step % 4 * 6 + 6]
        optimizer.zero_grad()
        (module(x[chosen]).squeeze(1) - y[chosen]).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(result.last.weights["weight"], module.weight.data)


def test_steps_are_taken_in_training_mode_as_by_a_bare_loop():
    """BUG: batch norm kept its first statistics and dropout was off, in every step."""
    trainer = recipe(loss="cross_entropy", batch=11, steps=6, evaluate_every=2)
    result = train(trainer, Noisy(), classes(), seed=4)
    start = Noisy().initialise(Seed(4))
    x, y = (torch.as_tensor(classes()["train"][name]) for name in "xy")
    with torch.random.fork_rng():
        torch.manual_seed(Seed(4).integer("layers"))
        module = start.module().train()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, fused=True)
        for step in range(6):
            order = torch.randperm(22, generator=Seed(4).torch("batches", step // 2))
            chosen = order[step % 2 * 11 : step % 2 * 11 + 11]
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[chosen].float()), y[chosen]).backward()
            optimizer.step()
    for name, value in module.state_dict().items():
        torch.testing.assert_close(result.last.weights[name], value, msg=name)
    assert result.last.weights["1.num_batches_tracked"] == 6


def test_the_same_seed_gives_the_same_curve_and_another_seed_another():
    one, again, other = (
        train(recipe(**NOISY), Noisy(), classes(), seed=seed) for seed in (3, 3, 4)
    )
    same(one, again)
    assert not one.history.frame.equals(other.history.frame)


def test_global_generators_are_left_alone():
    before = torch.get_rng_state()
    train(recipe(**NOISY), Noisy(), classes())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_history_has_a_row_at_the_start_at_every_interval_and_at_the_end():
    result = train(recipe(steps=10, evaluate_every=4))
    assert list(result.history.columns["step"]) == [0, 4, 8, 10]
    assert set(result.history.columns) <= set(Supervised.columns)


def test_epochs_are_passes_and_evaluation_comes_once_a_pass_by_default():
    result = train(recipe(steps=None, epochs=3, batch=6, evaluate_every=None))
    assert list(result.history.columns["step"]) == [0, 4, 8, 12]


def test_checkpoints_are_the_networks_at_their_steps():
    result = train(recipe(save_at=(12, 5, 5)))
    shorter = train(recipe(steps=5))
    assert list(result.checkpoints) == [5, 12]
    assert torch.equal(result.checkpoints[5].weights["weight"], shorter.last.weights["weight"])
    assert torch.equal(result.checkpoints[12].weights["weight"], result.last.weights["weight"])


def test_best_is_the_network_of_the_best_row():
    # a rate just past the stable one makes the loss rise from the first step on
    result = train(recipe(optimizer={"sgd": {"lr": 2.0}}, save_at=(0,), steps=6))
    assert torch.equal(result.best.weights["weight"], result.checkpoints[0].weights["weight"])
    falling = train(recipe(best={"monitor": "test_r2", "mode": "max"}))
    assert torch.equal(falling.best.weights["weight"], falling.last.weights["weight"])


@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping_waits_its_patience_and_then_stops(mode):
    stopping = {"monitor": "test_r2", "mode": mode, "patience": 2, "min_delta": 1e6}
    result = train(recipe(early_stopping=stopping, save_at=(3, 9)))
    assert list(result.history.columns["step"]) == [0, 3, 6]
    assert list(result.checkpoints) == [3]


def test_early_stopping_lets_an_improving_run_go_on():
    stopping = {"monitor": "test_r2", "mode": "max", "patience": 1}
    result = train(recipe(early_stopping=stopping))
    assert result.history.columns["step"][-1] == 12


def test_a_plateau_halves_the_rate_once_its_patience_is_over():
    plateau = {"monitor": "test_loss", "patience": 1, "factor": 0.5, "threshold": 1e6}
    result = train(recipe(schedule={"plateau": plateau}, steps=18))
    # rows 0 (best), 3 (borne), 6 (cut), 9 (borne), 12 (cut), 15, 18; the row shows the last update
    rates = result.history.columns["lr"]
    assert list(rates) == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    constant = train(recipe(steps=18))
    assert not torch.equal(result.last.weights["weight"], constant.last.weights["weight"])


def test_clipping_bounds_the_length_of_an_sgd_step():
    step = {"optimizer": {"sgd": {"lr": 1.0}}, "steps": 1, "save_at": (0,)}
    moves = []
    for clip in (None, 0.25):
        result = train(recipe(clip=clip, **step))
        move = result.last.weights["weight"] - result.checkpoints[0].weights["weight"]
        moves.append(float(move.norm()))
    assert moves[0] > 0.5
    assert moves[1] == pytest.approx(0.25, rel=1e-5)


def test_momentum_speeds_up_descent():
    slow, fast = (
        train(recipe(optimizer={"sgd": {"lr": 0.01, "momentum": m}})).history.columns["train_loss"]
        for m in (0.0, 0.8)
    )
    assert fast[-1] < 0.8 * slow[-1]


def test_a_network_is_trained_on_from_its_weights():
    first = train(recipe(steps=5))
    more = train(recipe(steps=7), model=first.last)
    whole = train(recipe(steps=12))
    assert more.history.columns["train_loss"][0] == first.history.columns["train_loss"][-1]
    assert torch.equal(more.last.weights["weight"], whole.last.weights["weight"])


@pytest.fixture
def saving(monkeypatch):
    """Save after every step; without fsync, which guards against power cuts and not kills."""
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_REPORTS", 0)
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.usefixtures("saving")
@pytest.mark.parametrize("stop", [1, 7, 10, 33, 39])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, stop):
    whole = train(recipe(**NOISY), Noisy(), classes())
    seen = []

    def break_off(done, total, unit):
        seen.append(done)
        if done == stop and len(seen) == stop:
            raise OSError("pulled the plug")

    here = Circumstance(scratch=tmp_path / "scratch", progress=break_off)
    with pytest.raises(OSError, match="pulled"):
        train(recipe(**NOISY), Noisy(), classes(), here)
    same(train(recipe(**NOISY), Noisy(), classes(), here), whole)
    assert seen[stop] == max(stop, 1)  # it went on from the save before, not from the start


@pytest.mark.usefixtures("saving")
def test_a_run_broken_off_where_it_was_to_stop_early_stops_there(tmp_path, monkeypatch):
    stopping = {"monitor": "test_loss", "patience": 2, "min_delta": 1e6}
    trainer, measure, calls = recipe(early_stopping=stopping), supervision.measure, []

    def break_off(*given):
        calls.append(given)
        if len(calls) == 5:  # rows 0 and 3 took two splits each; this is the row of step 6
            raise OSError("pulled the plug")
        return measure(*given)

    here = Circumstance(scratch=tmp_path)
    monkeypatch.setattr(supervision, "measure", break_off)
    with pytest.raises(OSError, match="pulled"):
        train(trainer, here=here)
    assert resume.read(tmp_path / "resume.safetensors")[1]["state"]["step"] == 6
    same(train(trainer, here=here), train(trainer))


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent(f"""
        import importlib.util, os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        import torch
        torch.set_num_threads(1)
        spec = importlib.util.spec_from_file_location("theirs", {__file__!r})
        theirs = importlib.util.module_from_spec(spec)
        sys.modules["theirs"] = theirs
        spec.loader.exec_module(theirs)
        theirs.fitting.SECONDS_BETWEEN_REPORTS = theirs.fitting.SECONDS_BETWEEN_SAVES = 0
        os.fsync = lambda _: None

        def kill(done, total, unit):
            if done == 25:
                os.kill(os.getpid(), signal.SIGKILL)

        here = theirs.Circumstance(scratch=Path({str(tmp_path / "scratch")!r}), progress=kill)
        theirs.train(theirs.recipe(**theirs.NOISY), theirs.Noisy(), theirs.classes(), here)
        """)
    )
    outcome = subprocess.run([sys.executable, script], check=False, capture_output=True)
    assert outcome.returncode == -signal.SIGKILL, outcome.stderr.decode()
    folder = tmp_path / "scratch"
    (folder / "resume.safetensors.aside").write_bytes(b"a half-written state")
    assert resume.read(folder / "resume.safetensors")[1]["state"]["step"] == 24
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed = train(recipe(**NOISY), Noisy(), classes(), Circumstance(scratch=folder))
        same(resumed, train(recipe(**NOISY), Noisy(), classes()))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.usefixtures("saving")
def test_the_state_of_another_recipe_is_not_continued(tmp_path):
    here = Circumstance(scratch=tmp_path)
    train(recipe(), here=here)
    assert (tmp_path / "resume.safetensors").exists()
    longer = recipe(clip=0.01)
    same(train(longer, here=here), train(longer))


@pytest.mark.usefixtures("saving")
def test_a_run_without_a_folder_of_its_own_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(recipe())
    assert list(tmp_path.iterdir()) == []


def test_a_diverging_run_names_its_step_and_the_cure():
    with pytest.raises(FloatingPointError, match=r"at step 2 of 12; lower optimizer.sgd.lr = 1e\+"):
        train(recipe(optimizer={"sgd": {"lr": 1e30}}, evaluate_every=12))


@pytest.mark.usefixtures("saving")
def test_ctrl_c_comes_through_and_still_works_afterwards():
    def press(done, total, unit):
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), here=Circumstance(progress=press))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("saving")
def test_a_termination_is_dealt_with_at_once_by_whoever_deals_with_it():
    def handle(number, frame):
        raise SystemExit(143)

    steps = []

    def terminate(done, total, unit):
        steps.append(done)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with pytest.raises(SystemExit, match="143"):
            train(recipe(), here=Circumstance(progress=terminate))
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)
    assert steps == [1]


def test_wrong_data_is_named():
    with pytest.raises(RunnerError, match="no split 'val'"):
        train(recipe(evaluate=("val", "test")))
    with pytest.raises(RunnerError, match="set loss = 'mse'"):
        train(recipe(loss="cross_entropy"))
    pairs = {"x": np.zeros((20, 3)), "y": np.zeros((20, 2))}
    with pytest.raises(RunnerError, match=r"gives \(20, 1\) and the targets are \(20, 2\)"):
        train(recipe(), data=Dataset({"train": pairs, "test": pairs}))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"steps": None}, "either steps or epochs"),
        ({"epochs": 3}, "either steps or epochs"),
        ({"save_at": (13,)}, "between 0 and steps = 12"),
        ({"best": {"monitor": "test_accuracy"}}, "best.monitor = 'test_accuracy'"),
        ({"evaluate": ()}, "no column: train_loss"),
        ({"early_stopping": {"monitor": "val_r2"}}, "early_stopping.monitor = 'val_r2'"),
        ({"evaluate": ("train",)}, "take it out of evaluate"),
    ],
)
def test_parameters_that_clash_are_refused(given, complaint):
    plain = {"optimizer": {"sgd": {}}, "loss": "mse", "steps": 12}
    assert complaint in Supervised.model_validate({**plain, **given}).check_parameters()


@pytest.mark.parametrize("given", [{}, {"sgd": {}, "adam": {}}])
def test_exactly_one_optimizer_is_asked_for(given):
    with pytest.raises(ValidationError, match="exactly one of adamw, adam, sgd"):
        Supervised(optimizer=given, steps=1)


def test_the_network_type_is_what_comes_out():
    assert isinstance(train(recipe()).last, Network)
