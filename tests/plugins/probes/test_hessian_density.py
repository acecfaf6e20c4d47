"""The probe of spectral densities: what it hands on."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.models.linear import Linear
from plugins.probes.hessian_block import HessianBlock
from plugins.probes.hessian_density import HessianDensities, HessianDensity
from runner.types import Circumstance, Network, Seed, Split, Table, Trained

MODEL = Linear(inputs=5, outputs=3)
G = np.random.default_rng(0)
DATA = Split({"x": G.standard_normal((40, 5)), "y": G.integers(0, 3, 40)})
ONE, OTHER = (MODEL.initialise(Seed(n)) for n in (0, 1))
RUN = Trained({0: ONE}, OTHER, OTHER, Table({"step": [0, 7]}))


def made(model: Network | Trained, **wish: object) -> HessianDensities:
    probe = HessianDensity(precision="float64", **wish)
    return probe.run(model, DATA, Seed(0), Circumstance())


def test_the_density_of_each_snapshot_integrates_to_one() -> None:
    frame = made(RUN).density.frame
    assert frame.groupby("snapshot").size().tolist() == [512, 512]
    for _, own in frame.groupby("snapshot"):
        assert np.trapezoid(own["density"], own["eigenvalue"]) == pytest.approx(1, abs=1e-3)
    grids = [own["eigenvalue"].to_numpy() for _, own in frame.groupby("snapshot")]
    np.testing.assert_array_equal(*grids)


def test_moments_lie_within_their_standard_errors() -> None:
    frame = made(ONE, vectors=50).moments.frame.iloc[0]
    values = HessianBlock(block="all", precision="float64").run(
        ONE, DATA, Seed(0), Circumstance()
    ).blocks["eigenvalues"][0]  # fmt: skip
    assert abs(frame["mean"] - values.mean()) < 4 * frame["mean_se"]
    assert abs(frame["mean_square"] - (values**2).mean()) < 4 * frame["mean_square_se"]
    assert frame["largest"] == pytest.approx(values.max())
    assert frame["least"] == pytest.approx(values.min(), abs=1e-9)


def test_nodes_are_kept_with_their_weights() -> None:
    frame = made(RUN, vectors=2, lanczos_steps=5).nodes.frame
    assert len(frame) == 2 * 2 * 5
    np.testing.assert_allclose(frame.groupby(["snapshot", "vector"])["weight"].sum(), 1)
