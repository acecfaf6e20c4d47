"""Batch norms folded into convolutions: same function, same derivatives."""

from __future__ import annotations

import torch
from torch import nn

from plugins.maths.curvature.folding import Folded, folded
from plugins.maths.curvature.operators import Curvature
from plugins.maths.networks.folding import pairs


def test_all_pairs_of_a_residual_network_are_folded(residual) -> None:
    call = folded(residual.module)
    called = [call.get_submodule(n.target) for n in call.graph.nodes if n.op == "call_module"]
    norms = [m for m in residual.module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(isinstance(m, Folded) for m in called) == len(norms)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.Conv2d) for m in called)
    torch.testing.assert_close(
        call(residual.x), residual.module(residual.x), rtol=1e-12, atol=1e-12
    )


def test_products_are_those_of_the_network_as_it_is(residual) -> None:
    args = (residual.module, residual.x, residual.y)
    vectors = torch.randn(2, Curvature(*args).size, dtype=torch.float64)
    one, other = Curvature(*args)(vectors), Curvature(*args, fold=False)(vectors)
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


class Awkward(nn.Module):
    """Two norms read one convolution, one norm stands alone, one has no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.two = nn.Conv2d(2, 2, 3, padding="same", dilation=2, groups=2)
        plain = nn.BatchNorm2d(2, affine=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(2), nn.BatchNorm2d(2), plain, nn.BatchNorm2d(1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = self.one(self.norms[3](x))
        return self.norms[2](self.two(self.norms[0](shared) + self.norms[1](shared))).mean((2, 3))


def test_what_cannot_be_folded_is_left_alone() -> None:
    module = Awkward().double().eval()
    for norm in module.norms:
        norm.running_mean.normal_(generator=torch.Generator().manual_seed(0))
        norm.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(1))
    assert len(pairs(torch.fx.symbolic_trace(module))) == 1  # two -> the one without weights
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(folded(module)(x), module(x), rtol=1e-12, atol=1e-12)


class Branching(Awkward):
    """Cannot be traced: where it goes depends on values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def test_what_cannot_be_traced_is_called_as_it_is() -> None:
    module = Branching().eval()
    assert folded(module) is module
