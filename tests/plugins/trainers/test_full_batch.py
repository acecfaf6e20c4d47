"""Many networks trained as one computation: the same as each alone, and as by `supervised`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plugins.data.function_1d import Function1d
from plugins.maths.training.optimisers import Adam, Optimizer
from plugins.models.mlp import Mlp
from plugins.perturbations.append_points import AppendPoints
from plugins.trainers.full_batch import FullBatch
from plugins.trainers.supervised import Supervised
from runner import Circumstance, Dataset, RunnerError, Seed, Trained

ADAM = Optimizer(adam=Adam(lr=1e-2))
SINE = Function1d(train=9, test=12).run(Seed(0))
CELLS = [(beta, seed) for beta in (1.0, 4.0, 16.0) for seed in (1, 2)]


def recipe(**parameters: Any) -> FullBatch:
    given = {"steps": 40, "optimizer": ADAM, "evaluate_every": 15, "save_at": (0, 20)}
    return FullBatch(**given | parameters)


def nets(width: int = 7) -> list[Mlp]:
    return [Mlp(beta=beta, hidden=(width,)) for beta, _ in CELLS]


def together(plugin: FullBatch, models: Any, data: list[Dataset], **here: Any) -> list[Trained]:
    seeds = [Seed(seed) for _, seed in CELLS]
    return list(
        FullBatch.run_batch([plugin] * len(models), models, data, seeds, Circumstance(**here))
    )


def same(one: Trained, other: Trained, tolerance: float = 0.0) -> bool:
    """Compare two outcomes, to the bit or to a relative tolerance."""
    pairs = [(one.last, other.last), (one.best, other.best)]
    pairs += [(one.checkpoints[s], other.checkpoints[s]) for s in one.checkpoints]
    curves = [(one.history.columns[n], other.history.columns[n]) for n in one.history.columns]
    return all(np.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in curves) and all(
        a.architecture == b.architecture
        and torch.allclose(a.weights[n], b.weights[n], rtol=tolerance, atol=tolerance)
        for a, b in pairs
        for n in a.weights
    )


# Single precision rounds at 6e-8; forty steps of Adam carry that to some 1e-6.
ROUNDING = 2e-5


def test_a_network_is_trained_to_the_same_numbers_alone_and_among_others() -> None:
    found = together(recipe(), nets(), [SINE] * 6)
    for at in (0, 3, 5):
        alone = recipe().run(nets()[at], SINE, Seed(CELLS[at][1]), Circumstance())
        assert same(alone, found[at], ROUNDING)
    betas = [float(one.last.weights["activation.beta"]) for one in found]
    assert betas == [beta for beta, _ in CELLS]


def test_it_trains_as_supervised_does_on_full_batches() -> None:
    found = together(recipe(), nets(), [SINE] * 6)[3]
    plain = Supervised(steps=40, optimizer=ADAM, loss="mse", evaluate_every=15, save_at=(0, 20))
    wanted = plain.run(nets()[3], SINE, Seed(CELLS[3][1]), Circumstance())
    assert found.history.columns.keys() == wanted.history.columns.keys()
    for name, values in wanted.history.columns.items():
        # the products are summed in another order, and 40 steps of Adam carry that on
        assert np.allclose(found.history.columns[name], values, rtol=1e-4, atol=1e-6), name
    for step in (0, 20):
        ours, theirs = (one.checkpoints[step].weights for one in (found, wanted))
        assert all(torch.allclose(ours[n], theirs[n], atol=1e-5) for n in theirs)


def test_data_and_networks_of_other_shapes_are_crowds_of_their_own() -> None:
    grown = AppendPoints(points=((0.0, 5.0),)).run(SINE)
    data = [SINE, grown, SINE, grown, SINE, grown]
    models = [*nets(7)[:3], *nets(5)[3:]]
    found = together(recipe(), models, data)
    for at in range(6):
        alone = recipe().run(models[at], data[at], Seed(CELLS[at][1]), Circumstance())
        assert same(alone, found[at], ROUNDING)


def test_a_network_is_trained_on_from_its_weights_with_a_fresh_optimizer() -> None:
    """BUG of earlier implementations: a second scenario went on from the first one's weights."""
    base = together(recipe(), nets(), [SINE] * 6)
    starts = [one.last for one in base]
    kept = [{k: v.clone() for k, v in one.weights.items()} for one in starts]
    grown = AppendPoints(points=((0.0, 5.0),)).run(SINE)
    first = together(recipe(), starts, [grown] * 6)
    again = together(recipe(), starts, [grown] * 6)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    for before, start, tuned in zip(kept, starts, first, strict=True):
        assert all(torch.equal(before[n], start.weights[n]) for n in before)
        assert all(torch.equal(before[n], tuned.checkpoints[0].weights[n]) for n in before)
        assert not torch.equal(before["layers.0.bias"], tuned.last.weights["layers.0.bias"])


def test_classes_are_learned_too() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    data = Dataset({"train": {"x": x, "y": (x[:, 0] > 0).astype(int)}}, {"inputs": 2, "classes": 2})
    plugin = recipe(loss="cross_entropy", evaluate=(), best={"monitor": "train_loss"}, steps=100)
    found = together(plugin, nets(), [data] * 6)
    assert min(one.history.columns["train_accuracy"][-1] for one in found) > 0.9


def test_a_killed_run_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.maths.training import crowds, fitting

    wanted = together(recipe(), nets(), [SINE] * 6)
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_REPORTS", 0.0)
    plain = crowds.CrowdFitting.report

    def killed(self: Any) -> None:
        plain(self)
        if self.state.step == 33:
            raise KeyboardInterrupt

    monkeypatch.setattr(crowds.CrowdFitting, "report", killed)
    with pytest.raises(KeyboardInterrupt):
        together(recipe(), nets(), [SINE] * 6, scratch=tmp_path)
    monkeypatch.setattr(crowds.CrowdFitting, "report", plain)
    steps = []
    evaluate = crowds.CrowdFitting.evaluate
    monkeypatch.setattr(
        crowds.CrowdFitting,
        "evaluate",
        lambda self, step: steps.append(step) or evaluate(self, step),
    )
    found = together(recipe(), nets(), [SINE] * 6, scratch=tmp_path)
    assert steps == [40]
    assert all(same(a, b) for a, b in zip(found, wanted, strict=True))


def test_wrong_wishes_are_told() -> None:
    assert "between 0 and steps = 40" in str(
        recipe().model_copy(update={"save_at": (41,)}).check_parameters()
    )
    assert "supervised" in str(recipe(schedule={"plateau": {}}).check_parameters())
    assert "no column" in str(recipe(best={"monitor": "test_accuracy"}).check_parameters())
    with pytest.raises(RunnerError, match="no split 'test'"):
        recipe().run(Mlp(), replace(SINE, splits={"train": {}}), Seed(0), Circumstance())
    hot = recipe(optimizer={"sgd": {"lr": 1e9}})
    with pytest.raises(FloatingPointError, match=r"lower optimizer\.sgd\.lr"):
        hot.run(nets()[0], SINE, Seed(0), Circumstance())
