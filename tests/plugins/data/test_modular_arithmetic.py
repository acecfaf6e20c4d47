"""Modular arithmetic: the equations, the split and the sizes."""

import numpy as np
import pytest

from plugins.data.modular_arithmetic import ModularArithmetic
from runner import Seed

OPERATIONS = ["add", "sub", "mul", "div"]


def rows(data, name):
    return data[name]["x"], data[name]["y"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_equation_holds(operation, split):
    p = 13
    x, y = rows(ModularArithmetic(operation=operation, modulus=p).run(Seed(3)), split)
    for (a, op, b, equals), c in zip(x.tolist(), y.tolist(), strict=True):
        assert (op, equals) == (p + 1, p)
        assert 0 <= c < p
        holds = {
            "add": (a + b - c) % p, "sub": (a - b - c) % p, "mul": (a * b - c) % p,
            "div": (c * b - a) % p,
        }  # fmt: skip
        assert holds[operation] == 0


def test_the_splits_are_disjoint_and_hold_every_pair_once():
    data = ModularArithmetic(modulus=11, train_fraction=0.3).run(Seed(0))
    pairs = [
        tuple(row) for name in ("train", "test") for row in data[name]["x"][:, [0, 2]].tolist()
    ]
    assert sorted(pairs) == [(x, y) for x in range(11) for y in range(1, 11)]
    assert len(data["train"]) == 33


def test_the_seed_fixes_the_split_and_another_seed_gives_another():
    make = ModularArithmetic(modulus=11)
    first, again, other = (make.run(Seed(seed))["train"]["x"] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_operations_share_their_split():
    splits = [
        ModularArithmetic(operation=name, modulus=11).run(Seed(1))["train"]["x"]
        for name in OPERATIONS
    ]
    assert all(np.array_equal(splits[0], other) for other in splits[1:])


def test_the_published_sizes_come_out():
    data = ModularArithmetic().run(Seed(42))
    assert (len(data["train"]), len(data["test"])) == (4656, 4656)
    assert data.about == {"vocabulary": 99, "length": 4, "classes": 99, "modulus": 97}
    assert data["train"]["x"].dtype == data["train"]["y"].dtype == np.int64
    assert data["train"]["x"].max() == 98


def test_the_published_network_has_422784_parameters():
    from plugins.models.transformer import Transformer

    # the published position table has a fifth row, for the answer, that is never read
    net = Transformer(length=5).shaped_for(ModularArithmetic().run(Seed(0)))
    assert sum(parameter.numel() for parameter in net.build().parameters()) == 422_784


def test_division_needs_a_prime():
    complaint = ModularArithmetic(operation="div", modulus=15).check_parameters()
    assert "15 must be a prime" in complaint
    assert "3 divides it" in complaint
    assert ModularArithmetic(operation="mul", modulus=15).check_parameters() is None
    assert ModularArithmetic(operation="div", modulus=13).check_parameters() is None


def test_an_empty_split_is_refused():
    assert (
        "train_fraction = 0.01"
        in ModularArithmetic(modulus=5, train_fraction=0.01).check_parameters()
    )
