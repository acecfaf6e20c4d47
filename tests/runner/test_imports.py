"""An edit is seen however soon after a run it comes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


def value(folder: Path, hooked: bool, young: float = 2.0) -> str:
    """Return what a fresh process finds in folder/lab/number.py; young: as `imports.YOUNG`."""
    hook = f"import runner.registry\nrunner.imports.YOUNG = {young}\n" if hooked else ""
    code = hook + "from lab.number import N; print(N)"
    environ = {name: text for name, text in os.environ.items() if "BYTECODE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(("hooked", "seen"), [(True, "2"), (False, "1")])
def test_an_edit_within_a_second_that_keeps_the_length_is_seen(tmp_path, hooked, seen) -> None:
    """Python by itself misses it: if that changes, nothing is needed here any more."""
    file = tmp_path / "lab" / "number.py"
    file.parent.mkdir()
    now = int(time.time()) + 0.5
    for number in "12":
        file.write_text(f"N = {number}\n", "utf-8")
        os.utime(file, (now, now))
        found = value(tmp_path, hooked, young=600.0)  # however slowly a process starts
    assert found == seen


def test_bytecode_of_older_files_is_kept_and_used(tmp_path) -> None:
    file = tmp_path / "lab" / "number.py"
    file.parent.mkdir()
    file.write_text("N = 1\n", "utf-8")
    os.utime(file, (1e9, 1e9))
    assert value(tmp_path, hooked=True) == "1"
    assert list(file.parent.glob("__pycache__/number.*.pyc"))
