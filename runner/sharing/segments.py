"""The records of a remote: committed lines of many stores' logs, in immutable segments.

A segment is named `<stamp>-<random>-<sha256>.log`. Those that were read are kept in the local
store, where they serve while the remote cannot be reached.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from runner.sharing.arrival import Arrival, DamagedError
from runner.sharing.parallel import together
from runner.sharing.patience import AbsentError, RemoteError
from runner.storage.records import LINE_MOST

SEGMENT_MOST = 256 * 2**20  # bytes; a longer one is not read
_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{16}-([0-9a-f]{64})\.log")


class Segments:
    """The folder `records` of a remote, and its copy in a local folder."""

    def __init__(self, arrival: Arrival, folder: Path, warn: Callable[[str], None]) -> None:
        self._arrival = arrival
        self._transport = arrival.transport
        self._folder = folder
        self._warn = warn
        self._yielded: set[str] = set()

    def pull(self) -> Iterator[bytes]:
        """Yield the lines of all segments not yielded before; see `Remote.pull`."""
        for _ in range(3):  # segments vanish while others merge them; the merged one is listed then
            vanished = self._refresh()
            for name in sorted(self._kept() - self._yielded):
                data = self._read(name)
                if data is None:
                    vanished = True
                    continue
                self._yielded.add(name)
                for line in data.split(b"\n"):
                    if len(line) > LINE_MOST:
                        self._warn(f"{self._shown(name)} has too long a line; it is left out")
                    elif line:
                        yield line
            if not vanished:
                return

    def kept(self, seen: set[str]) -> Iterator[bytes]:
        """Yield the lines of segments that are here and not among `seen`; see `Remote.kept`."""
        for name in sorted(self._kept() - seen):
            seen.add(name)
            yield from (line for line in (self._read(name) or b"").split(b"\n") if line)

    def append(self, lines: bytes) -> None:
        """Add lines that the local store knows; see `Remote.append`."""
        self._yielded.add(self._write(lines))

    def compact(self) -> int:
        """Merge small segments; see `Remote.compact`."""
        listed = self._listed()
        self._download(listed)
        parts = sorted(name for name, size in listed.items() if size < LINE_MOST // 2)
        merged = 0
        while len(parts) > 1:
            lines: dict[bytes, None] = {}  # equal lines once, in the order of their segments
            taken, length = [], 0
            while parts and length < LINE_MOST:
                name = parts.pop(0)
                data = self._read(name)
                if data is not None:
                    lines.update(dict.fromkeys(line for line in data.split(b"\n") if line))
                    taken.append(name)
                    length += len(data)
            if len(taken) > 1:
                self._write(b"".join(line + b"\n" for line in lines))
                together(lambda name: self._transport.remove(f"records/{name}"), taken)
                merged += len(taken)
        return merged

    def _write(self, lines: bytes) -> str:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        digest = hashlib.sha256(lines).hexdigest()
        name = f"{stamp}-{secrets.token_hex(8)}-{digest}.log"
        self._transport.write(f"records/{name}", lines)
        self._arrival.keep([lines], self._folder / name)
        return name

    def _listed(self) -> dict[str, int]:
        sizes = self._transport.sizes("records")
        return {name: size for name, size in sizes.items() if _NAME.fullmatch(name)}

    def _kept(self) -> set[str]:
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            return {entry.name for entry in entries if _NAME.fullmatch(entry.name)}
        return set()

    def _refresh(self) -> bool:
        """Make the local copy what the remote lists; return whether a listed segment was gone."""
        kept = self._kept()  # before the listing: what is written meanwhile is not taken for gone
        try:
            listed = self._listed()
            for name in kept - listed.keys():  # merged into another one, or removed
                (self._folder / name).unlink(missing_ok=True)
            return self._download(listed)
        except RemoteError as error:
            self._warn(f"{error}; going on with what is here")
            return False

    def _download(self, sizes: Mapping[str, int]) -> bool:
        """Bring the segments that are not here; return whether one of them was gone."""

        def bring(name: str) -> bool:
            try:
                if sizes[name] > SEGMENT_MOST:
                    raise DamagedError(f"{sizes[name]} bytes are more than a segment may have")
                path = f"records/{name}"
                self._arrival.bring(path, _digest(name), sizes[name], self._folder / name)
            except AbsentError:
                return True
            except DamagedError as error:
                self._warn(f"{self._shown(name)} is damaged and left out: {error}")
            return False

        kept = self._kept()
        return any(together(bring, sorted(sizes.keys() - kept)).values())

    def _read(self, name: str) -> bytes | None:
        """Return a local segment; None when it is gone, or damaged and therefore removed."""
        path = self._folder / name
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() == _digest(name):
            return data
        path.unlink(missing_ok=True)
        return None

    def _shown(self, name: str) -> str:
        return f"{self._transport.shown}/records/{name}"


def _digest(name: str) -> str:
    return name.removesuffix(".log").rsplit("-", 1)[1]
