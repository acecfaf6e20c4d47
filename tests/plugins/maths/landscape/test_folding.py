"""Batch norms folded into convolutions: the same outputs, for other weights too."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from plugins.maths.landscape.folding import folded
from plugins.models.resnet import Resnet

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def shaken(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return other parameters of a module, its batch norms far from fresh ones."""
    generator = torch.Generator().manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return {
        name: value.detach() + 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in module.named_parameters()
    }


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_residual_network_has_no_norm_left_and_the_same_outputs(shortcut: str) -> None:
    module = Resnet(depth=8, width=4, channels=3, outputs=5, shortcut=shortcut).build().eval()
    other = shaken(module)
    changed, load = folded(module, X)
    assert norms(module) > norms(changed) == 0
    load(other)
    with torch.no_grad():
        wanted = functional_call(module, other, (X,))
        torch.testing.assert_close(changed(X), wanted, rtol=1e-4, atol=1e-4)
        load(dict(module.named_parameters()))
        torch.testing.assert_close(changed(X), module(X), rtol=1e-4, atol=1e-4)


def test_a_convolution_with_a_bias_and_a_norm_without_weights_are_a_pair() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)).eval()
    other = shaken(module)
    changed, load = folded(module, X)
    load(other)
    with torch.no_grad():
        wanted = functional_call(module, other, (X,))
        torch.testing.assert_close(changed(X), wanted, rtol=1e-4, atol=1e-4)
    assert norms(changed) == 0


class Twice(nn.Module):
    """The convolution's output is read beside the norm too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x + self.norm(x)


class Looking(Twice):
    """Its way depends on values, so that it has no graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) if float(x.sum()) > 0 else self.norm(x)


@pytest.mark.parametrize("kind", [Twice, Looking])
def test_what_cannot_be_folded_is_called_as_it_is(kind: type[nn.Module]) -> None:
    module = kind().eval()
    other = shaken(module)
    with torch.no_grad():
        wanted = functional_call(module, other, (X,))
        changed, load = folded(module, X)
        load(other)
        assert norms(changed) == 1
        torch.testing.assert_close(changed(X), wanted)


def test_a_norm_that_is_training_is_left() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    assert norms(folded(module, X)[0]) == 1
