"""Content from a remote, verified on its way into the local store: whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import StoreError
from runner.sharing.patience import RemoteError
from runner.sharing.transport import Transport

_TRIES = 2  # bytes spoilt on their way are right the second time, those at the remote never


class DamagedError(RemoteError):
    """What the remote has under a name is not what the name says."""


@dataclass(frozen=True)
class Arrival:
    """Brings files of a remote to their places.

    `aside` returns a fresh path for a file being written, in the file system of these places.
    """

    transport: Transport
    aside: Callable[[], Path]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def bring(self, path: str, digest: str, size: int, place: Path) -> None:
        """Download a file of known sha256 and size in bytes, durable when this returns.

        Raises: DamagedError, AbsentError, RefusedError, UnreachableError; StoreError when the
        local disk cannot be written.
        """
        for rest in reversed(range(_TRIES)):
            try:
                return self.keep(self._verified(path, digest, size), place)
            except DamagedError:
                if not rest:
                    raise
        raise AssertionError("a try either returns or raises")

    def keep(self, pieces: Iterable[bytes], place: Path) -> None:
        """Write a local file whole, read-only and durable, or not at all.

        Raises: StoreError when the disk is full or may not be written.
        """
        with self._lock:
            aside = self.aside()
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("xb") as stream:
                for piece in pieces:
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            aside.chmod(0o444)
            aside.replace(place)
        except BaseException as error:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StoreError(_cannot_write(place, error)) from error
            raise

    def _verified(self, path: str, digest: str, size: int) -> Iterable[bytes]:
        """Yield a file's pieces; the last one comes only after all of them proved right."""
        found, length, held = hashlib.sha256(), 0, b""
        for piece in self.transport.read(path, size):
            if length:
                yield held
            held = piece
            length += len(piece)
            if length > size:
                raise DamagedError(f"{path} is longer than its {size} bytes")
            found.update(piece)
        if length < size:
            raise DamagedError(f"{path} ends after {length} of {size} bytes")
        if found.hexdigest() != digest:
            raise DamagedError(f"{path} has other content than its name says")
        yield held


def _cannot_write(place: Path, error: OSError) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    cure = "free some space and run again" if full else "give the right to write"
    return f"cannot write {place}: {error.strerror or error}; {cure}"
