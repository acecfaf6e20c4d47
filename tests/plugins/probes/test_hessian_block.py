"""The probe that writes blocks of the Hessian out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plugins.models.mlp import Mlp
from plugins.models.resnet import Resnet
from plugins.probes.hessian_block import HessianBlock, HessianBlocks
from runner.errors import RunnerError
from runner.types import Circumstance, Seed, Split, Table, Trained

MODEL = Mlp(hidden=(5,), activation="tanh", inputs=4, outputs=3)
G = np.random.default_rng(0)
DATA = Split({"x": G.standard_normal((30, 4)), "y": G.integers(0, 3, 30)})
ONE, OTHER = (MODEL.initialise(Seed(n)) for n in (0, 1))


def made(**wish: object) -> HessianBlocks:
    return HessianBlock(precision="float64", **wish).run(ONE, DATA, Seed(0), Circumstance())


def test_the_last_layer_of_a_classifier_is_its_closed_form() -> None:
    found = made()
    assert found.table.frame["tensors"].tolist() == ["layers.1.weight, layers.1.bias"]
    module, x = ONE.module().double(), torch.as_tensor(DATA["x"])
    with torch.no_grad():
        hidden = torch.tanh(module.layers[0](x))
        likely = module.layers[1](hidden).softmax(1)
    inner = torch.diag_embed(likely) - likely[:, :, None] * likely[:, None]
    wanted = torch.einsum("nck,ni,nj->cikj", inner, hidden, hidden).reshape(15, 15) / 30
    np.testing.assert_allclose(found.blocks["block"][0][:15, :15], wanted, atol=1e-12)
    np.testing.assert_allclose(found.blocks["block"][0][15:, 15:], inner.mean(0), atol=1e-12)


def test_the_whole_of_a_small_network_has_negative_eigenvalues_and_says_so() -> None:
    found = made(block="all")
    values = np.linalg.eigvalsh(found.blocks["block"][0])
    row = found.table.frame.iloc[0]
    assert (row["parameters"], row["least"]) == (43, pytest.approx(values[0]))
    assert row["negative"] == (values < -1e-6 * np.abs(values).max()).sum() > 0
    np.testing.assert_allclose(found.blocks["eigenvalues"][0], values, atol=1e-12)


def test_blocks_are_chosen_by_name_and_follow_a_run() -> None:
    run = Trained({0: ONE}, OTHER, OTHER, Table({"step": [0, 9]}))
    probe = HessianBlock(block="layers.0.bias")
    found = probe.run(run, DATA, Seed(0), Circumstance())
    assert found.blocks["block"].shape == (2, 5, 5)
    assert found.table.frame["steps"].tolist() == [0, 9]


def test_a_name_that_is_not_there_is_told_of() -> None:
    with pytest.raises(RunnerError, match="no tensor's name begins with 'head'"):
        made(block="head")


def test_a_whole_large_network_is_refused() -> None:
    network = Resnet(depth=8, width=8, channels=1, outputs=3).initialise(Seed(0))
    data = Split({"x": np.zeros((2, 1, 8, 8), "float32"), "y": np.zeros(2, int)})
    with pytest.raises(RunnerError, match="rows are too many to write out, 4000 the most"):
        HessianBlock(block="all").run(network, data, Seed(0), Circumstance())
