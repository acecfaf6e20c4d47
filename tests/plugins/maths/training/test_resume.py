"""The state file: bit for bit, whole or not at all."""

import math

import pytest
import torch
from torch import nn, optim

from plugins.maths.training import resume


def test_tensors_and_floats_come_back_to_the_bit(tmp_path):
    tensors = {"a/w": torch.randn(3, 4).t(), "a/n": torch.tensor(7.0), "b": torch.zeros(0)}
    notes = {"history": [{"loss": 0.1 + 0.2, "least": 5e-324, "none": None}], "step": 3}
    resume.write(tmp_path / "state", tensors, notes)
    found, words = resume.read(tmp_path / "state")
    assert words == notes
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert resume.part(found, "a").keys() == {"w", "n"}


def test_undefined_metrics_survive_too(tmp_path):
    resume.write(tmp_path / "state", {}, [math.nan, math.inf])
    _, (undefined, infinite) = resume.read(tmp_path / "state")
    assert math.isnan(undefined)
    assert infinite == math.inf


def test_no_file_is_no_state(tmp_path):
    assert resume.read(tmp_path / "state") is None


def test_a_write_that_breaks_off_leaves_the_old_state(tmp_path, monkeypatch):
    resume.write(tmp_path / "state", {"w": torch.ones(2)}, {"step": 1})

    def broken(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(resume.os, "fsync", broken)
    with pytest.raises(OSError, match="no space"):
        resume.write(tmp_path / "state", {"w": torch.zeros(2)}, {"step": 2})
    found, notes = resume.read(tmp_path / "state")
    assert notes == {"step": 1}
    assert torch.equal(found["w"], torch.ones(2))


def test_what_was_read_does_not_change_when_the_file_does(tmp_path):
    resume.write(tmp_path / "state", {"w": torch.ones(2)}, {})
    found, _ = resume.read(tmp_path / "state")
    resume.write(tmp_path / "state", {"w": torch.zeros(2)}, {})
    assert torch.equal(found["w"], torch.ones(2))


@pytest.mark.parametrize("kind", [optim.AdamW, optim.Adam, optim.SGD])
def test_a_restored_optimizer_takes_the_same_next_step(kind):
    more = {"momentum": 0.9} if kind is optim.SGD else {}

    def step(module, optimizer):
        optimizer.zero_grad()
        module(torch.ones(1, 2)).square().sum().backward()
        optimizer.step()

    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    first = kind(one.parameters(), lr=0.1, fused=True, **more)
    for _ in range(3):
        step(one, first)
    other.load_state_dict(resume.weights_of(one))
    second = kind(other.parameters(), lr=0.1, fused=True, **more)
    resume.restore_optimizer(second, resume.optimizer_tensors(first))
    for module, optimizer in ((one, first), (other, second)):
        step(module, optimizer)
    assert torch.equal(one.weight, other.weight)


def test_random_draws_go_on_where_they_stood():
    with torch.random.fork_rng(devices=[]):
        state = resume.random_state(torch.device("cpu"))
        drawn = torch.rand(3)
        resume.restore_random(state, torch.device("cpu"))
        assert torch.equal(torch.rand(3), drawn)
