"""The probe of traces: what it hands on."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.models.linear import Linear
from plugins.probes.hessian_block import HessianBlock
from plugins.probes.hessian_trace import HessianTrace
from runner.types import Circumstance, Network, Seed, Split, Table, Trained

MODEL = Linear(inputs=5, outputs=3)
G = np.random.default_rng(0)
DATA = Split({"x": G.standard_normal((40, 5)), "y": G.integers(0, 3, 40)})
ONE, OTHER = (MODEL.initialise(Seed(n)) for n in (0, 1))
RUN = Trained({0: ONE}, OTHER, OTHER, Table({"step": [0, 7]}))


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_traces_of_a_run_lie_within_their_standard_errors(method: str) -> None:
    probe = HessianTrace(method=method, samples=100, sketch=3, precision="float64")
    found = probe.run(RUN, DATA, Seed(0), Circumstance())
    exact = HessianBlock(block="all", precision="float64").run(RUN, DATA, Seed(0), Circumstance())
    frame, wanted = found.table.frame, exact.table.frame["trace"]
    assert frame["steps"].tolist() == [0, 7]
    assert ((frame["trace"] - wanted).abs() < 4 * frame["trace_se"]).all()
    assert frame["hvps"].tolist() == [100 if method == "hutchinson" else 106] * 2
    assert frame["parameters"].tolist() == [18, 18]


def test_layers_add_up_to_the_whole() -> None:
    found = HessianTrace(samples=10).run(ONE, DATA, Seed(0), Circumstance())
    layers = found.layers.frame
    assert layers["tensor"].tolist() == ["layers.0.weight", "layers.0.bias"]
    assert layers["parameters"].tolist() == [15, 3]
    assert layers["trace"].sum() == pytest.approx(float(found.table.frame["trace"].iloc[0]))


def test_samples_are_kept() -> None:
    found = HessianTrace(samples=10).run(RUN, DATA, Seed(0), Circumstance())
    assert found.samples["totals"].shape == (2, 10)
    assert found.samples["layers"].shape == (2, 10, 2)
    np.testing.assert_allclose(found.samples["totals"].mean(1), found.table.frame["trace"])


def test_equal_seeds_give_equal_traces() -> None:
    def made(model: Network | Trained, seed: int) -> list[float]:
        found = HessianTrace(samples=4).run(model, DATA, Seed(seed), Circumstance())
        return list(found.table.columns["trace"])

    assert made(ONE, 3) == made(ONE, 3) == made(RUN, 3)[:1]
    assert made(ONE, 3) != made(ONE, 4)
