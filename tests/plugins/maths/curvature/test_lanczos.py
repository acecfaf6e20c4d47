"""Eigenpairs by Lanczos, against dense decompositions of small networks and known spectra."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.curvature.lanczos import Basis, lanczos
from plugins.maths.curvature.operators import Curvature
from plugins.maths.curvature.pairs import Wish, chosen


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectrum(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Fifteen outliers of both signs over a bulk, as trained networks have them."""
    outliers = torch.tensor([30, 22, -9, 8.5, 8, 7, 6, 5.5, 5, -4.5, 4, 3.5, 3.2, 3, 2.8])
    return torch.cat([outliers, torch.linspace(-0.5, 1.0, 385)]).to(dtype)


@pytest.mark.parametrize("kind", ["hessian", "ggn"])
@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest", "both"])
def test_pairs_equal_the_dense_decomposition(world, as_operator, kind: str, which: str) -> None:
    dense = world.hessian() if kind == "hessian" else world.gauss_newton()
    values, vectors = torch.linalg.eigh(dense)
    best = chosen(values, which, 6)
    operator = as_operator(dense)  # test_operators.py: the products are those of this matrix
    if which == "magnitude":
        operator = Curvature(world.module, world.x, world.y, loss=world.loss, kind=kind, chunk=4)
    # a Gauss-Newton matrix of few rows has zero many times over: a recheck meets it again
    wish = Wish(6, which, tolerance=1e-8, most=3 * len(dense), recheck=12)
    found = lanczos(operator, wish, generator())
    assert found.converged.all()
    torch.testing.assert_close(found.values, values[best], rtol=0, atol=1e-6 * float(values[-1]))
    nonzero = values[best].abs() > 1e-4 * float(values.abs().max())  # zero has no vector of its own
    cosines = (found.vectors * vectors.T[best]).sum(1).abs()
    torch.testing.assert_close(
        cosines[nonzero], torch.ones(int(nonzero.sum())).double(), rtol=0, atol=1e-6
    )


def test_negative_values_are_found_and_kept(world) -> None:
    wanted = torch.linalg.eigvalsh(world.hessian())
    operator = Curvature(world.module, world.x, world.y, loss=world.loss)
    found = lanczos(operator, Wish(8, "magnitude", 1e-8, 3 * len(wanted)), generator())
    assert float(wanted[0]) < 0
    least = wanted[chosen(wanted, "magnitude", 8)].min()
    assert float(found.values.min()) == pytest.approx(float(least), abs=1e-8)
    lowest = lanczos(operator, Wish(1, "smallest", 1e-8, 3 * len(wanted)), generator())
    assert float(lowest.values) == pytest.approx(float(wanted[0]), abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_residuals_are_true(with_spectrum, dtype: torch.dtype) -> None:
    operator = with_spectrum(spectrum(dtype))
    found = lanczos(operator, Wish(15, tolerance=1e-3), generator())
    left = operator(found.vectors) - found.values.to(dtype)[:, None] * found.vectors
    true = left.double().norm(dim=1) / found.values.abs()
    floor = 100 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.residuals, true, rtol=1e-3, atol=floor)
    assert float(true.max()) <= 1e-3 + floor
    torch.testing.assert_close(found.projected, found.values.diag(), rtol=0, atol=30 * floor)


def test_no_vector_comes_twice(with_spectrum) -> None:
    # without reorthogonalisation converged pairs come again as ghosts, past 100 steps in single
    operator = with_spectrum(spectrum(torch.float32))
    found = lanczos(operator, Wish(15, tolerance=1e-12, most=150, basis=200), generator())
    inner = found.vectors @ found.vectors.T
    assert float((inner - torch.eye(15)).abs().max()) < 1e-5
    assert found.products == 150
    wanted = spectrum().sort().values
    torch.testing.assert_close(
        found.values, wanted[chosen(wanted, "magnitude", 15)], rtol=0, atol=3e-4
    )


@pytest.mark.parametrize("basis", [17, 20, 40])
def test_restarts_lead_to_the_same_pairs(with_spectrum, basis: int) -> None:
    wanted = spectrum().sort().values
    found = lanczos(
        with_spectrum(spectrum()), Wish(15, tolerance=1e-8, most=2000, basis=basis), generator()
    )
    assert found.converged.all()
    best = wanted[chosen(wanted, "magnitude", 15)]
    torch.testing.assert_close(found.values, best, rtol=0, atol=1e-9)


def test_what_has_not_converged_is_marked(with_spectrum) -> None:
    found = lanczos(with_spectrum(spectrum()), Wish(15, tolerance=1e-6, most=25), generator())
    assert found.products == 25
    assert not found.converged.all()
    assert torch.equal(found.converged, found.residuals <= 1e-6)
    assert found.converged[0]  # the largest stands far apart
    assert len(found.values) == 15


