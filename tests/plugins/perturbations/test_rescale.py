import pytest
import torch

from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Network, Seed

SMALL = Transformer(layers=2, heads=2, width=16, vocabulary=9, length=4, outputs=9)
X = torch.randint(9, (32, 4), generator=torch.Generator().manual_seed(0))


def network(architecture: Transformer = SMALL, dtype: torch.dtype = torch.float32) -> Network:
    """Return a network whose stream is as small as after weight decay (variance near eps)."""
    fresh = architecture.initialise(Seed(0))
    powers = architecture.rescalings(scale_eps=False)
    small = {n: v * 0.02 ** powers.get(n, (0, 0))[0] for n, v in fresh.weights.items()}
    return Network(architecture, {n: v.to(dtype) for n, v in small.items()})


def logits(model: Network) -> torch.Tensor:
    module = model.architecture.build().to(next(iter(model.weights.values())).dtype)
    module.load_state_dict(dict(model.weights))
    return module(X).detach()


def drift(alpha: float, beta: float, scale_eps: bool = True, **kinds: object) -> float:
    model = network(**kinds)
    moved = Rescale(alpha=alpha, beta=beta, scale_eps=scale_eps).run(model)
    return (logits(moved) - logits(model)).abs().max().item()


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 1.0), (1.0, 0.25), (0.125, 8.0), (4.0, 4.0)])
def test_logits_are_bitwise_equal_at_powers_of_two(alpha, beta):
    assert drift(alpha, beta) == 0.0


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 1.0), (10.0, 0.1), (0.3, 3.0), (3.0, 0.7)])
def test_logits_agree_to_rounding_elsewhere(alpha, beta):
    assert 0.0 < drift(alpha, beta) < 1e-4
    assert drift(alpha, beta, dtype=torch.float64) < 1e-13


def test_weights_do_move():
    model = network()
    moved = Rescale(alpha=0.5, beta=4.0).run(model).weights
    assert torch.equal(moved["blocks.1.down.weight"], model.weights["blocks.1.down.weight"] / 8)
    assert torch.equal(moved["blocks.1.down.bias"], model.weights["blocks.1.down.bias"] / 2)
    assert torch.equal(moved["norm.eps"], model.weights["norm.eps"] / 4)
    assert torch.equal(moved["head.weight"], model.weights["head.weight"])


def test_unscaled_eps_changes_the_logits():
    assert drift(0.1, 1.0, scale_eps=False, dtype=torch.float64) > 1e-2


def test_gelu_changes_the_logits_under_beta_and_not_under_alpha():
    gelu = SMALL.model_copy(update={"activation": "gelu"})
    assert drift(1.0, 10.0, architecture=gelu, dtype=torch.float64) > 1e-3
    assert drift(0.1, 1.0, architecture=gelu, dtype=torch.float64) < 1e-13


def test_a_model_without_rescalings_is_named():
    class Plain(Model):
        """No rescalings."""

    with pytest.raises(RunnerError, match="Plain states no rescalings"):
        Rescale().run(Network(Plain(), {}))
