import math

import pytest
import torch

from plugins.maths.networks.stacked import Layout
from plugins.maths.sampling.langevin import Draws, Rule, Schedule, names, sample
from runner.types import Seed


class Quadratic:
    """Loss sum_i h_i w_i^2 / 2 for every cell, exact gradient, its own minimum at 0."""

    def __init__(self, curvature: torch.Tensor, points: int = 1000) -> None:
        self.curvature, self.points = curvature, points

    def gradient(self, flat, cells, rows, out):
        torch.mul(flat, self.curvature, out=out)
        loss = (self.curvature * flat.square()).sum(1) / 2
        return loss, torch.ones_like(loss)


def schedule(cells: int = 1, **change: object) -> Schedule:
    values = {
        "step_size": torch.full((cells,), 0.01, dtype=torch.float64),
        "localisation": torch.full((cells,), 1.0, dtype=torch.float64),
        "n_beta": 144.8, "steps": 20, "burn_in": 0, "chains": 1, "batch_size": 10**9,
    }  # fmt: skip
    return Schedule(**(values | change))


def layout(*sizes: int) -> Layout:
    return Layout({f"t{i}": torch.Size([size]) for i, size in enumerate(sizes)})


PLAIN = Rule("sgld", floor=0.0, relative=False)
SCALED = Rule("sisgld", floor=0.0, relative=True, metric_localiser=True)


@pytest.mark.parametrize("strength", [0.1, 0.5])
def test_sgld_on_a_quadratic_has_the_exact_finite_step_mean(strength):
    """lambda^ = sum n*beta h / (2 k (1 - e k / 4)), k = n*beta h + gamma; all directions alike.

    4,000 directions are 4,000 independent chains: the standard error of the mean is known.
    """
    n_beta, gamma, h, size = 144.8, 1.0, 0.7, 4000
    stiff = n_beta * h + gamma
    step = 4 * strength / stiff
    plan = schedule(
        step_size=torch.tensor([step], dtype=torch.float64), steps=400, burn_in=100, chains=2
    )
    target = Quadratic(torch.full((size,), h, dtype=torch.float64))
    center = torch.zeros(1, size, dtype=torch.float64)
    traces = sample(target, layout(size), center, rule=PLAIN, schedule=plan, seed=Seed(0))
    estimate = n_beta * traces.loss.mean().item() / size
    exact = n_beta * h / (2 * stiff * (1 - strength))
    # A direction's draws decorrelate as rho^(2 lag), rho = 1 - 2 * strength.
    rho2 = (1 - 2 * strength) ** 2
    effective = size * 2 * 400 * (1 - rho2) / (1 + rho2)
    assert abs(estimate - exact) < 4 * exact * math.sqrt(2 / effective)
    assert abs(estimate / exact - 1) < 0.01


