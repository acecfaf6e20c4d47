import pytest
import torch

from plugins.maths.networks.stacked import Classification, Stack, forward, mapped
from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from runner.plugin import Model
from runner.types import Network, Seed, Split

PRIME = 11
SMALL = Transformer(layers=2, heads=2, width=8, vocabulary=PRIME + 2, length=5, outputs=PRIME)


def pairs() -> Split:
    a, b = torch.cartesian_prod(torch.arange(PRIME), torch.arange(PRIME)).T
    x = torch.stack([a, torch.full_like(a, PRIME), b, torch.full_like(a, PRIME + 1)], 1)
    return Split({"x": x.numpy(), "y": ((a + b) % PRIME).numpy()})


def networks(dtype: torch.dtype = torch.float64, model: Transformer = SMALL) -> list[Network]:
    found = []
    for index, alpha in enumerate((1.0, 0.4, 2.5)):
        weights = Rescale(alpha=alpha, beta=1 / alpha).run(model.initialise(Seed(index))).weights
        found.append(Network(model, {name: value.to(dtype) for name, value in weights.items()}))
    return found


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("shape", ["pairs", "random"])
def test_own_path_equals_the_general_path(layers, activation, shape):
    model = SMALL.model_copy(update={"layers": layers, "activation": activation})
    stack = Stack.of(networks(model=model))
    x = torch.from_numpy(pairs()["x"])
    if shape == "random":
        x = torch.randint(13, (20, 3), generator=torch.Generator().manual_seed(0))
    weights = stack.layout.views(stack.flat) | dict(stack.buffers)
    torch.testing.assert_close(
        forward(stack.module, weights, x), mapped(stack.module, weights, x), rtol=1e-11, atol=1e-12
    )


def test_gradient_is_that_of_each_network_alone():
    split, stack = pairs(), Stack.of(networks())
    target = Classification(stack, split)
    rows = torch.arange(0, 121, 3)
    out = torch.empty_like(stack.flat)
    loss, accuracy = target.gradient(stack.flat, slice(None), rows, out)
    for index, network in enumerate(networks()):
        module = network.architecture.build().double()
        module.load_state_dict(dict(network.weights))
        logits = module(target.x[rows])
        alone = torch.nn.functional.cross_entropy(logits, target.y[rows])
        alone.backward()
        expected = torch.cat([p.grad.reshape(-1) for p in module.parameters()])
        torch.testing.assert_close(out[index], expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(loss[index], alone.detach(), rtol=1e-11, atol=0.0)
        right = (logits.argmax(1) == target.y[rows]).double().mean()
        assert accuracy[index] == right


def test_a_network_has_the_same_bits_in_any_company():
    split, stack = pairs(), Stack.of(networks(torch.float32))
    target = Classification(stack, split)
    rows = torch.arange(64)
    together = torch.empty_like(stack.flat)
    loss, _ = target.gradient(stack.flat, slice(None), rows, together)
    for index in range(3):
        cells = slice(index, index + 1)
        alone = torch.empty_like(stack.flat[cells])
        one, _ = target.gradient(stack.flat[cells], cells, rows, alone)
        assert torch.equal(one[0], loss[index])
        assert torch.equal(alone[0], together[index])


def test_exact_loss_ignores_how_rows_are_split():
    target = Classification(stack := Stack.of(networks()), pairs())
    one, two = (target.exact(stack.flat, slice(None), rows) for rows in (121, 7))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=0.0)


def test_nan_logits_are_never_right():
    stack = Stack.of(networks())
    loss, accuracy = Classification(stack, pairs()).exact(stack.flat * torch.nan, slice(None))
    assert loss.isnan().all()
    assert (accuracy == 0).all()


class Perceptron(Model):
    """A module without a stacked path of its own."""

    def build(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def test_any_module_can_be_stacked():
    models = [Perceptron().initialise(Seed(s)) for s in (0, 1)]
    stack = Stack.of(models)
    x = torch.randn(5, 3)
    both = stack.logits(stack.flat, x)
    for index, network in enumerate(models):
        torch.testing.assert_close(both[index], network.module()(x))


def test_different_architectures_are_refused():
    with pytest.raises(ValueError, match="one architecture"):
        Stack.of([SMALL.initialise(Seed(0)), Perceptron().initialise(Seed(0))])


def test_layout_spreads_and_gathers_per_tensor():
    layout = Stack.of(networks()).layout
    ones = torch.ones(1, sum(layout.sizes))
    per_tensor = layout.gathered(ones)
    assert per_tensor[0].tolist() == layout.sizes
    assert layout.spread(per_tensor).sum() == sum(size**2 for size in layout.sizes)