def test_near_vectors_save_products(with_spectrum) -> None:
    operator = with_spectrum(spectrum())
    cold = lanczos(operator, Wish(15), generator())
    drift = torch.randn(400, 400, generator=generator(1), dtype=torch.float64)
    operator.matrix = operator.matrix + 0.005 * (drift + drift.T)
    again = lanczos(operator, Wish(15), generator(2))
    warm = lanczos(operator, Wish(15), generator(2), known=cold.vectors)
    assert warm.converged.all()
    assert warm.products < again.products
    torch.testing.assert_close(warm.values, again.values, rtol=1e-4, atol=0)


def test_a_start_does_not_shut_out_new_directions(with_spectrum) -> None:
    # known vectors of an invariant space: their sum alone never leaves it
    operator = with_spectrum(spectrum())
    wrong = torch.linalg.eigh(operator.matrix)[1].T[100:115]
    found = lanczos(operator, Wish(3, tolerance=1e-8), generator(), known=wrong)
    torch.testing.assert_close(found.values, spectrum()[:3], rtol=0, atol=1e-8)


def test_equal_eigenvalues_are_all_found(as_operator) -> None:
    found = lanczos(as_operator(3 * torch.eye(7).double()), Wish(5, tolerance=1e-8), generator())
    torch.testing.assert_close(found.values, torch.full((5,), 3.0).double())
    inner = found.vectors @ found.vectors.T
    torch.testing.assert_close(inner, torch.eye(5).double(), rtol=0, atol=1e-12)


def test_a_recheck_finds_equal_eigenvalues_that_one_start_may_miss(with_spectrum) -> None:
    """Without it, rounding alone decides whether a second of them is met."""
    values = torch.cat([torch.tensor([5.0, 5.0, 5.0, 3.0]), torch.linspace(-1, 1, 96)]).double()
    found = lanczos(with_spectrum(values), Wish(4, tolerance=1e-8, recheck=30), generator())
    assert int((found.values > 4.999).sum()) >= 2  # each new vector meets one more of them
    again = with_spectrum(values)
    assert lanczos(again, Wish(1, tolerance=1e-8, recheck=10), generator()).products > 10


def test_a_matrix_of_zeros_has_zeros(as_operator) -> None:
    found = lanczos(as_operator(torch.zeros(6, 6).double()), Wish(3), generator())
    assert found.values.tolist() == [0.0, 0.0, 0.0]
    assert found.converged.all()


def test_a_basis_meets_the_operators_tridiagonal_form(with_spectrum) -> None:
    operator = with_spectrum(torch.linspace(-1, 3, 40).double())
    found = lanczos(operator, Wish(3, tolerance=1e-10, most=40), generator())
    m = len(found.alpha)
    assert m == found.products == len(found.beta)
    dense = found.alpha.diag() + found.beta[:-1].diag(1) + found.beta[:-1].diag(-1)
    top = torch.linalg.eigvalsh(dense)
    assert float(top[-1]) == pytest.approx(3.0, abs=1e-8)


def test_bases_stay_orthogonal(with_spectrum) -> None:
    basis = Basis(with_spectrum(spectrum(torch.float32)), 120)
    vector = basis.fresh(generator())
    for _ in range(120):
        basis.add(vector)
        vector = basis.following()
    assert float((basis.held @ basis.held.T - torch.eye(120)).abs().max()) < 1e-5


@pytest.mark.parametrize(("pairs", "most"), [(8, 100), (5, 4)])
def test_more_pairs_than_there_are_is_told_of(as_operator, pairs: int, most: int) -> None:
    with pytest.raises(ValueError, match=f"{pairs} pairs of 7 parameters with {most} products"):
        lanczos(as_operator(torch.eye(7)), Wish(pairs, most=most), generator())


@pytest.mark.parametrize(
    ("which", "number", "wanted"),
    [
        ("magnitude", 3, [-5.0, 4.0, 3.0]),
        ("largest", 2, [4.0, 3.0]),
        ("smallest", 2, [-5.0, -1.0]),
        ("both", 3, [4.0, 3.0, -5.0]),
        ("both", 5, [4.0, 3.0, 2.0, -5.0, -1.0]),
    ],
)
def test_which_pairs_are_wanted(which: str, number: int, wanted: list[float]) -> None:
    values = torch.tensor([-5.0, -1.0, 2.0, 3.0, 4.0])
    assert values[chosen(values, which, number)].tolist() == wanted


def test_values_of_long_vectors_in_single_precision_are_rayleigh_quotients() -> None:
    """BUG: sums over all parameters in single precision lost all but three digits of values."""
    values = torch.linspace(-0.5, 1.0, 200_000)
    values[[5, 70_000, 150_000]] = torch.tensor([300.0, -150.0, 80.0])

    class Diagonal:
        size, dtype, device, products = len(values), values.dtype, values.device, 0

        def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
            self.products += 1
            return values * vectors

    found = lanczos(Diagonal(), Wish(3, tolerance=1e-2), generator())
    assert found.converged.all()
    vectors = found.vectors.double()
    quotients = (vectors.square() * values.double()).sum(1) / vectors.square().sum(1)
    torch.testing.assert_close(found.values, quotients, rtol=1e-6, atol=0)
    lengths = vectors.square().sum(1)
    torch.testing.assert_close(lengths, torch.ones(3).double(), rtol=0, atol=1e-6)