def test_the_metric_of_psgld_forgets_where_the_chain_was_before_draws_are_kept():
    """A metric that ends with burn-in favours the chain's last places: 37 % too much here."""
    n_beta, h, size = 144.8, 1.0, 20_000
    plan = schedule(
        step_size=torch.tensor([2e-5], dtype=torch.float64), burn_in=1500, steps=30,
        localisation=torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip
    target = Quadratic(torch.full((size,), h, dtype=torch.float64))
    center = torch.zeros(1, size, dtype=torch.float64)
    rule = Rule("psgld", floor=0.05, relative=False, decay=0.95)
    traces = sample(
        target, layout(size), center, rule=rule, schedule=plan, seed=Seed(0),
        curvature=torch.zeros_like(center),
    )  # fmt: skip
    estimate = n_beta * traces.loss.mean().item() / size
    assert abs(estimate / 0.5 - 1) < 4 * math.sqrt(2 / size)


def test_reach_is_one_where_the_localiser_alone_acts():
    plan = schedule(step_size=torch.tensor([0.05], dtype=torch.float64), steps=400)
    flat = Quadratic(torch.zeros(4000, dtype=torch.float64))
    center = torch.zeros(1, 4000, dtype=torch.float64)
    traces = sample(flat, layout(4000), center, rule=PLAIN, schedule=plan, seed=Seed(0))
    # Stationary variance of the discretised localiser is 1 / (1 - e / 4); error sqrt(2 / 4000).
    assert traces.reach.item() == pytest.approx(1 / (1 - 0.05 / 4), abs=4 * math.sqrt(2 / 4000))


def reference(rule, center, curvature, *, target, plan, seed, sizes):
    """The update written out with loops over cells, tensors and steps."""
    loss = torch.empty(len(center), plan.chains, plan.steps, dtype=center.dtype)
    for cell in range(len(center)):
        for chain in range(plan.chains):
            noise = seed.torch("noise", chain)
            w, star = center[cell].clone(), center[cell]
            v = None if curvature is None else curvature[cell].clone()
            for step in range(plan.burn_in + plan.steps):
                out = torch.empty(1, len(w), dtype=w.dtype)
                value, _ = target.gradient(w[None], slice(cell, cell + 1), None, out)
                g = out[0]
                xi = torch.randn(16, generator=noise, dtype=w.dtype)[: len(w)]  # rows of 16
                if step >= plan.burn_in:
                    loss[cell, chain, step - plan.burn_in] = value[0]
                moved = []
                for t, part in enumerate(torch.arange(len(w)).split(sizes)):
                    if rule.sampler == "sgld":
                        d = torch.ones(len(part), dtype=w.dtype)
                    elif rule.sampler == "psgld":
                        d = 1 / (rule.floor + v[part].sqrt())
                    elif rule.sampler == "rsgld":
                        d = 1 / (rule.floor * v[part].mean() + v[part])
                    else:
                        norm = star[part].square().sum() / (
                            sizes[t] if rule.norm == "mean_square" else 1
                        )
                        d = norm if rule.direction == "multiply" else 1 / norm
                    eps, gamma = plan.step_size[cell], plan.localisation[cell]
                    pull = gamma / d if rule.metric_localiser else gamma
                    drift = d * (plan.n_beta * g[part] + pull * (w[part] - star[part]))
                    moved.append(w[part] - eps / 2 * drift + (eps * d).sqrt() * xi[part])
                if rule.sampler == "psgld" and step < plan.burn_in // 2:
                    v = rule.decay * v + (1 - rule.decay) * g**2
                w = torch.cat(moved)
    return loss


RULES = [
    PLAIN,
    Rule("sgld", floor=0.0, relative=False, metric_localiser=True),
    Rule("psgld", floor=0.1, relative=False, decay=0.9),
    Rule("rsgld", floor=0.1, relative=True),
    SCALED,
    Rule("sisgld", floor=0.0, relative=True, norm="sum_square"),
    Rule("sisgld", floor=0.0, relative=False, direction="divide"),
]


def world():
    generator = torch.Generator().manual_seed(1)
    sizes = [3, 1, 4]
    center = torch.randn(3, 8, generator=generator, dtype=torch.float64)
    h = torch.rand(8, generator=generator, dtype=torch.float64)
    v = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    plan = schedule(
        3, step_size=torch.tensor([1e-3, 2e-3, 3e-3], dtype=torch.float64),
        localisation=torch.tensor([1.0, 0.0, 5.0], dtype=torch.float64),
        burn_in=7, steps=12, chains=2,
    )  # fmt: skip
    return sizes, center, Quadratic(h), v, plan


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.sampler}-{rule.direction}")
def test_every_sampler_equals_the_update_written_out(rule):
    sizes, center, target, v, plan = world()
    traces = sample(
        target, layout(*sizes), center, rule=rule, schedule=plan, seed=Seed(5), curvature=v
    )
    expected = reference(rule, center, v, target=target, plan=plan, seed=Seed(5), sizes=sizes)
    torch.testing.assert_close(traces.loss, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("rule", RULES[:5], ids=lambda rule: rule.sampler)
def test_chunks_change_no_bit(rule):
    sizes, center, target, v, plan = world()
    one, two = (
        sample(
            target, layout(*sizes), center, rule=rule, schedule=plan, seed=Seed(5), curvature=v,
            chunk=chunk,
        )
        for chunk in (1, 2)
    )  # fmt: skip
    assert torch.equal(one.loss, two.loss)
    assert torch.equal(one.drift, two.drift)
    assert torch.equal(one.reach, two.reach)


@pytest.mark.parametrize("size", [16, 35])
def test_noise_does_not_depend_on_how_much_is_drawn_ahead_nor_on_other_chains(size, monkeypatch):
    like = torch.zeros(1, size)

    def drawn(chains: range, ahead: int) -> torch.Tensor:
        monkeypatch.setattr(Draws, "AHEAD", ahead)
        draws = Draws(Seed(3), chains, (10, 10), None)
        return torch.stack([draws.noise(like) for _ in range(7)], dim=2)  # (1, chains, 7, size)

    together = drawn(range(3), 3 * 48 * 4)
    assert torch.equal(drawn(range(3), 1), together)
    assert torch.equal(drawn(range(1, 2), 48), together[:, 1:2])
    if size % 16 == 0:
        plain = torch.randn(size, generator=Seed(3).torch("noise", 0))
        assert torch.equal(together[0, 0, 0], plain)


@pytest.mark.parametrize("rule", RULES[:5], ids=lambda rule: rule.sampler)
def test_chains_computed_together_are_those_computed_one_by_one(rule):
    """All the data in a minibatch: one computation. One row less: chain after chain."""
    sizes, center, target, v, plan = world()
    values = {"rule": rule, "seed": Seed(5), "curvature": v, "chunk": 4}
    apart = Schedule(**(vars(plan) | {"batch_size": target.points - 1}))
    one = sample(target, layout(*sizes), center, schedule=plan, **values)
    two = sample(target, layout(*sizes), center, schedule=apart, **values)
    assert torch.equal(one.loss, two.loss)
    torch.testing.assert_close(one.reach, two.reach, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(one.drift, two.drift, rtol=1e-12, atol=0.0)


class Rescaled(Quadratic):
    """The quadratic of w / c: the same function of rescaled parameters."""

    def __init__(self, curvature: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__(curvature / scale**2)


@pytest.mark.parametrize(
    ("rule", "flat"),
    [
        (SCALED, True),
        (Rule("rsgld", floor=0.1, relative=True, metric_localiser=True), True),
        (Rule("sisgld", floor=0.0, relative=True, metric_localiser=False), False),
        (PLAIN, False),
    ],
    ids=["sisgld", "rsgld-covariant", "sisgld-euclidean", "sgld"],
)
def test_rescaled_tensors_give_the_same_trace_only_in_a_covariant_metric(rule, flat):
    sizes, center, target, v, plan = world()
    scale = torch.tensor([0.1] * 3 + [7.0] + [3.0] * 4, dtype=torch.float64)
    found = [
        sample(quadratic, layout(*sizes), w, rule=rule, schedule=plan, seed=Seed(5), curvature=f)
        for quadratic, w, f in (
            (target, center, v),
            (Rescaled(target.curvature, scale), center * scale, v / scale**2),
        )
    ]
    gap = (found[0].loss - found[1].loss).abs().max() / found[0].loss.abs().max()
    assert (gap < 1e-12) if flat else (gap > 1e-3)


def test_a_zero_tensor_is_kept_and_counted():
    sizes, center, target, _, plan = world()
    center[1, 3] = 0.0  # the second tensor of the second cell, of one entry
    traces = sample(target, layout(*sizes), center, rule=SCALED, schedule=plan, seed=Seed(5))
    assert traces.frozen.tolist() == [0, 1, 0]
    assert traces.loss.isfinite().all()


def test_chains_and_seeds_differ_and_the_first_chain_ignores_the_number_of_chains():
    sizes, center, target, _, plan = world()
    more = sample(target, layout(*sizes), center, rule=PLAIN, schedule=plan, seed=Seed(5)).loss
    single = Schedule(**(vars(plan) | {"chains": 1}))
    one = sample(target, layout(*sizes), center, rule=PLAIN, schedule=single, seed=Seed(5)).loss
    other = sample(target, layout(*sizes), center, rule=PLAIN, schedule=plan, seed=Seed(6)).loss
    assert torch.equal(more[:, 0], one[:, 0])
    assert not torch.equal(more[:, 0], more[:, 1])
    assert not torch.equal(more, other)


def test_own_streams_are_independent_of_company_and_common_noise_is_not_used():
    sizes, center, target, _, plan = world()
    values = {"rule": PLAIN, "schedule": plan, "seed": Seed(5)}
    own = sample(target, layout(*sizes), center, streams=["a", "b", "c"], **values).loss
    again = sample(target, layout(*sizes), center, streams=["a", "x", "c"], chunk=2, **values).loss
    assert torch.equal(own[[0, 2]], again[[0, 2]])
    assert not torch.equal(own[1], again[1])
    assert not torch.equal(own, sample(target, layout(*sizes), center, **values).loss)


def test_stream_names_follow_from_the_weights():
    center = world()[1]
    assert names(center)[1:] == names(center[1:])
    assert len(set(names(center))) == 3
