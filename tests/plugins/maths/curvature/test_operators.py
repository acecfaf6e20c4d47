"""Products with the Hessian and the Gauss-Newton matrix, against matrices written out in full."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.curvature.operators import Curvature


def curvature(world, **wish) -> Curvature:
    return Curvature(world.module, world.x, world.y, loss=world.loss, **wish)


# sums of some thousand products in double precision differ by their order: 1e-10 of the largest
def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10 * float(other.abs().max()))


def test_the_hessian_is_that_of_another_way(world) -> None:
    close(curvature(world).dense(), world.hessian())


def test_the_hessian_is_the_slope_of_the_gradient(world) -> None:
    """By central differences along random directions: they know nothing of second derivatives."""
    operator = curvature(world)
    weights = list(world.module.parameters())
    vector = torch.randn(operator.size, generator=torch.Generator().manual_seed(0)).double()
    sides = []
    for side in (1e-5, -1e-5):
        with torch.no_grad():
            for weight, step in zip(weights, operator.views(vector).values(), strict=True):
                weight.add_(side * step)
        sides.append(curvature(world).gradient)
        with torch.no_grad():
            for weight, step in zip(weights, operator.views(vector).values(), strict=True):
                weight.sub_(side * step)
    wanted = (sides[0] - sides[1]) / 2e-5
    torch.testing.assert_close(
        curvature(world)(vector), wanted, rtol=0, atol=1e-6 * float(wanted.abs().max())
    )


def test_the_gauss_newton_matrix_is_that_of_another_way(world) -> None:
    close(curvature(world, kind="ggn").dense(), world.gauss_newton())


@pytest.mark.parametrize("kind", ["hessian", "ggn"])
def test_loss_and_gradient_come_along(world, kind: str) -> None:
    found = curvature(world, kind=kind, chunk=4)
    weights = {n: v.detach().requires_grad_() for n, v in world.module.named_parameters()}
    loss = world.mean_loss(weights)
    slopes = torch.autograd.grad(loss, list(weights.values()))
    assert found.value == pytest.approx(float(loss.detach()), rel=1e-12)
    close(found.gradient, torch.cat([slope.reshape(-1) for slope in slopes]))


@pytest.mark.parametrize("kind", ["hessian", "ggn"])
@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_sums_over_chunks_are_exact(world, kind: str, chunk: int) -> None:
    vectors = torch.randn(2, curvature(world).size, dtype=torch.float64)
    whole = curvature(world, kind=kind, chunk=1000)(vectors)
    close(curvature(world, kind=kind, chunk=chunk)(vectors), whole)


@pytest.mark.parametrize("kind", ["hessian", "ggn"])
def test_keeping_graphs_changes_no_bit(world, kind: str) -> None:
    vectors = torch.randn(2, curvature(world).size, dtype=torch.float64)
    kept, anew = (curvature(world, kind=kind, chunk=3, memory=m) for m in (2048, 0))
    assert all(kept._kept)
    assert not any(anew._kept)
    for _ in range(2):
        assert torch.equal(kept(vectors), anew(vectors))


def test_memory_bounds_what_is_kept(residual) -> None:
    whole = curvature(residual, chunk=1, memory=2048)
    each = whole.bytes_each / 2**20
    some = curvature(residual, chunk=1, memory=2.5 * each)
    assert [graph is not None for graph in some._kept] == [True, True, False, False, False, False]


def test_products_are_counted_by_vectors(small) -> None:
    found = curvature(small, chunk=3)
    found(torch.zeros(4, found.size, dtype=torch.float64))
    found(torch.zeros(found.size, dtype=torch.float64))
    assert found.products == 5


def test_a_block_is_that_of_the_whole(residual) -> None:
    whole = curvature(residual)
    names = list(whole.shapes)
    start = sum(whole.shapes[n].numel() for n in names if not n.startswith("linear"))
    units = torch.eye(whole.size, dtype=torch.float64)[start:]
    wanted = whole(units)[:, start:]
    found = curvature(residual, names=[n for n in names if n.startswith("linear")])
    assert list(found.shapes) == ["linear.weight", "linear.bias"]
    close(found.dense(), wanted)


def test_batch_norm_stands_in_evaluation_mode(residual) -> None:
    # BUG of earlier implementations: statistics of the batch entered the Hessian, and changed
    residual.module.train()
    before = residual.module.bn1.running_mean.clone()
    vector = torch.randn(len(residual.flat), generator=torch.Generator().manual_seed(0)).double()
    found = curvature(residual)(vector)
    assert torch.equal(residual.module.bn1.running_mean, before)
    residual.module.eval()
    close(found, residual.hessian_along(vector))
    residual.module.train()
    assert not torch.allclose(found, residual.hessian_along(vector), rtol=0.1)


def test_single_precision_is_near_double(residual) -> None:
    double = curvature(residual)
    vectors = torch.randn(2, double.size, generator=torch.Generator().manual_seed(0))
    wanted = double(vectors.double())
    residual.module.float()
    residual.x = residual.x.float()
    found = curvature(residual, chunk=2)(vectors).double()
    assert float((found - wanted).norm() / wanted.norm()) < 1e-5


def test_a_loss_linear_in_a_parameter_has_no_curvature_there(small) -> None:
    class Shift(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
            self.unused = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :3] + self.used

    y = torch.zeros(20, 3, dtype=torch.float64)
    found = Curvature(Shift(), small.x, y, loss="mse").dense()
    wanted = torch.diag(torch.tensor([2 / 3] * 3 + [0.0] * 2, dtype=torch.float64))
    close(found, wanted)


def test_a_network_with_nothing_to_vary_is_told_of(small) -> None:
    with pytest.raises(ValueError, match="no parameter varies"):
        curvature(small, names=["nothing"])
