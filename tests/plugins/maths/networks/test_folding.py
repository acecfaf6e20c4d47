"""Which batch norms a convolution can take in, and what it is then."""

import pytest
import torch
from torch import nn

from plugins.maths.networks.folding import merged, pairs, traced

KINDS = [(nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_merged_convolution_is_both(dimension: int, affine: bool, bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    convolution, norm = KINDS[dimension - 1]
    pair = nn.Sequential(convolution(2, 4, 3, groups=2, bias=bias), norm(4, affine=affine))
    pair.double().eval()
    for value in pair.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 2.0, generator=generator)
    x = torch.randn(3, 2, *[5] * dimension, generator=generator, dtype=torch.float64)
    wanted = pair(x)
    found = merged(pair[0], pair[1])
    one = nn.utils.skip_init(convolution, 2, 4, 3, groups=2).double()
    one.load_state_dict(dict(zip(("weight", "bias"), found, strict=True)))
    torch.testing.assert_close(one(x), wanted, rtol=1e-12, atol=1e-12)


class Odd(nn.Conv2d):
    """Not torch's own: who knows what it does."""


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 1),
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="circular"), nn.BatchNorm2d(2)), 0),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)), 0),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)), 0),
        (nn.Sequential(nn.BatchNorm2d(2)), 0),
        (nn.Sequential(Odd(1, 2, 3), nn.BatchNorm2d(2)), 0),
    ],
)
def test_which_are_pairs(module: nn.Module, count: int) -> None:
    graph = traced(module.eval())
    assert graph is not None
    assert len(pairs(graph)) == count


def test_a_norm_that_is_training_is_none() -> None:
    graph = traced(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train())
    assert graph is not None
    assert not pairs(graph)
