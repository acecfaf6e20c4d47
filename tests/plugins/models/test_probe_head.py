"""Heads and poolings: sizes as published, means as defined."""

from __future__ import annotations

import pytest
import torch

from plugins.maths.networks.head_shape import HeadShape, PoolShape
from plugins.maths.networks.heads import Pool, segment_means
from plugins.models.probe_head import ProbeHead
from runner import Dataset, RunnerError, Seed

FEATURES = torch.randn(5, 48, 13)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_mlp_1_on_384_features_has_the_published_size() -> None:
    """S1.5: 98,817 = 384 * 256 + 256 + 256 + 1."""
    head = ProbeHead(channels=48, positions=13, outputs=1, pool=PoolShape()).build()
    assert count(head) == 98_817
    assert count(ProbeHead(channels=384, positions=1, outputs=1).build()) == 98_817
    assert head(FEATURES).shape == (5, 1)


def test_normalised_features_have_mean_0_and_deviation_1_and_cost_no_parameter() -> None:
    shape = HeadShape(kind="linear", normalise=True)
    head = ProbeHead(head=shape, channels=48, positions=13, outputs=1, pool=PoolShape()).build()
    assert count(head) == 385
    x = 3 * FEATURES + 2
    found = head.train().norm(head.pool(x))
    assert torch.allclose(found.mean(0), torch.zeros(384), atol=1e-5)
    assert torch.allclose(found.std(0, correction=0), torch.ones(384), atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "width"),
    [
        ("global_mean", 48),
        ("mean_max", 96),
        ("segment_mean", 384),
        ("attention", 384),
        ("none", 624),
    ],
)
def test_pooled_features_are_as_wide_as_published(kind: str, width: int) -> None:
    shape = PoolShape(kind=kind)
    assert Pool(shape, 48, 13)(FEATURES).shape == (5, width)
    assert shape.width(48, 13) == width


def test_the_last_segment_takes_the_rest() -> None:
    """S1 (b): 13 positions in 8 segments of 1, the last one positions 7 to 12; never 7 chunks."""
    found = segment_means(FEATURES, 8, even=False)
    assert torch.equal(found[..., :7], FEATURES[..., :7])
    assert torch.allclose(found[..., 7], FEATURES[..., 7:].mean(-1))


def test_even_segments_cover_all_positions_alike() -> None:
    found = segment_means(FEATURES, 8, even=True)
    assert found.shape == (5, 48, 8)
    assert torch.allclose(found[..., 0], FEATURES[..., :2].mean(-1), atol=1e-6)
    assert torch.allclose(found[..., -1], FEATURES[..., -2:].mean(-1), atol=1e-6)
    assert torch.allclose(segment_means(FEATURES[..., :8], 8, even=True), FEATURES[..., :8])


def test_attention_that_weighs_alike_is_the_mean() -> None:
    pool = Pool(PoolShape(kind="attention", segments=2), 48, 13)
    torch.nn.init.zeros_(pool.scores.weight)
    torch.nn.init.zeros_(pool.scores.bias)
    found = pool(FEATURES).view(5, 48, 2)
    assert torch.allclose(found, FEATURES.mean(-1, keepdim=True).expand(-1, -1, 2), atol=1e-6)


@pytest.mark.parametrize(("kind", "hidden"), [("linear", 0), ("mlp_1", 1), ("mlp_2", 2)])
def test_a_head_has_as_many_hidden_layers_as_it_says(kind: str, hidden: int) -> None:
    head = HeadShape(kind=kind, hidden=7).build(PoolShape(kind="none"), 3, 2, 4)
    assert sum(isinstance(m, torch.nn.GELU) for m in head.modules()) == hidden
    assert head(torch.randn(9, 3, 2)).shape == (9, 4)


def test_sizes_are_read_off_the_data() -> None:
    data = Dataset({}, {"channels": 6, "positions": 4, "outputs": 3})
    made = ProbeHead().shaped_for(data)
    assert (made.channels, made.positions, made.outputs) == (6, 4, 3)
    assert made.initialise(Seed(0)).module()(torch.randn(2, 6, 4)).shape == (2, 3)
    with pytest.raises(RunnerError, match="positions is open"):
        ProbeHead().shaped_for(Dataset({}, {"channels": 6}))


def test_too_few_positions_are_an_error() -> None:
    with pytest.raises(ValueError, match="7 positions cannot be cut into 8 segments"):
        ProbeHead(channels=2, positions=7, outputs=1, pool=PoolShape()).build()
