"""The density of states of a training run as a step."""

import numpy as np
import pytest

from plugins.probes.density_of_states import DensityOfStates, States
from runner.errors import RunnerError
from runner.types import Seed, Table

STEP = np.arange(0, 4000, 20)
LOSS = np.exp(-STEP / 800) + 1e-3 * (2 + np.sin(STEP))


def run(table: Table, seed: int = 0, **parameters: object) -> States:
    given = {"bins": 50, "final": 1e-3, **parameters}
    return DensityOfStates.model_validate(given).run(table, Seed(seed))


def training(order: np.ndarray | None = None) -> Table:
    chosen = slice(None) if order is None else order
    return Table({"step": STEP[chosen], "train_loss": LOSS[chosen]})


def test_energies_are_logarithms_in_equal_bins_and_counts_are_exact() -> None:
    found = run(training())
    states = found.checkpoints.frame
    assert states["energy"].to_numpy() == pytest.approx(np.log(LOSS))
    assert states["at"].tolist() == STEP.tolist()
    counts, edges = np.histogram(np.log(LOSS), 50)
    density = found.density.frame
    assert density["bin"].tolist() == np.flatnonzero(counts).tolist()
    assert np.exp(density["log_count"]).to_numpy() == pytest.approx(counts[counts > 0])
    middle = (edges[1:] + edges[:-1]) / 2
    assert density["energy"].to_numpy() == pytest.approx(middle[counts > 0])
    weights = dict(zip(density["bin"], density["log_g"], strict=True))
    assert states["log_weight"].tolist() == [-weights[b] for b in states["bin"]]


def test_the_walk_finds_the_counts() -> None:
    found = run(training(), bins=20, final=2e-4)
    summary = found.summary.frame.iloc[0]
    gap = (found.density.frame["log_g"] - found.density.frame["log_count"]).abs().max()
    assert summary["error"] == pytest.approx(gap)
    assert summary["error"] < 0.3
    assert bool(summary["converged"])
    assert np.exp(found.density.frame["log_g"]).sum() == pytest.approx(len(STEP))
    assert found.density.frame["visits"].sum() == summary["steps"]


def test_rows_are_put_in_order_and_the_seed_alone_decides() -> None:
    shuffled = training(np.random.default_rng(0).permutation(len(STEP)))
    one, again, other = run(training()), run(shuffled), run(training(), seed=1)
    assert one.density.frame.equals(again.density.frame)
    assert not one.density.frame.equals(other.density.frame)


def test_averages_at_no_temperature_weight_are_those_of_the_walk() -> None:
    found = run(training(), inverse_temperatures=(0.0, 2.0, 3))
    density, heat = found.density.frame, found.thermal.frame
    weights = np.exp(density["log_g"])
    assert heat["inverse_temperature"].tolist() == [0, 1, 2]
    mean = (weights * density["energy"]).sum() / weights.sum()
    assert heat["mean_energy"][0] == pytest.approx(mean)
    assert heat["mean_energy"].is_monotonic_decreasing  # by -variance


def test_every_column_is_declared() -> None:
    found = run(training())
    names = {name for table in vars(found).values() for name in table.columns}
    assert names == set(DensityOfStates.columns)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (Table({"step": [0, 1], "train_loss": [1.0, 0.0]}), "positive and finite"),
        (Table({"step": [0, 1], "train_loss": [1.0, np.nan]}), "positive and finite"),
        (Table({"step": [0, 0], "train_loss": [1.0, 2.0]}), "one row for each step"),
    ],
)
def test_what_is_no_run_is_refused(table: Table, words: str) -> None:
    with pytest.raises(RunnerError, match=words):
        run(table)
