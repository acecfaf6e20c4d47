"""A shared store behind the local one: records and objects below an fsspec URL.

    records/<stamp>-<random>-<sha256>.log   committed lines of local logs, verbatim
    objects/<aa>/<sha256>                     content

Both are immutable and named by the digest of their content, so whatever arrives is verified by its
name: a remote can withhold, it cannot deceive. Objects are there before the lines that need them.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.sharing.arrival import Arrival, DamagedError
from runner.sharing.parallel import together
from runner.sharing.patience import RemoteError, UnreachableError
from runner.sharing.segments import Segments
from runner.sharing.transport import CHUNK, Transport
from runner.storage.plain import digest_of, is_plain, open_plain

Place = Callable[[str], Path]  # where an object lies, or will lie, in the local store
_ASK_FIRST = 64 * 2**10  # bytes; what is shorter costs no more to send than to ask for
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Remote:
    """The second level of a local store. It asks nothing before a method needs it.

    `folder` is the local store's, `aside` returns a fresh path in it for a file being written, and
    `options` go to fsspec, over those of its own settings. `reasons` says why an object could not
    be had. Any thread may call the methods.

    Raises: UsageError when the text is no URL.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        aside: Callable[[], Path],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._transport = Transport(url, options)
        self._arrival = Arrival(self._transport, aside)
        self.shown = self._transport.shown
        name = hashlib.sha256(self._transport.url.encode()).hexdigest()[:16]
        self.folder = folder / "remote" / name
        self._segments = Segments(self._arrival, self.folder / "segments", self.warn)
        self.reasons: dict[str, str] = {}
        self._there: set[str] = set()  # objects known to be at the remote
        self._wrong: set[str] = set()  # objects found to be other content there
        self._large = threading.Semaphore(2)  # file systems hold large uploads in memory
        self._warnings: dict[str, bool] = {}  # each with whether it was taken
        self._lock = threading.Lock()

    def warn(self, message: str) -> None:
        """Keep a warning for whoever shows them; an equal one is kept once."""
        with self._lock:
            self._warnings.setdefault(message, False)

    def take_warnings(self) -> list[str]:
        """Return the warnings that came since the last call."""
        with self._lock:
            new = [message for message, taken in self._warnings.items() if not taken]
            self._warnings.update(dict.fromkeys(new, True))
        return new

    def keep(self, place: Path, content: bytes) -> None:
        """Write a file of the local store, whole and durable, or not at all.

        Raises: StoreError when the disk is full or may not be written.
        """
        self._arrival.keep([content], place)

    # -- records ---------------------------------------------------------------------------------

    def pull(self) -> Iterator[bytes]:
        """Yield the lines of all segments that were not yielded before, without newlines.

        One listing, and new segments only. When the remote cannot be reached this is a warning,
        and what was pulled earlier is yielded. Lines come again after their segments were merged.

        Raises: StoreError when the local disk cannot be written.
        """
        return self._segments.pull()

    def kept(self, seen: set[str]) -> Iterator[bytes]:
        """Yield the lines that the remote had when it was last asked, without asking it again.

        Segments whose names are among `seen` are left out; the names of the others are added.
        """
        return self._segments.kept(seen)

    def append(self, lines: bytes) -> None:
        """Add committed lines, each ended by a newline; their objects are there already.

        Raises: RefusedError, UnreachableError; StoreError when the local disk cannot be written.
        """
        self._segments.append(lines)

    def compact(self) -> int:
        """Merge segments into as few as may be; return how many were merged.

        Safe beside readers and writers: merged lines are there before their parts are removed.

        Raises: RefusedError, UnreachableError; StoreError when the local disk cannot be written.
        """
        return self._segments.compact()

    # -- objects ---------------------------------------------------------------------------------

    def fetch(self, wanted: Mapping[str, int], place: Place) -> set[str]:
        """Bring objects, each of a size in bytes, to their places; return those not to be had.

        Each arrives whole, verified, read-only and durable, or not at all; `reasons` says why not.
        One whose content at the remote is wrong is a warning, and is replaced by a later upload.

        Raises: StoreError when the local disk cannot be written.
        """

        def bring(digest: str) -> bool:
            try:
                if not _DIGEST.fullmatch(digest):
                    raise DamagedError(f"{digest[:80]!r} is not the name of an object")
                self._arrival.bring(_path(digest), digest, wanted[digest], place(digest))
            except RemoteError as error:
                self.reasons[digest] = str(error)
                if isinstance(error, DamagedError):
                    self._wrong.add(digest)
                    self.warn(f"{self.shown}: {error}; it is not used")
                elif isinstance(error, UnreachableError):
                    self.warn(f"{error}; going on with what is here")
                return False
            self._there.add(digest)
            return True

        return {digest for digest, had in together(bring, wanted).items() if not had}

    def upload(
        self, objects: Mapping[str, int], place: Place, stop: threading.Event | None = None
    ) -> set[str]:
        """Send objects that the remote lacks; return those that are whole neither here nor there.

        Raises: RefusedError; UnreachableError, also when `stop` was set meanwhile.
        """

        def send(digest: str) -> bool:
            if stop is not None and stop.is_set():
                raise UnreachableError(f"{self.shown}: stopped before all was sent")
            if digest not in self._there and not self._send(digest, objects[digest], place(digest)):
                return False
            self._there.add(digest)
            return True

        return {digest for digest, sent in together(send, objects).items() if not sent}

    def _send(self, digest: str, size: int, path: Path) -> bool:
        known_wrong = digest in self._wrong
        if size > _ASK_FIRST and not known_wrong and self._has(digest, size):
            return True
        content = _whole(path, digest, size)
        if content is None:
            return not known_wrong and self._has(digest, size)
        if isinstance(content, bytes):
            self._transport.write(_path(digest), content)
        else:
            with self._large:
                self._transport.write(_path(digest), content)
        self._wrong.discard(digest)
        return True

    def _has(self, digest: str, size: int) -> bool:
        return self._transport.size(_path(digest)) == size


def _path(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest}"


def _whole(path: Path, digest: str, size: int) -> bytes | Path | None:
    """Return a local object, as its path where it is large; None when it is gone or damaged."""
    try:
        if not is_plain(path, size):
            return None
        if size > CHUNK:
            return path if digest_of(path) == digest else None
        with open_plain(path) as stream:
            content = stream.read()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == digest else None
