"""Every way to be wrong, one file each: the message names file, line and column, and the cure.

A file `bad_specs/NAME.toml` has its whole output beside it, in `NAME.txt`; a first line
`# options: ...` gives options of the command line. `pytest --update-golden` rewrites the outputs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.registry import Registry, project_roots

FOLDER = Path(__file__).parent / "bad_specs"
SPECS = sorted(FOLDER.glob("*.toml"))
PLACE = re.compile(r"[\w./]+\.toml:\d+:\d+: \S")


@pytest.fixture(scope="module")
def copied(shared_world):
    """Return a world that holds all the bad specs."""
    shutil.copytree(FOLDER, shared_world.folder, dirs_exist_ok=True)
    return shared_world


@pytest.fixture
def folder(copied, monkeypatch: pytest.MonkeyPatch):
    """Return that world, which knows its own plugins only: no new plugin changes a text."""
    monkeypatch.setattr(Registry, "of", lambda project: Registry(project_roots(project)))
    return copied


def options_of(spec: Path) -> list[str]:
    first = spec.read_bytes().partition(b"\n")[0].decode(errors="replace")
    return first.removeprefix("# options: ").split() if first.startswith("# options: ") else []


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_bad_spec_is_told_place_by_place(
    folder, spec: Path, golden: Callable[[str, Path], None]
) -> None:
    outcome = folder.cli("validate", spec.name, *options_of(spec))
    assert outcome.code == 2
    assert outcome.out == ""
    *lines, last = outcome.err.splitlines()
    assert lines
    assert last == f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    for line in lines:
        assert PLACE.match(line), f"no file:line:column in {line!r}"
    assert "Traceback" not in outcome.err
    text = outcome.err.replace(str(folder.folder), "FOLDER").replace(folder.package, "TINY")
    golden(text, spec.with_suffix(".txt"))
