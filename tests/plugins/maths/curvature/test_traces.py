"""Traces against those of matrices written out: exact, or within their standard errors."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.curvature.operators import Curvature
from plugins.maths.curvature.traces import hutchinson, hutchpp, signs, standard_error
from runner.types import Seed


def wanted_of(world) -> torch.Tensor:
    """Return the trace of each tensor's block."""
    return torch.stack([part.sum() for part in world.hessian().diagonal().split(world.sizes)])


def test_samples_are_products_of_the_operator(small) -> None:
    operator = Curvature(small.module, small.x, small.y)
    found = hutchinson(operator, small.sizes, Seed(0), samples=3)
    dense = small.hessian()
    wanted = [z @ dense @ z for z in (signs(operator, Seed(0), "trace", n) for n in range(3))]
    torch.testing.assert_close(found.totals, torch.stack(wanted))


# four standard errors: seeds are fixed, and the bound was chosen beforehand
@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_traces_lie_within_their_standard_errors(world, as_operator, method: str) -> None:
    operator, sizes, wanted = as_operator(world.hessian()), world.sizes, wanted_of(world)
    if method == "hutchinson":
        found = hutchinson(operator, sizes, Seed(0), samples=200)
    else:
        found = hutchpp(operator, sizes, Seed(0), samples=200, sketch=5)
    error = float(standard_error(found.totals))
    assert abs(float(found.totals.mean() - wanted.sum())) < 4 * error
    assert error < 0.2 * float(wanted.abs().sum())
    values, errors = found.layers()
    assert ((values - wanted).abs() <= 4 * errors + 1e-12).all()
    assert float(values.sum()) == pytest.approx(float(found.totals.mean()), rel=1e-10)
    assert found.products == (200 if method == "hutchinson" else 210)


def test_the_standard_error_is_that_of_repetitions(small, as_operator) -> None:
    operator, sizes = as_operator(small.hessian()), small.sizes
    means, told = [], []
    for number in range(60):
        found = hutchinson(operator, sizes, Seed(number), samples=10)
        means.append(float(found.totals.mean()))
        told.append(float(standard_error(found.totals)))
    spread = float(torch.tensor(means).std())
    # the spread of 60 repetitions is itself known to 1 / sqrt(2 * 59) = 9 %: three times that
    assert spread == pytest.approx(float(torch.tensor(told).square().mean().sqrt()), rel=0.28)


def test_a_diagonal_matrix_needs_one_sample(as_operator) -> None:
    operator = as_operator(torch.arange(6.0).double().diag())
    found = hutchinson(operator, [2, 4], Seed(1), samples=1)
    assert found.layers()[0].tolist() == [1.0, 14.0]
    assert bool(found.layers()[1].isnan().all())


def test_a_sketch_wide_enough_leaves_nothing_to_sample(with_spectrum) -> None:
    values = torch.cat([torch.tensor([5.0, -3.0, 2.0]), torch.zeros(27)]).double()
    operator = with_spectrum(values)
    found = hutchpp(operator, [30], Seed(0), samples=4, sketch=3)
    torch.testing.assert_close(found.totals, torch.full((4,), 4.0).double(), rtol=1e-9, atol=0)


def test_few_large_eigenvalues_are_told_better_by_a_sketch(with_spectrum) -> None:
    values = torch.cat([torch.tensor([50.0, 30.0, -20.0]), torch.linspace(-1, 1, 97)]).double()
    plain = hutchinson(with_spectrum(values), [100], Seed(0), samples=50)
    sketched = hutchpp(with_spectrum(values), [100], Seed(0), samples=30, sketch=10)
    assert sketched.products == plain.products
    assert float(standard_error(sketched.totals)) < 0.5 * float(standard_error(plain.totals))


def test_signs_are_signs_and_depend_on_the_stream_alone(as_operator) -> None:
    operator = as_operator(torch.eye(1000))
    one = signs(operator, Seed(0), "trace", 0)
    assert set(one.tolist()) == {-1.0, 1.0}
    assert torch.equal(one, signs(operator, Seed(0), "trace", 0))
    assert not torch.equal(one, signs(operator, Seed(0), "trace", 1))
    assert abs(float(one.mean())) < 4 / 1000**0.5
