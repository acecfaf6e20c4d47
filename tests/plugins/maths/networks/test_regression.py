import pytest
import torch

from plugins.maths.networks.regression import Regression
from plugins.maths.networks.stacked import Stack
from plugins.maths.sampling.fisher import diagonal
from plugins.models.analytic import Analytic
from runner.plugin import Model
from runner.types import Network, Seed, Split

MODELS = [
    Analytic(widths=(4, 3)),
    Analytic(widths=(4, 2, 3), origin=(0.5, -1.0)),
    Analytic(widths=(4, 3, 2, 3)),
    Analytic(powers=((2, 0, 1), (0, 3, 1)), origin=(1.0, 2.0, 0.0)),
]


def stacked(model: Model, count: int = 3) -> Stack:
    networks = [model.initialise(Seed(at)) for at in range(count)]
    doubled = [Network(model, {n: w.double() for n, w in one.weights.items()}) for one in networks]
    return Stack.of(doubled)


def split(inputs: int, outputs: int, points: int = 50) -> Split:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(points, size, generator=generator).numpy() for size in (inputs, outputs))
    return Split({"x": x, "y": y})


def data_for(model: Analytic) -> Split:
    return split(4, 3) if model.widths else split(1, 2)


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("rows", [None, torch.arange(0, 50, 3)], ids=["all", "minibatch"])
def test_loss_and_gradient_are_those_of_the_definition(model, rows):
    """Against autograd through the module alone on every row, which neither path uses."""
    target = Regression(stack := stacked(model), data_for(model))
    out = torch.empty_like(stack.flat)
    loss, accuracy = target.gradient(stack.flat, slice(None), rows, out)
    assert accuracy.isnan().all()
    chosen = slice(None) if rows is None else rows
    for index in range(3):
        module = model.build().double()
        module.load_state_dict({n: v[index] for n, v in stack.layout.views(stack.flat).items()})
        residual = target.y[chosen] - module(target.x[chosen])
        alone = residual.square().sum(1).mean() / 2
        alone.backward()
        expected = torch.cat([p.grad.reshape(-1) for p in module.parameters()])
        torch.testing.assert_close(out[index], expected, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(loss[index], alone.detach(), rtol=1e-12, atol=0.0)


class Perceptron(Model):
    """A network that is not linear in its inputs, and has one output."""

    def build(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))


def test_any_network_has_a_squared_loss_and_targets_may_be_flat():
    rows = split(4, 1)
    flat = Split({"x": rows["x"], "y": rows["y"][:, 0]})
    target = Regression(stack := stacked(Perceptron()), flat)
    out = torch.empty_like(stack.flat)
    loss, _ = target.gradient(stack.flat, slice(None), None, out)
    exact, _ = target.exact(stack.flat, slice(None), rows=7)
    torch.testing.assert_close(loss, exact, rtol=1e-12, atol=0.0)
    # A central difference in fp64: error about h^2 and 1e-16 / h.
    moved = stack.flat.clone()
    moved[:, 5] += 1e-5
    up = target.exact(moved, slice(None))[0]
    moved[:, 5] -= 2e-5
    down = target.exact(moved, slice(None))[0]
    torch.testing.assert_close(out[:, 5], (up - down) / 2e-5, rtol=1e-7, atol=1e-10)


def test_fisher_of_a_linear_network_is_the_second_moment_of_its_inputs():
    """F of W_io is mean x_i^2 for unit noise: 20,000 draws of x^2 xi^2, relative error 4 sd."""
    model = Analytic(widths=(4, 3))
    target = Regression(stack := stacked(model, 1), split(4, 3))
    found = diagonal(target, stack.flat, Seed(0), 20_000, rows=1000)[0].reshape(4, 3)
    moments = target.x.square().mean(0)[:, None]
    kurtosis = (target.x**4).mean(0)[:, None] / moments**2 * 3 - 1  # of x^2 xi^2, over its mean^2
    assert ((found / moments - 1).abs() < 4 * (kurtosis / 20_000).sqrt()).all()
    assert found.std() > 0  # drawn, not computed


def test_fisher_of_monomials_follows_from_their_slopes():
    """sqrt(2) (w_1^2 w_2, w_2^3): F = 2 sum_o slope_o^2 x^2, relative error 4 sd of chi-square."""
    model = Analytic(powers=((2, 1), (0, 3)))
    target = Regression(stack := stacked(model, 1), split(1, 2))
    found = diagonal(target, stack.flat, Seed(0), 20_000, rows=1000)[0]
    a, b = stack.flat[0].tolist()
    x2 = target.x.square().mean().item()
    exact = [2 * x2 * (2 * a * b) ** 2, 2 * x2 * (a**4 + (3 * b**2) ** 2)]
    assert found.tolist() == pytest.approx(exact, rel=4 * (9 / 20_000) ** 0.5)
