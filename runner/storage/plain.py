"""Files that are what they seem: opened only where they are plain files, never through a link.

A store may come from anyone. A link would lead out of it, and a pipe would never end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def open_plain(path: str | Path) -> FileIO:
    """Open a plain file for reading, without buffers.

    Raises: OSError, also for links, pipes, folders and devices.
    """
    try:
        handle = os.open(path, _FLAGS | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # some systems say the latter of links
            raise no_plain_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise no_plain_file(path)
    return open(handle, "rb", buffering=0)  # noqa: PTH123  # it is a handle


def is_plain(path: str | Path, size: int) -> bool:
    """Return whether a path is a plain file of a size in bytes, no link to one."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return found.st_size == size and stat.S_ISREG(found.st_mode)


def digest_of(path: str | Path) -> str:
    """Return the sha256 of a plain file's content, in hexadecimal.

    Raises: OSError as `open_plain` does.
    """
    with open_plain(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all that lies below a folder and is no folder, in the order of names; no link is left.

    What vanishes meanwhile, or cannot be listed, is passed over.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(Path(entry.path))
        else:
            yield entry


def no_plain_file(path: str | Path) -> OSError:
    """Return the error of a path that is a link, a pipe, a folder or a device."""
    return OSError(errno.EINVAL, "it is no plain file", str(path))
