"""What a command imports: nothing heavy unless something is computed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "lightning", "pandas", "matplotlib", "scipy", "sklearn", "torchvision", "loky")
GOOD = """
[axes]
a = [1.0, 2.0]

[probes.value]
use = "value"
a = "$a"

[probes.mean]
use = "average"
table = "@value"
over = ["a"]

[renderers.page]
use = "page"
table = "@value"
path = "page.txt"

[expect.positive]
table = "@value"
check = "value > 0"
"""
CODE = """
import sys
sys.argv = ["runner", *sys.argv[1:]]
from runner.__main__ import main
code = 0
try:
    main()
except SystemExit as error:
    code = error.code
print("CODE", code)
print("LOADED", *[name for name in {heavy!r} if name in sys.modules])
"""


def loaded(world, *arguments: str) -> tuple[int, list[str]]:
    """Run a command in a process of its own; return its exit code and the heavy imports."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(heavy=HEAVY), *arguments],
        cwd=world.folder, env=world.env(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    *_, code, names = done.stdout.splitlines()
    return int(code.removeprefix("CODE ") or 0), names.removeprefix("LOADED").split()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--help", 0),
        ("run --help", 0),
        ("validate good.toml", 0),
        ("plan good.toml", 0),
        ("validate bad.toml", 2),
        ("validate broken.toml", 2),
        ("list", 0),
        ("show llc", 0),
        ("validate bad.toml --format json", 2),
        ("schema", 0),
    ],
)
def test_nothing_heavy_is_imported_before_anything_is_computed(
    shared_world, arguments: str, code: int
) -> None:
    shared_world.spec(GOOD, "good.toml")
    shared_world.spec(GOOD.replace('"$a"', '"one"'), "bad.toml")
    shared_world.spec("[probes", "broken.toml")
    assert loaded(shared_world, *arguments.split()) == (code, [])


def test_a_run_that_finds_everything_imports_nothing_heavy(world) -> None:
    world.spec(GOOD, "good.toml")
    assert world.cli("run", "-n", "1", "good.toml").code == 0
    assert world.calls()
    assert loaded(world, "run", "-n", "1", "good.toml") == (0, [])
    assert world.calls() == []


def test_a_good_spec_does_not_load_the_parser_that_places_errors(world) -> None:
    world.spec(GOOD, "good.toml")
    code = CODE.format(heavy=("tree_sitter", "rich"))
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", "good.toml"],
        cwd=world.folder, env=world.env(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.slow
def test_a_process_that_has_used_torchs_compiler_ends_without_a_word() -> None:
    code = "import torch._dynamo\n" + CODE.format(heavy=())  # as an optimizer's first step does
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
