"""The study against theory as it is written: its cases, its samplers, its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.maths.sampling.learning_coefficient import deep_linear, monomials

ROOT = Path(__file__).parents[2]
LAMBDA = {
    "linear 10": 5, "linear 100": 50, "x^4": 1 / 4, "x^6": 1 / 6, "x^2 y^2": 1 / 2,
    "x^2 y^4": 1 / 4, "x^2 + y^4": 3 / 4, "5-3-5 rank 0": 6.5, "5-3-5 rank 3": 10.5,
    "10-6-10 rank 3": 35, "4-4-4-4 rank 0": 5.5, "5-5-5-5 rank 2": 11,
}  # fmt: skip


def planned(folder: Path, profile: str | None) -> Any:
    from runner.running.journey import Wish, prepare

    spec = ROOT / "specs" / "llc_theory.toml"
    return prepare(Wish(spec, profile=profile, artifacts=folder)).plan


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return planned(tmp_path_factory.mktemp("artifacts"), None)


def nodes(plan: Any, step: str) -> list[tuple[dict[str, Any], Any]]:
    """Return coordinates and plugin of each cell; equal cells may be one node."""
    found = plan.steps[step]
    return [
        (dict(zip(found.axes, cell, strict=True)), node.plugin)
        for cell, node in found.nodes.items()
    ]


def test_every_case_meets_every_sampler_and_three_seeds(bare):
    cells = {(c["case"], c["sampler"], c["seed"]) for c, _ in nodes(bare, "llc")}
    samplers = ("sgld", "psgld", "rsgld", "sisgld")
    assert cells == {(c, s, seed) for c in LAMBDA for s in samplers for seed in (0, 1, 2)}


def test_each_case_is_the_one_of_its_name(bare):
    ranks = {cell["case"]: plugin.rank for cell, plugin in nodes(bare, "teacher")}
    for cell, net in nodes(bare, "net"):
        case = cell["case"]
        known = monomials(net.powers) if net.powers else deep_linear(net.widths, ranks[case])
        assert float(known.value) == pytest.approx(LAMBDA[case])
        assert all(net.origin)  # no tensor is zero at w*, where SI-SGLD could not move it


def test_the_samplers_and_the_theory_have_one_posterior(bare):
    pulls = {(c["case"], c["sampler"]): p for c, p in nodes(bare, "theory")}
    for cell, llc in nodes(bare, "llc"):
        theory = pulls[cell["case"], cell["sampler"]]
        assert (llc.rule().metric_localiser, llc.strengths()[1], llc.n_beta) == (
            theory.localiser == "metric", theory.localisation, theory.n_beta,
        )  # fmt: skip
        assert llc.minibatch == 1000


def test_the_smoke_profile_is_small(tmp_path):
    small = nodes(planned(tmp_path, "smoke"), "llc")
    assert len(small) == 48
    assert all(llc.chains * (llc.burn_in + llc.steps) <= 20_000 for _, llc in small)
