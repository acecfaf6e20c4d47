"""The example of CONTRIBUTING.md is a plugin that works as it stands there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from runner.plugin import FAMILIES, Model, Plugin, signature
from runner.registry import Registry, Root, use_of
from runner.types import Network, Seed, Table

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"
PACKAGE = "contributed_plugins"


class Tiny(Model):
    """A linear layer and a bias-free one, small enough to know every weight."""

    def build(self) -> Any:
        return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 2, bias=False))


def example() -> tuple[str, str]:
    """Return the path named in the first line of the page's first Python block, and the block."""
    pattern = re.compile(r"^```python\n(# (plugins/\S+\.py)\n.*?)^```", re.MULTILINE | re.DOTALL)
    block = pattern.search(PAGE.read_text("utf-8"))
    assert block, "CONTRIBUTING.md must open a python block with its path as a comment"
    return block[2], block[1]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Plugin]]:
    """Write the example into a plugin folder of its own and load it as a spec would."""
    path, code = example()
    _, family, file = Path(path).parts
    folder = tmp_path / PACKAGE
    (folder / family).mkdir(parents=True)
    (folder / family / file).write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    before: dict[str, ModuleType] = dict(sys.modules)
    yield Registry([Root(PACKAGE, folder)]).load(family, Path(file).stem)
    for name in set(sys.modules) - set(before):
        if name.split(".")[0] == PACKAGE:
            del sys.modules[name]


@pytest.fixture
def network() -> Network:
    """Return weights whose norms are known: columns (3, 4) and a diagonal."""
    first = torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    second = torch.tensor([[5.0, 0.0], [0.0, -12.0]])
    return Network(Tiny(), {"0.weight": first, "0.bias": torch.ones(2), "1.weight": second})


def test_the_example_is_found_by_the_name_of_its_file(plugin: type[Plugin]) -> None:
    path, _ = example()
    assert use_of(plugin) == Path(path).stem
    assert issubclass(plugin, FAMILIES[Path(path).parts[1]])
    assert list(signature(plugin).references) == ["model"]


@pytest.mark.parametrize(
    ("kind", "expected"), [("frobenius", [5.0, 13.0]), ("spectral", [4.0, 12.0])]
)
def test_the_example_measures_known_weights(
    plugin: type[Plugin], network: Network, kind: str, expected: list[float]
) -> None:
    table = plugin(kind=kind).run(network)
    assert isinstance(table, Table)
    assert list(table.columns) == list(plugin.columns) == ["tensor", "parameters", "norm"]
    assert table.columns["tensor"] == ["0.weight", "1.weight"]
    assert table.columns["parameters"] == [6, 4]
    assert table.columns["norm"] == pytest.approx(expected, rel=1e-12)


def test_the_example_runs_on_a_freshly_drawn_network(plugin: type[Plugin]) -> None:
    network = Tiny().initialise(Seed(0))
    norms = plugin().run(network).columns["norm"]
    direct = [network.weights[name].double().norm().item() for name in ("0.weight", "1.weight")]
    assert norms == pytest.approx(direct, rel=1e-12)


def test_the_example_takes_biases_when_asked_and_may_find_nothing(
    plugin: type[Plugin], network: Network
) -> None:
    assert len(plugin(min_dimensions=1).run(network)) == 3
    assert len(plugin(min_dimensions=3).run(network)) == 0


def test_the_example_names_a_tensor_that_is_not_finite(
    plugin: type[Plugin], network: Network
) -> None:
    broken = Network(Tiny(), {**network.weights, "1.weight": torch.full((2, 2), torch.inf)})
    with pytest.raises(ValueError, match=r"'1\.weight' are not finite"):
        plugin().run(broken)


def test_the_example_states_what_it_reads_raises_and_where_it_comes_from(
    plugin: type[Plugin],
) -> None:
    for word in ("Reads:", "Raises:", "Source:"):
        assert word in str(plugin.__doc__)
    assert all(field.description for field in plugin.model_fields.values())


def test_the_example_imports_nothing_heavy_at_its_head() -> None:
    _, code = example()
    head = [line for line in code.splitlines() if re.match(r"(import|from) ", line)]
    assert head
    assert not [line for line in head if re.search(r"torch|numpy|pandas|matplotlib", line)]
