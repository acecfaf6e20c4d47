import pytest
import torch
from torch.nn import functional as F

from plugins.maths.networks.prefixes import prefixes
from plugins.maths.networks.stacked import Classification, Stack, mapped
from plugins.maths.networks.transformer_gradient import Decoders, Named, cross_entropy
from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from runner.types import Network, Seed, Split

PRIME = 11


def stack(dtype: torch.dtype = torch.float64, **change: object) -> Stack:
    """Return three networks of different scales, eps and all, with weights off their zeros."""
    sizes = {"layers": 2, "heads": 2, "width": 8, "vocabulary": PRIME + 2, "length": 5}
    model = Transformer(**(sizes | {"outputs": PRIME} | change))
    generator = torch.Generator().manual_seed(0)
    found = []
    for index, alpha in enumerate((1.0, 0.4, 2.5)):
        weights = Rescale(alpha=alpha, beta=1 / alpha).run(model.initialise(Seed(index))).weights
        names = dict(model.build().named_parameters())
        noisy = {
            name: value + 0.1 * torch.randn(value.shape, generator=generator) * (name in names)
            for name, value in weights.items()
        }
        found.append(Network(model, {name: value.to(dtype) for name, value in noisy.items()}))
    return Stack.of(found)


def pairs(kind: str = "pairs") -> Split:
    a, b = torch.cartesian_prod(torch.arange(PRIME), torch.arange(PRIME)).T
    x = torch.stack([a, torch.full_like(a, PRIME), b, torch.full_like(a, PRIME + 1)], 1)
    if kind == "random":
        x = torch.randint(PRIME + 2, (121, 3), generator=torch.Generator().manual_seed(0))
    if kind == "single":
        x = x[:, :1]
    return Split({"x": x.numpy(), "y": ((a + b) % PRIME).numpy()})


def by_autograd(many: Stack, x, y):
    """Return loss (K,) and gradient (K, P) by vmap over the module's own forward."""
    flat = many.flat.clone().requires_grad_()
    logits = mapped(many.module, many.layout.views(flat) | dict(many.buffers), x)
    loss = torch.stack([F.cross_entropy(one, y) for one in logits])
    return loss.detach(), torch.autograd.grad(loss.sum(), flat)[0]


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("kind", ["pairs", "random", "single"])
def test_loss_and_gradient_are_those_of_autograd(layers, activation, kind):
    many = stack(layers=layers, activation=activation)
    target = Classification(many, pairs(kind))
    rows = torch.arange(0, 121, 2)
    out = torch.full_like(many.flat, torch.nan)  # what was there before does not count
    loss, _ = target.gradient(many.flat, slice(None), rows, out)
    expected, slope = by_autograd(many, target.x[rows], target.y[rows])
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(out, slope, rtol=1e-10, atol=1e-13)


def test_single_precision_differs_by_rounding_only():
    double, single = (stack(dtype) for dtype in (torch.float64, torch.float32))
    found = []
    for many in (double, single):
        target = Classification(many, pairs())
        out = torch.empty_like(many.flat)
        loss, _ = target.gradient(many.flat, slice(None), None, out)
        found.append((loss.double(), out.double()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=0.0)
    gap = (found[0][1] - found[1][1]).norm(dim=1) / found[0][1].norm(dim=1)
    assert (gap < 1e-4).all()


def test_half_precision_operands_keep_the_gradient_to_their_digits_and_its_type():
    many = stack(torch.float32, width=32)
    out, rough = torch.empty_like(many.flat), torch.empty_like(many.flat)
    exact, _ = Classification(many, pairs()).gradient(many.flat, slice(None), None, out)
    target = Classification(many, pairs(), operands=torch.bfloat16)
    loss, _ = target.gradient(many.flat, slice(None), None, rough)
    gap = (out - rough).norm(dim=1) / out.norm(dim=1)
    assert (gap < 0.1).all()  # bfloat16 has 8 bits, and a chain of products some times that
    assert (gap > 1e-4).all()  # it was asked for, and used
    torch.testing.assert_close(loss, exact, rtol=0.02, atol=0.0)


def test_minibatches_that_follow_each_other_are_not_confused():
    many = stack()
    target = Classification(many, pairs())
    out = torch.empty_like(many.flat)
    losses = [
        target.gradient(many.flat, slice(None), rows, out)[0]
        for rows in (torch.arange(5), torch.arange(5, 10), None, torch.arange(5))
    ]
    torch.testing.assert_close(losses[0], losses[3], rtol=0.0, atol=0.0)
    assert not torch.equal(losses[0], losses[1])
    torch.testing.assert_close(losses[2], target.exact(many.flat, slice(None))[0])


def test_a_sure_label_keeps_the_digits_of_its_slope():
    """With logits (20, 0, 0) the slope of the label is -2 e^-20 / (1 + 2 e^-20), not 0."""
    logits = torch.tensor([[[20.0, 0.0, 0.0]]])
    loss, right, slope = cross_entropy(logits, torch.tensor([0]))
    others = torch.exp(torch.tensor(-20.0, dtype=torch.float64))
    exact = torch.stack([-2 * others, others, others]) / (1 + 2 * others)
    assert right.item() == 1
    torch.testing.assert_close(slope[0, 0, 1:].double(), exact[1:], rtol=1e-5, atol=0.0)
    torch.testing.assert_close(loss, F.cross_entropy(logits[0], torch.tensor([0]))[None])


def test_logits_are_those_of_the_module():
    many = stack()
    x = torch.from_numpy(pairs()["x"])
    weights = many.layout.views(many.flat) | dict(many.buffers)
    named = Named(weights, many.layout.views(torch.zeros_like(many.flat)))
    logits, _ = Decoders(2, 2, "relu").run(named, prefixes(x))
    torch.testing.assert_close(logits, mapped(many.module, weights, x), rtol=1e-10, atol=1e-12)
