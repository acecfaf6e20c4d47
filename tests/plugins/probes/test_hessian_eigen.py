"""The probe that finds eigenpairs: what it hands on, along a run and at one network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev
from torch.nn import functional as F

from plugins.maths.curvature import eigen
from plugins.models.mlp import Mlp
from plugins.probes.hessian_eigen import Eigenpairs, HessianEigen
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split, Table, Trained

MODEL = Mlp(hidden=(5,), activation="tanh", inputs=4, outputs=3)  # 43 parameters
G = np.random.default_rng(0)
DATA = Split({"x": G.standard_normal((64, 4)), "y": G.integers(0, 3, 64)})
START = MODEL.initialise(Seed(1))
EXACT: dict[str, Any] = {"precision": "float64", "tolerance": 1e-8}


def moved(network: Network, share: float) -> Network:
    other = MODEL.initialise(Seed(2)).weights
    return Network(
        MODEL, {n: (1 - share) * v + share * other[n] for n, v in network.weights.items()}
    )


def run_of(*shares: float) -> Trained:
    """Return a run whose snapshots move from one network towards another."""
    networks = {10 * k: moved(START, share) for k, share in enumerate(shares)}
    end = 10 * len(shares)
    last = moved(START, shares[-1] + 0.01)
    return Trained(networks, last, last, Table({"step": [0, end]}))


def made(
    model: Network | Trained = START, here: Circumstance | None = None, **wish: Any
) -> Eigenpairs:
    own = {"pairs": 6, **wish}
    return HessianEigen(**own).run(model, DATA, Seed(0), here or Circumstance())


def dense(network: Network) -> torch.Tensor:
    module = network.module().double()
    x, y = torch.as_tensor(DATA["x"]), torch.as_tensor(DATA["y"])
    weights = {n: v.detach() for n, v in module.named_parameters()}
    blocks = jacrev(jacrev(lambda w: F.cross_entropy(functional_call(module, w, (x,)), y)))(weights)
    sizes = {n: v.numel() for n, v in weights.items()}
    return torch.cat([
        torch.cat([blocks[n][m].reshape(sizes[n], sizes[m]) for m in sizes], 1) for n in sizes
    ])  # fmt: skip


def test_values_and_vectors_are_those_of_the_dense_hessian() -> None:
    found = made(**EXACT)
    values, vectors = torch.linalg.eigh(dense(START))
    best = values.abs().argsort(descending=True)[:6]
    frame = found.table.frame
    np.testing.assert_allclose(frame["eigenvalue"], values[best], atol=1e-6)
    assert frame["index"].tolist() == [1, 2, 3, 4, 5, 6]
    assert frame["converged"].all()
    cosines = np.abs((found.vectors["vectors"][0] * vectors.T[best].numpy()).sum(1))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    assert {*frame.columns} == {*HessianEigen.columns}


def test_negative_values_are_shown() -> None:
    least = float(torch.linalg.eigvalsh(dense(START))[0])
    assert least < 0
    frame = made(which="both", **EXACT).table.frame
    assert frame["eigenvalue"].min() == pytest.approx(least, abs=1e-8)
    # `largest` hides them: the reason for the default
    assert made(which="largest", pairs=3, **EXACT).table.frame["eigenvalue"].min() > 0
    wide = made(pairs=43, **EXACT).table.frame
    assert wide["eigenvalue"].min() == pytest.approx(least, abs=1e-8)


def test_a_pair_that_has_not_converged_is_marked() -> None:
    frame = made(max_products=8, tolerance=1e-7, precision="float64").table.frame
    assert len(frame) == 6
    assert not frame["converged"].all()
    assert (frame["converged"] == (frame["residual"] <= 1e-7)).all()
    assert (frame["hvps"] == 8).all()


def test_a_run_is_walked_in_order_each_from_the_one_before() -> None:
    run = run_of(0.0, 0.01, 0.02)
    frame = made(run).table.frame
    firsts = frame[frame["index"] == 1]
    assert firsts["steps"].tolist() == [0, 10, 20, 30]
    assert firsts["snapshot"].tolist() == [0, 1, 2, 3]
    assert firsts["warm"].tolist() == [False, True, True, True]
    for number, network in enumerate([*run.checkpoints.values(), run.last]):
        values = torch.linalg.eigvalsh(dense(network))
        wanted = values[values.abs().argsort(descending=True)[:6]]
        own = frame[frame["snapshot"] == number]["eigenvalue"]
        np.testing.assert_allclose(own, wanted, rtol=1e-4)


def test_known_vectors_save_products() -> None:
    run = run_of(0.0, 0.002, 0.004, 0.006)
    cold, warm = (made(run, warm=w, tolerance=1e-4, precision="float64") for w in (False, True))
    spent = [
        one.table.frame.query("snapshot > 0 and index == 1")["hvps"].sum() for one in (cold, warm)
    ]
    assert spent[1] < spent[0]
    np.testing.assert_allclose(
        warm.table.frame["eigenvalue"], cold.table.frame["eigenvalue"], rtol=1e-5
    )


def test_all_engines_agree() -> None:
    ours = made(pairs=3, tolerance=1e-4).table.frame["eigenvalue"]
    block = made(pairs=3, tolerance=1e-4, engine="lobpcg").table.frame["eigenvalue"]
    theirs = made(pairs=3, tolerance=1e-6, engine="pyhessian", max_products=1500).table.frame
    np.testing.assert_allclose(block, ours, rtol=1e-4)
    np.testing.assert_allclose(theirs["eigenvalue"], ours, rtol=1e-3)


def test_the_summary_stands_for_the_dense_matrix() -> None:
    found = made(run_of(0.0, 0.01), **EXACT).summary
    values = found["eigenvalues"]
    assert found["projected"].shape == (3, 6, 6)
    np.testing.assert_allclose(found["projected"], [np.diag(v) for v in values], atol=1e-9)
    assert found["alpha"].shape == found["beta"].shape
    assert np.isfinite(found["alpha"][0]).any()
    assert set(found.arrays) == set(found.dimensions)


def test_the_share_of_the_gradient_is_that_along_each_vector() -> None:
    found = made(pairs=43, **EXACT)
    assert found.table.frame["gradient_share"].sum() == pytest.approx(1.0)  # a whole basis


def test_a_killed_node_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, here = run_of(0.0, 0.01, 0.02), Circumstance(scratch=tmp_path / "node")
    whole = made(run)
    true, calls = eigen.lanczos, []

    def dying(*args: Any, **ports: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return true(*args, **ports)

    monkeypatch.setattr(eigen, "lanczos", dying)
    with pytest.raises(KeyboardInterrupt):
        made(run, here)
    again = made(run, here)
    assert len(calls) == 5  # two of the first time, one cut off, two of the second
    assert again.table.frame.equals(whole.table.frame)
    assert np.array_equal(again.vectors["vectors"], whole.vectors["vectors"])


def test_progress_runs_through_the_snapshots() -> None:
    seen: list[tuple[float, float]] = []
    made(run_of(0.0, 0.01), Circumstance(progress=lambda done, most, _: seen.append((done, most))))
    places = [done for done, _ in seen]
    assert places == sorted(places)
    assert {most for _, most in seen} == {3}
    assert places[-1] < 3


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"basis": 7}, "basis = 7 must be at least pairs"),
        ({"max_products": 5}, "max_products = 5 must be at least pairs"),
        ({"engine": "pyhessian", "which": "largest"}, "'magnitude'"),
        ({"engine": "pyhessian", "precision": "float64"}, "'float32'"),
        ({"engine": "pyhessian", "operator": "ggn"}, "'hessian'"),
    ],
)
def test_what_does_not_go_together_is_told_of(wish: dict[str, Any], message: str) -> None:
    assert message in str(HessianEigen(pairs=6, **wish).check_parameters())


def test_more_pairs_than_parameters_are_told_of() -> None:
    with pytest.raises(RunnerError, match="44 pairs of 43 parameters"):
        made(pairs=44)
