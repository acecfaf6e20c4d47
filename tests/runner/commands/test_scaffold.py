"""`runner new`: a spec to begin with, valid as it is written where that is possible."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.plugin import FAMILIES, signature
from runner.registry import Registry

ROOT = Path(__file__).parents[3]
SHIPPED = [
    *("--data", "modular_arithmetic", "--model", "transformer", "--trainer", "supervised"),
    *("--perturbation", "rescale", "--probe", "function_drift", "--probe", "llc"),
    *("--renderer", "heatmap", "--renderer", "lines", "--renderer", "csv"),
]


BASE = SHIPPED[:6]
RESCALED = SHIPPED[:8]
OPEN = "REQUIRED"  # marks what a scaffold could not fill in


def lines_of(world, *arguments: str) -> list[str]:
    file = world.folder / "first.toml"
    file.unlink(missing_ok=True)
    outcome = world.cli("new", file.name, *arguments)
    said = "first.toml: written; next: runner validate first.toml\n"
    assert (outcome.code, outcome.out, outcome.err) == (0, said, "")
    return file.read_text("utf-8").splitlines()


def step_of(lines: list[str], step: str) -> dict[str, str]:
    """What is set in a step, as written."""
    start = lines.index(f"[{step}]") + 1
    end = lines.index("", start) if "" in lines[start:] else None
    pairs = [line.partition("  #")[0].split(" = ", 1) for line in lines[start:end]]
    return {pair[0]: pair[1] for pair in pairs if not pair[0].startswith("#")}


def test_the_scaffold_of_shipped_plugins_is_valid_and_wired_by_type(world) -> None:
    lines = lines_of(world, *SHIPPED)
    outcome = world.run_cli("validate", "first.toml")
    assert (outcome.code, outcome.err) == (0, "")
    assert step_of(lines, "probes.llc")["model"] == '"@rescale"'
    assert step_of(lines, "probes.llc")["data"] == '"@modular_arithmetic.train"'
    assert step_of(lines, "renderers.csv")["path"] == '"csv.csv"'


def shipped(family: str) -> tuple[str, ...]:
    return tuple(Registry.of(ROOT).names(family))


def pairs(one: str, other: str) -> list[tuple[str, ...]]:
    """Return each plugin of a family with each of another, as options."""
    return [
        (f"--{one.removesuffix('s')}", a, f"--{other.removesuffix('s')}", b)
        for a in shipped(one)
        for b in shipped(other)
    ]


@pytest.mark.parametrize(
    "chosen",
    [
        *(("--trainer", "supervised", *pair) for pair in pairs("probes", "renderers")),
        *((*pair, "--probe", "llc") for pair in pairs("trainers", "perturbations")),
    ],
    ids="-".join,
)
def test_what_is_not_marked_as_required_is_valid(shared_world, chosen: tuple[str, ...]) -> None:
    lines = lines_of(shared_world, *BASE[:4], *chosen)
    left = [line.split()[1] for line in lines if OPEN in line]
    outcome = shared_world.cli("validate", "first.toml")
    problems = outcome.err.splitlines()[:-1]
    told = [re.search(r"needs .*?\b(\w+) =", problem) for problem in problems]
    assert sorted(found[1] if found else "?" for found in told) == sorted(left), outcome.err


@pytest.mark.parametrize("probe", ["llc", "function_drift"])
@pytest.mark.parametrize("renderer", ["heatmap", "lines", "csv"])
def test_nothing_is_left_open_where_the_plugins_fit(shared_world, probe, renderer) -> None:
    lines = lines_of(shared_world, *RESCALED, "--probe", probe, "--renderer", renderer)
    assert [line for line in lines if OPEN in line] == []


def test_two_networks_that_are_compared_are_two(world) -> None:
    probe = ("--probe", "function_drift")
    step = step_of(lines_of(world, *RESCALED, *probe), "probes.function_drift")
    assert (step["model"], step["reference"]) == ('"@rescale"', '"@supervised"')
    step = step_of(lines_of(world, *BASE, *probe), "probes.function_drift")
    assert (step["model"], step["reference"]) == ('"@supervised"', '"@supervised@best"')


def test_a_renderer_draws_measures_over_axes_that_vary(world) -> None:
    lines = lines_of(world, *RESCALED, "--probe", "llc", *SHIPPED[12:16])
    assert step_of(lines, "axes") == {"alpha": "[0.5, 1.0, 2.0]", "beta": "[0.5, 1.0, 2.0]"}
    step = step_of(lines, "perturbations.rescale")
    assert (step["alpha"], step["beta"]) == ('"$alpha"', '"$beta"')
    step = step_of(lines, "renderers.heatmap")
    assert (step["x"], step["y"], step["value"]) == ('"alpha"', '"beta"', '"llc"')
    assert step["mask"] == '"healthy"'
    step = step_of(lines, "renderers.lines")
    assert (step["x"], step["y"], step["hue"]) == ('"alpha"', '"llc"', '"beta"')


def test_a_training_curve_is_drawn_where_nothing_varies(world) -> None:
    step = step_of(lines_of(world, *BASE, "--renderer", "lines"), "renderers.lines")
    assert step["table"] == '"@supervised.history"'
    assert (step["x"], step["y"]) == ('"step"', '"train_loss"')


def test_a_port_takes_what_is_named_like_it(world) -> None:
    world.plugin("probes/between", BETWEEN)
    lines = lines_of(world, *RESCALED, "--probe", "between")
    assert step_of(lines, "probes.between") == {
        "use": '"between"', "baseline": '"@supervised"', "rescale": '"@rescale"',
        "test": '"@modular_arithmetic.test"',
    }  # fmt: skip


BETWEEN = '''
"""A probe of two networks, that of before named first."""

from __future__ import annotations

from runner.plugin import Probe
from runner.types import Network, Split, Table


class Between(Probe):
    """Nothing is computed.

    Reads: two networks. Raises: nothing. Source: none.
    """

    def run(self, baseline: Network, rescale: Network, test: Split) -> Table:
        return Table({"rows": [len(test)]})
'''


def test_a_scaffold_runs_and_draws(world) -> None:
    lines_of(world, *SHIPPED)
    small = {
        "data.modular_arithmetic.modulus": 7, "models.transformer.width": 8,
        "models.transformer.layers": 1, "trainers.supervised.steps": 4, "probes.llc.steps": 2,
        "probes.llc.burn_in": 2, "probes.llc.minibatch": 8,
    }  # fmt: skip
    sets = [part for name, value in small.items() for part in ("--set", f"{name}={value}")]
    done = world.cli("run", "-n", "1", "first.toml", *sets)
    assert done.code == 0, done.out + done.err
    for view in ("heatmap.png", "lines.png", "csv.csv"):
        assert (world.artifacts / "first" / view).stat().st_size > 100


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
