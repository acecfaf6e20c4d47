"""Which files are specs: those named, and every *.toml below the folders named.

A file whose name begins with `_` is a part that specs extend, and one with `.` belongs to some
program: neither is a study, so a folder does not stand for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.errors import UsageError


def is_study(file: Path) -> bool:
    """Return whether a file that was found, not named, is a spec of its own."""
    return not file.name.startswith(("_", "."))


def spec_files(paths: Iterable[Path]) -> list[Path]:
    """Return the spec files among and below paths, each once, as they were first named.

    Raises: UsageError where a path cannot be looked at, or a folder holds none.
    """
    once: dict[Path, Path] = {}
    for path in paths:
        try:
            found = sorted(filter(is_study, path.rglob("*.toml"))) if path.is_dir() else [path]
        except OSError as error:
            raise UsageError(
                f"{path}: cannot be looked at ({error.strerror}); check its rights"
            ) from error
        if not found:
            raise UsageError(f"{path}: no *.toml below this folder")
        for file in found:
            once.setdefault(file.resolve(), file)
    return list(once.values())
