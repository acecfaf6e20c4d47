"""The spectral density against the exact spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plugins.maths.curvature.operators import Curvature
from plugins.maths.curvature.quadrature import Quadrature, quadrature
from plugins.maths.curvature.traces import signs
from runner.types import Seed


def distance(found: Quadrature, values: torch.Tensor) -> float:
    """Return the area between both cumulative distributions, over the range of values."""
    nodes = torch.cat(found.nodes).numpy()
    weights = torch.cat(found.weights).numpy() / len(found.nodes)
    at = np.linspace(float(values.min()) - 0.1, float(values.max()) + 0.1, 4001)
    order = nodes.argsort()
    theirs = np.concatenate([[0.0], weights[order].cumsum()])[
        np.searchsorted(nodes[order], at, side="right")
    ]
    exact = np.searchsorted(np.sort(values.numpy()), at, side="right") / len(values)
    return float(np.trapezoid(np.abs(theirs - exact), at) / (at[-1] - at[0]))


def test_one_vectors_measure_is_exact_with_all_steps(small) -> None:
    operator = Curvature(small.module, small.x, small.y)
    values, vectors = torch.linalg.eigh(small.hessian())
    found = quadrature(operator, Seed(0), vectors=1, steps=operator.size)
    z = signs(operator, Seed(0), "density", 0) / operator.size**0.5
    wanted = (vectors.T @ z).square()
    for power in (1, 2, 3, 4):
        exact = float((values**power * wanted).sum())
        assert found.moment(power)[0] == pytest.approx(exact, rel=1e-8)


def test_few_steps_are_exact_for_low_powers(with_spectrum) -> None:
    values = torch.linspace(-2, 5, 80).double()
    operator = with_spectrum(values)
    found = quadrature(operator, Seed(0), vectors=1, steps=4)
    z = signs(operator, Seed(0), "density", 0) / 80**0.5
    power = torch.eye(80).double()
    for number in range(1, 8):  # up to 2 m - 1
        power = power @ operator.matrix
        assert found.moment(number)[0] == pytest.approx(float(z @ power @ z), rel=1e-9)
    power = power @ operator.matrix
    assert found.moment(8)[0] != pytest.approx(float(z @ power @ z), rel=1e-9)


# four standard errors, seeds fixed
def test_moments_lie_within_their_standard_errors(world, as_operator) -> None:
    values = torch.linalg.eigvalsh(world.hessian())
    found = quadrature(as_operator(world.hessian()), Seed(1), vectors=40, steps=8)
    for power in (1, 2):
        mean, error = found.moment(power)
        assert abs(mean - float((values**power).mean())) < 4 * error


def test_the_density_tends_to_the_spectrum(world, as_operator) -> None:
    operator = as_operator(world.hessian())
    values = torch.linalg.eigvalsh(world.hessian())
    found = quadrature(operator, Seed(2), vectors=20, steps=min(60, operator.size))
    # a share of 1 / sqrt(vectors * parameters) is the noise of the weights; at most 51 * 20
    assert distance(found, values) < 0.02
    assert found.ends()[0] == pytest.approx(float(values[0]), abs=1e-3 * float(values[-1]))
    assert found.ends()[1] == pytest.approx(float(values[-1]), rel=1e-3)
    edge = -0.05 * float(values[-1])  # nearer to zero, where most lie, nodes tell no two apart
    assert found.below(edge) == pytest.approx(float((values < edge).double().mean()), abs=0.1)


def test_a_density_holds_all_eigenvalues(with_spectrum) -> None:
    found = quadrature(
        with_spectrum(torch.linspace(-1, 1, 60).double()), Seed(0), vectors=3, steps=20
    )
    at = torch.linspace(-2, 2, 2001).double()
    assert float(torch.trapezoid(found.density(at, 0.05), at)) == pytest.approx(1.0, abs=1e-6)
    assert all(float(w.sum()) == pytest.approx(1.0) for w in found.weights)


def test_no_eigenvalue_is_counted_twice(with_spectrum) -> None:
    # without reorthogonalisation the outlier would come again and again within 60 steps
    values = torch.cat([torch.tensor([100.0]), torch.linspace(0, 1, 199)]).float()
    found = quadrature(with_spectrum(values), Seed(0), vectors=1, steps=60)
    assert int((found.nodes[0] > 50).sum()) == 1


def test_a_measure_that_is_complete_ends_early(as_operator) -> None:
    operator = as_operator(torch.diag(torch.tensor([1.0, 1.0, 2.0, 2.0, 2.0, 2.0]).double()))
    found = quadrature(operator, Seed(0), vectors=2, steps=6)
    assert [len(n) for n in found.nodes] == [2, 2]
    assert found.moment(1)[0] == pytest.approx(10 / 6)
    assert found.products == 4
