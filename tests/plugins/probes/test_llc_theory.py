import math

import numpy as np
import pytest

from plugins.data.linear_teacher import LinearTeacher
from plugins.maths.sampling.local_posterior import quadratic
from plugins.models.analytic import Analytic
from plugins.models.transformer import Transformer
from plugins.probes.llc import Health, Llc
from plugins.probes.llc_theory import LlcTheory
from plugins.trainers.closed_form import ClosedForm
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split

SQUARE = {"inputs": 3, "outputs": 3, "points": 300}
ANYWHERE = Health(min_reach=0.0)  # where the data hold a chain, the localiser's share is small


def world(model: Analytic, **data: object) -> tuple[Network, Split]:
    made = LinearTeacher(**data).run(Seed(0))
    return ClosedForm().run(model, made), made["train"]


def theory(network: Network, split: Split, **change: object) -> dict:
    table = LlcTheory(chains=60, warm_up=30, draws=20, **change).run(network, split, Seed(0))
    assert set(table.columns) == set(LlcTheory.columns)
    return table.frame.iloc[0].to_dict()


def estimate(network: Network, split: Split, seed: int = 0, **change: object) -> dict:
    values = {"localisation": 1.0, "minibatch": len(split), "chunk": 4096, "health": ANYWHERE}
    return Llc(**(values | change)).run(network, split, Seed(seed), Circumstance()).frame.iloc[0]


def test_each_kind_of_network_has_its_formula_and_its_finite_value():
    one = theory(*world(Analytic(widths=(3, 3)), **SQUARE))
    assert (one["lambda"], one["multiplicity"], one["finite_se"]) == (4.5, 1, 0.0)
    n_beta = 300 / math.log(300)
    assert one["n_beta"] == pytest.approx(n_beta)
    assert 4.3 < one["finite"] < 4.5
    two = theory(*world(Analytic(powers=((1, 1),)), whiten=True))
    assert (two["lambda"], two["multiplicity"], two["parameters"]) == (0.5, 2, 2)
    assert two["finite"] == pytest.approx(0.3614, abs=1e-4)
    deep = theory(*world(Analytic(widths=(3, 2, 3)), rank=1, **SQUARE))
    # By hand: (rank 1) D = (2, 1, 2): (6 - 1) / 2 + 0 - 1/2 * (5/2)^2 + (2 + 4 + 2) / 2 + 1/8
    assert deep["lambda"] == 2.5 + 1 / 8 - 3.125 + 4
    assert 0 < deep["finite_se"] < 0.1
    assert deep["finite"] == pytest.approx(deep["lambda"], rel=0.1)


def test_the_localiser_in_the_metric_is_gamma_over_the_mean_square_of_each_tensor():
    network, split = world(Analytic(powers=((1, 2),), origin=(2.0, 0.5)), whiten=True)
    found = theory(network, split, localisation=3.0, localiser="metric")["finite"]
    from plugins.maths.sampling.local_posterior import monomials

    n_beta = len(split) / math.log(len(split))
    assert found == pytest.approx(monomials([[1, 2]], [3 / 4, 3 / 0.25], n_beta).value)


def test_other_networks_other_places_and_other_inputs_are_refused():
    network, split = world(Analytic(widths=(3, 2, 3)), rank=1, **SQUARE)
    with pytest.raises(RunnerError, match="no formula is known for Transformer"):
        theory(Network(Transformer(), {}), split)
    moved = Network(network.architecture, {n: w + 0.1 for n, w in network.weights.items()})
    with pytest.raises(RunnerError, match=r"tensors\.0 is not at the most singular minimum"):
        theory(moved, split)
    with pytest.raises(RunnerError, match="set whiten = true"):
        theory(*world(Analytic(powers=((2,),))))


