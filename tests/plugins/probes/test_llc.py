import math

import pytest
import torch
from pydantic import ValidationError

from plugins.maths.networks.stacked import Classification, Stack
from plugins.maths.sampling.fisher import diagonal
from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from plugins.probes.llc import Health, Llc
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split, Table

PRIME = 7
SMALL = Transformer(layers=2, heads=2, width=8, vocabulary=PRIME + 2, length=4, outputs=PRIME)
HERE = Circumstance()


def pairs() -> Split:
    a, b = torch.cartesian_prod(torch.arange(PRIME), torch.arange(PRIME)).T
    x = torch.stack([a, torch.full_like(a, PRIME), b, torch.full_like(a, PRIME + 1)], 1)
    return Split({"x": x.numpy(), "y": ((a + b) % PRIME).numpy()})


@pytest.fixture(scope="module")
def trained() -> Network:
    """A network that has learnt the table by heart, in double precision."""
    module = SMALL.initialise(Seed(0)).module().train()
    x, y = (torch.from_numpy(pairs()[name]) for name in "xy")
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    weights = {name: value.detach().double() for name, value in module.state_dict().items()}
    return Network(SMALL, weights)


def rows(nodes: list[Llc], models: list[Network], seed: int = 0) -> list[dict]:
    tables = Llc.run_batch(nodes, models, pairs(), Seed(seed), HERE)
    return [table.frame.iloc[0].to_dict() for table in tables]


def short(**change: object) -> Llc:
    values = {"step_size": 1e-5, "localisation": 100.0, "steps": 12, "burn_in": 6, "minibatch": 16}
    return Llc(**(values | change))


def moved(model: Network) -> list[Network]:
    factors = [(1.0, 1.0), (0.1, 1.0), (10.0, 0.1), (0.3, 3.0)]
    return [Rescale(alpha=alpha, beta=beta).run(model) for alpha, beta in factors]


def test_sisgld_is_invariant_under_rescaling_and_sgld_is_not(trained):
    invariant = rows([short(sampler="sisgld")] * 4, moved(trained))
    base = invariant[0]["llc"]
    assert base > 0
    # Only rounding of the rescaled weights in fp64 is left, amplified by the chain.
    assert all(abs(row["llc"] / base - 1) < 1e-9 for row in invariant)
    plain = [row["llc"] for row in rows([short(sampler="sgld")] * 4, moved(trained))]
    assert max(plain) / min(plain) > 1.5


def test_riemannian_is_invariant_with_relative_floor_and_covariant_localiser(trained):
    kinds = {"sampler": "rsgld", "floor_unit": "tensor", "floor": 0.1, "localiser": "metric"}
    node = short(**kinds, step_size=1e-9, metric_draws=200)
    found = [row["llc"] for row in rows([node] * 4, moved(trained))]
    assert 0.0 < min(found) < 100.0
    assert max(found) / min(found) - 1 < 1e-9


def test_own_noise_leaves_only_the_statistical_error_between_invariant_cells(trained):
    node = short(noise="own", step_size=1e-3, steps=150, burn_in=50)
    found = rows([node] * 4, moved(trained))
    values, errors = ([row[name] for row in found] for name in ("llc", "llc_se"))
    assert len(set(values)) == 4
    assert max(values) - min(values) < 4 * 2**0.5 * max(errors)


@pytest.mark.parametrize("change", [{"localiser": "euclidean"}, {"direction": "divide"}])
def test_other_forms_of_sisgld_are_not_invariant(trained, change):
    found = [row["llc"] for row in rows([short(**change)] * 4, moved(trained))]
    assert max(found) - min(found) > 0.01 * abs(found[0])


@pytest.mark.parametrize("sampler", ["sgld", "psgld", "rsgld", "sisgld"])
def test_a_cell_has_the_same_row_alone_and_in_any_chunk(trained, sampler):
    models = moved(Network(SMALL, {n: w.float() for n, w in trained.weights.items()}))
    unit = {"psgld": 1e-3, "rsgld": 1e-6}.get(sampler, 1.0)
    nodes = [
        short(sampler=sampler, step_size=unit * step, localisation=gamma, chunk=3, metric_draws=9)
        for step, gamma in ((1e-6, 10.0), (2e-6, 10.0), (1e-6, 50.0), (1e-9, 1.0))
    ]
    together = rows(nodes, models)
    assert all(math.isfinite(row["llc_se"]) for row in together)
    for node, model, row in zip(nodes, models, together, strict=True):
        single = node.model_copy(update={"chunk": 1})
        assert single.run(model, pairs(), Seed(0), HERE).frame.iloc[0].to_dict() == row


def test_factors_multiply_step_size_and_localisation(trained):
    factored = short(step_factor=2.0, localisation_factor=0.5)
    plain = short(step_size=2e-5, localisation=50.0)
    one, other = rows([factored, plain], [trained] * 2)
    assert one == other
    assert one["step_size"] == pytest.approx(2e-5)
    assert one != rows([short()], [trained])[0]


def test_row_follows_from_the_definition(trained):
    row = rows([short(step_size=1e-30, steps=4, minibatch=49)], [trained])[0]
    module = SMALL.build().double()
    module.load_state_dict(dict(trained.weights))
    x, y = (torch.from_numpy(pairs()[name]) for name in "xy")
    exact = torch.nn.functional.cross_entropy(module(x), y).item()
    assert row["loss_at_center"] == pytest.approx(exact, rel=1e-12)
    assert row["mean_loss"] == pytest.approx(exact, rel=1e-9)  # full batch, hardly any step
    assert abs(row["llc"]) < 1e-6
    assert "hardly moved" in row["reason"]


