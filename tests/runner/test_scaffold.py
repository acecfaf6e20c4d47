"""`runner new`: a spec to begin with, valid as it is written where that is possible."""

from __future__ import annotations

import pytest

from runner.plugin import FAMILIES, signature
from runner.registry import Registry

SHIPPED = [
    *("--data", "modular_arithmetic", "--model", "transformer", "--trainer", "supervised"),
    *("--perturbation", "rescale", "--probe", "function_drift", "--probe", "llc"),
    *("--renderer", "heatmap", "--renderer", "lines", "--renderer", "csv"),
]


def test_the_scaffold_of_shipped_plugins_is_valid_and_wired_by_type(world) -> None:
    outcome = world.run_cli("new", "first.toml", *SHIPPED)
    said = "first.toml: written; next: runner validate first.toml\n"
    assert (outcome.code, outcome.out, outcome.err) == (0, said, "")
    outcome = world.run_cli("validate", "first.toml")
    assert (outcome.code, outcome.err) == (0, "")
    text = (world.folder / "first.toml").read_text("utf-8")
    for line in ('model = "@rescale"', 'data = "@modular_arithmetic.train"', 'table = "@llc"'):
        assert line in text


def test_every_parameter_stands_there_with_its_description(world) -> None:
    world.cli("new", "first.toml", *SHIPPED)
    lines = (world.folder / "first.toml").read_text("utf-8").splitlines()
    registry = Registry.of(world.folder)
    for use in SHIPPED[1::2]:
        family = next(f for f in FAMILIES if use in registry.names(f))
        cls = registry.load(family, use)
        start = lines.index(f'use = "{use}"')
        part = lines[start : lines.index("", start) if "" in lines[start:] else None]
        for field, info in cls.model_fields.items():
            (line,) = [x for x in part if x.removeprefix("# ").startswith(f"{field} = ")]
            assert str(info.description) in line
        for port in signature(cls).references:
            assert any(x.removeprefix("# ").startswith(f"{port} = ") for x in part)
    assert "# modulus = 97  # p; a prime where the operation is div" in lines


def test_what_cannot_be_filled_in_is_marked(world) -> None:
    world.cli("new", "first.toml", "--probe", "words", "--probe", "size", "--probe", "size")
    text = (world.folder / "first.toml").read_text("utf-8")
    assert "# file = ...  # REQUIRED: a text file" in text
    assert '# model = "@..."  # REQUIRED: a reference to a Network' in text
    assert "[probes.size_2]" in text
    outcome = world.cli("validate", "first.toml")
    assert outcome.code == 2
    assert "needs a value, file" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--probe", "vlaue"), 'no plugin "vlaue" in probes; did you mean "value"?'),
        ((), "choose at least one plugin"),
    ],
)
def test_a_wrong_choice_is_told_and_nothing_is_written(world, arguments, message: str) -> None:
    outcome = world.cli("new", "first.toml", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (world.folder / "first.toml").exists()


def test_a_file_that_is_there_is_left_alone(world) -> None:
    spec = world.spec("mine")
    outcome = world.cli("new", spec.name, "--probe", "value")
    assert (outcome.code, spec.read_text("utf-8")) == (2, "mine")
    assert "is there already" in outcome.err