SAMPLERS = {
    "sgld": {"floor": 0.0},
    "psgld": {"floor": 1.0},
    "rsgld": {"floor": 1.0},
    "sisgld": {"step_factor": 0.6, "localiser": "metric"},
}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_finds_the_closed_form_of_a_regression(sampler):
    """10 weights, 200 chains of 400 kept steps: the standard error must be below 2 %."""
    network, split = world(Analytic(widths=(10, 1), origin=(1.3,)), inputs=10, rank=1, points=200)
    kinds = SAMPLERS[sampler]
    row = estimate(
        network, split, sampler=sampler, step_size=2e-3, chains=200, burn_in=200, steps=400, **kinds
    )
    exact = theory(network, split, localiser=kinds.get("localiser", "euclidean"))["finite"]
    assert row["healthy"], row["reason"]
    assert row["llc_se"] < 0.02 * exact
    # The step's bias is granted: step * curvature / 4, at most 2e-3 * 38 * 1.5 / 4.
    assert abs(row["llc"] - exact) < 4 * row["llc_se"] + 0.029 * exact
    # A half chain with ESS e has a mean of variance 1 / e: that much R-hat^2 is above 1.
    # Ranks of squares correlate less than the squares do, so that it is not all of it.
    assert 0.5 < (row["rhat"] ** 2 - 1) / (2 * 200 / row["ess"]) < 1.1
    assert row["chain_steps"] == 120_000


def test_the_bias_of_a_large_step_is_the_one_of_the_closed_form():
    network, split = world(Analytic(widths=(10, 1)), inputs=10, rank=1, points=200)
    row = estimate(
        network, split, sampler="sgld", step_size=0.03, chains=200, burn_in=60, steps=300
    )
    moments = split["x"].T @ split["x"] / 200
    stiffness, n_beta = np.ones(10), 200 / math.log(200)
    exact = quadratic(moments, stiffness, n_beta, 0.03).value
    assert exact > 1.25 * quadratic(moments, stiffness, n_beta).value
    assert row["llc"] == pytest.approx(exact, abs=4 * row["llc_se"])
    assert row["llc"] == pytest.approx(exact, rel=0.03)


def test_a_network_at_zero_cannot_be_moved_by_its_norm_and_the_row_says_so():
    network, split = world(Analytic(powers=((2,),)), whiten=True)
    row = estimate(network, split, sampler="sisgld", step_size=1e-3, steps=20, burn_in=0)
    assert (row["frozen_tensors"], row["llc"], row["healthy"]) == (1, 0.0, False)
    assert "hardly moved" in row["reason"]


def test_the_loss_follows_from_the_labels_and_can_be_chosen():
    network, split = world(Analytic(widths=(3, 3)), rank=2, **SQUARE)
    short = {"sampler": "sgld", "step_size": 1e-3, "steps": 5, "burn_in": 0}
    row = estimate(network, split, **short)
    assert row["loss_at_center"] < 1e-25
    assert math.isnan(row["accuracy"])
    labels = np.abs(split["y"]).argmax(1)
    classes = Split({"x": split["x"], "y": labels})
    assert estimate(network, classes, **short)["loss_at_center"] > 0.1
    with_loss = estimate(network, classes, loss="cross_entropy", **short)
    assert 0 <= with_loss["accuracy"] <= 1


def test_dividing_by_the_norm_is_another_chain_whose_law_is_the_same_in_equilibrium():
    """Lambda stays Euclidean here, so that the direction changes the speed of each tensor only."""
    network, split = world(Analytic(widths=(10, 1), origin=(1.3,)), inputs=10, rank=1, points=200)
    common = {"localiser": "euclidean", "chains": 100, "burn_in": 200, "steps": 300}
    size = network.weights["tensors.0"].square().mean().item()
    multiply = estimate(network, split, step_size=1e-3 / size, **common)
    divide = estimate(network, split, step_size=1e-3 * size, direction="divide", **common)
    # One tensor: both have step * metric = 1e-3, and so one trajectory.
    assert divide["llc"] == pytest.approx(multiply["llc"], rel=1e-9)
    other = estimate(network, split, step_size=1e-3 / size, direction="divide", **common)
    assert other["llc"] != pytest.approx(multiply["llc"], rel=1e-6)


def test_mode_loss_is_the_mean_loss_of_the_same_chain():
    network, split = world(Analytic(widths=(3, 3)), rank=2, **SQUARE)
    short = {"sampler": "sgld", "step_size": 1e-3, "steps": 50, "burn_in": 10, "chains": 4}
    one, two = (estimate(network, split, mode=mode, **short) for mode in ("llc", "loss"))
    n_beta = 300 / math.log(300)
    assert two["llc"] == pytest.approx(one["mean_loss"])
    assert two["llc_se"] * n_beta == pytest.approx(one["llc_se"])
    assert one["rhat"] == two["rhat"]