def test_llc_scales_the_excess_loss_by_n_beta(trained):
    row = rows([short()], [trained])[0]
    n_beta = 49 / math.log(49)
    assert row["llc"] == pytest.approx(n_beta * (row["mean_loss"] - row["loss_at_center"]))
    warm = rows([short(n_beta=5.0)], [trained])[0]
    assert warm["llc"] == pytest.approx(5.0 * (warm["mean_loss"] - warm["loss_at_center"]))
    loss = rows([short(mode="loss")], [trained])[0]
    assert loss["llc"] == pytest.approx(loss["mean_loss"])
    mean_of_halves = (row["llc_first_half"] + row["llc_second_half"]) / 2
    assert row["llc"] == pytest.approx(mean_of_halves)


def test_seeds_differ_and_repeat(trained):
    one, again, other = (rows([short()], [trained], seed)[0] for seed in (0, 0, 1))
    assert one == again
    assert one["llc"] != other["llc"]


def test_a_destroyed_chain_is_unhealthy_and_says_why(trained):
    row = rows([short(step_size=0.3, localisation=0.01)], [trained])[0]
    assert not row["healthy"]
    assert "accuracy" in row["reason"]


def test_a_chain_of_nan_is_unhealthy(trained):
    row = rows([short(sampler="sgld", step_size=1e300)], [trained])[0]
    assert (row["healthy"], row["reason"]) == (False, "loss or weights not finite")


GOOD = {
    "llc": 10.0, "llc_se": 1.0, "llc_first_half": 9.0, "llc_second_half": 11.0, "mean_loss": 0.1,
    "accuracy": 0.99, "accuracy_at_center": 1.0, "drift": 0.1, "reach": 0.9,
    "localisation": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        (
            {"llc": -1.0, "llc_se": 0.1, "llc_first_half": -1.0, "llc_second_half": -1.0},
            "not positive",
        ),
        ({"mean_loss": 2.0}, "loss 2 above 1.95"),
        ({"accuracy": 0.5}, "accuracy 0.5 below 0.51"),
        ({"llc_first_half": 5.0}, "halves 5 and 11 disagree"),
        ({"llc_first_half": 5.0, "llc_se": 2.0}, None),  # 6 apart, 8 would be noise
        ({"llc_se": 6.0}, "standard error 6 too large for 10"),
        ({"reach": 0.1}, "hardly moved: reach 0.1"),
        ({"reach": 1.6}, "beyond its localiser: reach 1.6"),
        ({"reach": 0.0, "localisation": 0.0}, None),
        ({"drift": 0.0}, "hardly moved"),
        ({"drift": math.nan}, "not finite"),
    ],
)
def test_each_rule_of_health_is_named_when_broken(change, reason):
    found = Health().reasons(GOOD | change, classes=49)
    assert len(found) == (reason is not None)
    assert reason is None or reason in found[0]


def test_rules_of_health_can_be_changed():
    lenient = Health(min_reach=0.0)
    assert lenient.reasons(GOOD | {"reach": 0.0}, classes=49) == []
    with pytest.raises(ValidationError):
        Health(min_accuracy=1.5)


def test_table_has_the_documented_columns_and_one_row(trained):
    table = short().run(trained, pairs(), Seed(0), HERE)
    assert isinstance(table, Table)
    assert set(table.columns) == set(Llc.columns)
    assert len(table) == 1


def test_fisher_is_the_mean_squared_score_under_the_models_labels(trained):
    """Against the exact sum over labels; each input is drawn often."""
    target = Classification(stack := Stack.of([trained]), pairs())
    loose = stack.flat * 0.5  # away from certainty, so that labels do vary
    module = SMALL.build().double()
    views = stack.layout.views(loose)
    module.load_state_dict({n: v[0] for n, v in views.items()} | {
        n: v[0] for n, v in stack.buffers.items()
    })  # fmt: skip
    exact = torch.zeros_like(loose[0])
    for x in target.x:
        log = module(x[None]).log_softmax(1)[0]
        for label in range(PRIME):
            score = torch.autograd.grad(log[label], list(module.parameters()), retain_graph=True)
            flat = torch.cat([part.reshape(-1) for part in score])
            exact += log[label].exp().detach() * flat.square() / len(target.x)
    found = diagonal(target, loose, Seed(0), 3000)[0]
    assert found.sum().item() == pytest.approx(exact.sum().item(), rel=0.1)
    large = exact > exact.mean()
    ratio = found[large] / exact[large]
    assert ratio.median().item() == pytest.approx(1.0, abs=0.15)


def test_impossible_parameters_are_refused(trained):
    assert "divides by zero" in Llc(sampler="psgld", floor=0.0).check_parameters()
    one = Split({name: values[:1] for name, values in pairs().arrays.items()})
    with pytest.raises(RunnerError, match="two data points"):
        Llc().run(trained, one, Seed(0), HERE)


def test_bf16_changes_the_llc_by_less_than_its_standard_error_and_not_the_loss_at_the_centre(
    trained,
):
    model = Network(SMALL, {name: value.float() for name, value in trained.weights.items()})
    # Both see the same noise, so what differs is the rounding of the products.
    full, half = (
        rows([short(precision=precision, steps=40, chains=2)], [model])[0]
        for precision in ("full", "bf16")
    )
    assert half["loss_at_center"] == full["loss_at_center"]
    assert half["llc"] != full["llc"]
    assert abs(half["llc"] - full["llc"]) < full["llc_se"]


def test_bf16_is_refused_where_no_gradient_is_stated(trained):
    squared = short(precision="bf16", loss="squared", sampler="sgld")
    with pytest.raises(RunnerError, match="leave it out"):
        rows([squared], [trained])
