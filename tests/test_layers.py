"""The engine's packages lie in layers: each imports only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ENGINE = Path(__file__).parent.parent / "runner"
LAYERS = (
    "language", "storage", "planning", "sharing", "computing", "running", "telling", "commands",
)  # fmt: skip
ABOVE = ("__init__", "__main__", "pytest_plugin")  # the ways in; other loose modules are below all


def layer_of(module: str) -> int:
    """Return how high a module `runner.x.y` lies: -1 for what all may import."""
    part = module.split(".")[1] if "." in module else "__init__"
    if part in ABOVE:
        return len(LAYERS)
    return LAYERS.index(part) if part in LAYERS else -1


def imported(file: Path) -> set[str]:
    """Return the engine's modules that a file imports anywhere, also for its annotations only."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            whole = "." in module
            found |= {module} if whole else {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "runner"}


def test_every_package_has_a_layer() -> None:
    packages = {init.parent.name for init in ENGINE.glob("*/__init__.py")}
    assert packages == set(LAYERS)


@pytest.mark.parametrize("package", ["", *LAYERS])
def test_a_module_imports_nothing_from_a_layer_above_its_own(package: str) -> None:
    wrong = [
        f"{file.relative_to(ENGINE)} imports {name}"
        for file in sorted((ENGINE / package).glob("*.py"))
        for name in sorted(imported(file))
        if layer_of(name) > layer_of(f"runner.{package or file.stem}")
    ]
    assert wrong == []
