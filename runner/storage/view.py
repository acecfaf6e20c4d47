"""Views: the named files a person opens, below the spec's folder of the artifacts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from runner.errors import StoreError
from runner.storage.store import Store, write_error

RESERVED = ("run.json", "report.html", "report.md", "failed", "runs")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]+\Z")
_BAD = set('\\<>:"|?*') | {chr(c) for c in range(32)}


def view_paths(plugin: Any) -> tuple[str, ...]:
    """Return the relative paths of the files a renderer writes.

    Raises: ValueError when a path would leave the view folder or cannot be a file name.
    """
    path = PurePosixPath(plugin.path)
    text = str(plugin.path)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise ValueError(f"{text!r} leaves the view folder; write a path below it")
    if not path.name:
        raise ValueError("is empty; write the name of a file, such as heatmap.png")
    if bad := sorted(set(text) & _BAD):
        raise ValueError(f"{text!r} may not contain {bad[0]!r}; folders are parted by /")
    if any(part.startswith(".") for part in path.parts):
        raise ValueError(f"{text!r} has a part that begins with a dot; choose another name")
    if path.parts[0].casefold() in RESERVED:
        raise ValueError(f"{path.parts[0]!r} is the runner's own; choose another name")
    if not path.suffix:
        raise ValueError(f"{text!r} has no suffix; the suffix is the format, as in heatmap.png")
    for suffix in plugin.suffixes():
        if not _SUFFIX.match(suffix):
            raise ValueError(f'the format "{suffix}" is no suffix; write it as in ".pdf"')
    return tuple(str(path.with_suffix(suffix)) for suffix in plugin.suffixes())


@dataclass(frozen=True)
class Partial:
    """A view drawn from a part of its cells."""

    view: str
    cells: int
    total: int

    def __str__(self) -> str:
        """Return `llc.png (37 of 64 cells)`."""
        return f"{self.view} ({self.cells} of {self.total} cells)"


def check_folder(folder: Path) -> None:
    """Refuse links among the runner's own folders of views: files in them are removed.

    Raises: StoreError.
    """
    for name in ("failed", "runs", "runs/keys"):
        if (folder / name).is_symlink():
            raise StoreError(f"{folder / name} is a link; remove it: the runner's own may not be")


def place(source: Path, folder: Path, name: str, store: Store) -> Path:
    """Put an object into the view folder under a name: a hard link, else a copy.

    Raises: StoreError when the folder is a link out of its parent or cannot be written.
    """

    def link(aside: Path) -> None:
        try:
            os.link(source, aside)
        except OSError:
            shutil.copyfile(source, aside)

    target = folder / name
    return target if _same(target, source) else _placed(folder, name, store, link)


def place_content(content: bytes, folder: Path, name: str, store: Store) -> Path:
    """Write content into the view folder under a name.

    Raises: StoreError as `place` does.
    """
    return _placed(folder, name, store, lambda aside: aside.write_bytes(content))


def _same(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:
        return False


def _placed(folder: Path, name: str, store: Store, fill: Callable[[Path], object]) -> Path:
    target = folder / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise StoreError(f"{target.parent} is a link out of {folder}; remove it")
    except OSError as error:
        raise write_error(target, error) from error
    store.place(target, fill)
    return target
