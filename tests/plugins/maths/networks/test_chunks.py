import torch

from plugins.maths.networks import chunks
from plugins.maths.networks.stacked import Stack
from plugins.models.transformer import Transformer
from runner.types import Seed


def stack(width: int) -> Stack:
    model = Transformer(width=width, heads=2, vocabulary=9, length=4, outputs=7)
    return Stack.of([model.initialise(Seed(0))])


def test_the_footprint_grows_with_inputs_and_width_and_holds_the_weights():
    x = torch.randint(9, (64, 4), generator=torch.Generator().manual_seed(0))
    small, wide = stack(8), stack(32)
    assert chunks.footprint(small, x) > 1.5 * chunks.footprint(small, x[:16])
    assert chunks.footprint(wide, x) > 2 * chunks.footprint(small, x)
    assert chunks.footprint(wide, x[:1]) > 2 * wide.flat.nbytes


def test_more_networks_fit_when_each_is_smaller_and_one_always_goes(monkeypatch):
    x = torch.zeros(16, 4, dtype=torch.long)
    assert chunks.at_once(stack(8), x) > chunks.at_once(stack(64), x) >= 1
    monkeypatch.setattr(chunks, "ROOM", 1)
    assert chunks.at_once(stack(8), x) == 1
