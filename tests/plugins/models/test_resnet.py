"""ResNet20 against its published numbers of parameters, and its shortcuts."""

from typing import Literal

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from plugins.maths.networks.resnet import Padded
from plugins.models.resnet import Resnet
from runner.errors import RunnerError
from runner.types import Dataset, Seed


@pytest.mark.parametrize(("shortcut", "count"), [("A", 269_722), ("B", 272_474)])
def test_resnet20_has_its_number_of_parameters(shortcut: Literal["A", "B"], count: int) -> None:
    module = Resnet(channels=3, outputs=10, shortcut=shortcut).build()
    assert sum(p.numel() for p in module.parameters()) == count


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_depth_counts_layers_with_weights(shortcut: Literal["A", "B"]) -> None:
    module = Resnet(depth=32, channels=3, outputs=10, shortcut=shortcut).build()
    kernels = [p for n, p in module.named_parameters() if p.ndim > 1 and "shortcut" not in n]
    assert len(kernels) == 32


def test_stages_halve_the_image_and_the_logits_are_as_many_as_classes() -> None:
    data = Dataset({"train": {"x": np.zeros((1, 1, 28, 28))}}, {"shape": [1, 28, 28], "classes": 7})
    network = Resnet(depth=8, width=4).shaped_for(data).initialise(Seed(0))
    sizes: list[tuple[int, ...]] = []
    module = network.module()
    for stage in (module.layer1, module.layer2, module.layer3):
        stage.register_forward_hook(lambda *a: sizes.append(tuple(a[2].shape[1:])))
    assert module(torch.randn(2, 1, 28, 28)).shape == (2, 7)
    assert sizes == [(4, 28, 28), (8, 14, 14), (16, 7, 7)]


def test_shortcut_a_hands_pixels_on_and_pads_channels_with_zeros() -> None:
    x = torch.randn(2, 4, 6, 6)
    found = Padded(4)(x)
    assert torch.equal(found[:, 2:6], x[:, :, ::2, ::2])
    assert not found[:, :2].any()
    assert not found[:, 6:].any()


def test_equal_seeds_give_equal_weights_and_rows_do_not_meet_in_evaluation() -> None:
    one, other = (Resnet(depth=8, width=4, channels=1, outputs=3).initialise(Seed(1)) for _ in "ab")
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    x = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(one.module()(x)[1:2], one.module()(x[1:2]))


def test_a_depth_that_is_none_and_sizes_left_open_are_told_of() -> None:
    assert "6 n + 2" in (Resnet(depth=21).check_parameters() or "")
    with pytest.raises(RunnerError, match="channels, outputs still open"):
        Resnet().build()
    with pytest.raises(ValidationError):
        Resnet(shortcut="C")
