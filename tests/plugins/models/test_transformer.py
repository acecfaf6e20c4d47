import copy

import pytest
import torch
from pydantic import ValidationError
from torch.func import functional_call, vmap

from plugins.maths.networks import transformer
from plugins.models.transformer import Transformer
from runner.errors import RunnerError
from runner.types import Dataset, Seed

SMALL = Transformer(layers=2, heads=2, width=8, vocabulary=9, length=5, outputs=7)


def tokens(rows: int = 6, length: int = 4) -> torch.Tensor:
    return torch.randint(9, (rows, length), generator=torch.Generator().manual_seed(0))


def test_published_size_has_422784_parameters():
    module = Transformer(vocabulary=99, length=5, outputs=99).build()
    assert sum(parameter.numel() for parameter in module.parameters()) == 422_784


def test_open_sizes_come_from_the_data_and_given_ones_stay():
    data = Dataset({}, {"vocabulary": 33, "length": 4, "classes": 31})
    shaped = Transformer(outputs=33).shaped_for(data)
    assert (shaped.vocabulary, shaped.length, shaped.outputs) == (33, 4, 33)


def test_a_size_the_data_does_not_state_is_named():
    with pytest.raises(RunnerError, match="length is open"):
        Transformer().shaped_for(Dataset({}, {"vocabulary": 33, "classes": 31}))
    with pytest.raises(RunnerError, match="vocabulary, length, outputs still open"):
        Transformer().build()


def test_indivisible_width_is_refused():
    assert "multiple of heads" in Transformer(width=10, heads=4).check_parameters()
    with pytest.raises(ValidationError):
        Transformer(eps=0.0)


def test_logits_are_those_of_the_definition():
    """Written out from the formulas, all positions, explicit mask: fp64."""
    module = SMALL.build().double()
    w = {name: value.detach() for name, value in module.state_dict().items()}
    x = tokens()

    def norm(h, name):
        centred = h - h.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + w[f"{name}.eps"]).sqrt()
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(h, name):
        return h @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    h = w["token.weight"][x] + w["position.weight"][:4]
    for block in ("blocks.0", "blocks.1"):
        query, key, value = linear(norm(h, f"{block}.norm1"), f"{block}.qkv").split(8, -1)
        parts = []
        for head in (slice(0, 4), slice(4, 8)):
            score = query[..., head] @ key[..., head].mT / 2.0
            score = score.masked_fill(torch.ones(4, 4).triu(1).bool(), -torch.inf)
            parts.append(score.softmax(-1) @ value[..., head])
        h = h + linear(torch.cat(parts, -1), f"{block}.out")
        h = h + linear(linear(norm(h, f"{block}.norm2"), f"{block}.up").relu(), f"{block}.down")
    expected = norm(h, "norm")[:, -1] @ w["head.weight"].T
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_both_forms_of_attention_agree(monkeypatch):
    parts = [torch.randn(3, t, 2, 4, dtype=torch.float64) for t in (5, 5, 5)]
    short = transformer.attention(*parts)
    last = transformer.attention(parts[0][:, -1:], *parts[1:])
    monkeypatch.setattr(transformer, "SHORT", 2)
    torch.testing.assert_close(transformer.attention(*parts), short, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last, short[:, -1:], rtol=1e-12, atol=1e-12)


def test_attention_is_causal():
    module = Transformer(layers=1, heads=2, width=8, vocabulary=9, length=4, outputs=7).build()
    stream = torch.randn(1, 4, 8)
    changed = stream.clone()
    changed[:, 3] += 1.0
    block = module.blocks[0]
    assert torch.equal(block(stream)[:, :3], block(changed)[:, :3])


def test_replaced_eps_acts_like_a_loaded_one():
    module = SMALL.build().double()
    state = {name: value.detach().clone() for name, value in module.state_dict().items()}
    state["blocks.0.norm1.eps"] = torch.tensor(0.3, dtype=torch.float64)
    loaded = copy.deepcopy(module)
    loaded.load_state_dict(state)
    assert not torch.allclose(loaded(tokens()), module(tokens()))
    torch.testing.assert_close(
        functional_call(module, state, tokens()), loaded(tokens()), rtol=1e-12, atol=1e-12
    )


def test_eps_changed_in_place_is_noticed():
    module = SMALL.build().double()
    before = module(tokens())
    module.norm.eps.fill_(0.5)
    assert not torch.allclose(module(tokens()), before)


def test_vmap_runs_over_networks_that_differ_in_eps():
    module = SMALL.build().double()
    state = {n: torch.stack([v.detach()] * 2) for n, v in module.state_dict().items()}
    state["norm.eps"] = torch.tensor([1e-5, 0.5], dtype=torch.float64)
    x = tokens()
    both = vmap(lambda s: functional_call(module, s, x))(state)
    torch.testing.assert_close(both[0], module(tokens()), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(both[1], both[0])


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    one = SMALL.initialise(Seed(3)).weights
    torch.manual_seed(2)
    two = SMALL.initialise(Seed(3)).weights
    other = SMALL.initialise(Seed(4)).weights
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["token.weight"], other["token.weight"])


def test_rescalings_name_tensors_of_the_state():
    for scale_eps in (True, False):
        assert set(SMALL.rescalings(scale_eps)) <= set(SMALL.build().state_dict())
