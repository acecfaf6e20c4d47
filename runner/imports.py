"""Python's cached bytecode is not trusted for modules that were edited a moment ago.

Python knows bytecode to be that of a source file by the file's time in whole seconds and its
length. A number changed for another within a second of a run would go unseen: the old code would be
run, and its results stored under the new code's key. Modules outside Python's own folders, which
plugins are, are therefore compiled from their text as long as it is younger than `YOUNG`, and no
bytecode of them is kept until then.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.importlib import PathEntryFinderProtocol

YOUNG = 2.0  # seconds: the coarsest clock of a file system in use


class _Loader(SourceFileLoader):
    def path_stats(self, path: str) -> Mapping[str, float]:
        found = super().path_stats(path)
        if abs(time.time() - found["mtime"]) < YOUNG:
            raise OSError(f"{path} is too young for its bytecode to be known by time")
        return found


_finder = FileFinder.path_hook(
    (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Loader, SOURCE_SUFFIXES)
)


def _own(path: str) -> bool:
    """Return whether a folder belongs to Python or to what is installed for it."""
    return path.startswith(tuple({sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)}))  # noqa: PTH120


def _hook(path: str) -> PathEntryFinderProtocol:
    if _own(path):
        raise ImportError(path)
    return _finder(path)


def install() -> None:
    """Look at modules of all other folders from now on; those already imported stay."""
    if _hook not in sys.path_hooks:
        sys.path_hooks.insert(0, _hook)
        for path in [path for path in sys.path_importer_cache if not _own(path)]:
            sys.path_importer_cache.pop(path)
