"""`runner store export`: what specs have stored, as one tar that another store can take in.

    manifest.json           format, specs, and the size of each of the following
    records.log           lines as in the logs of a store
    objects/<aa>/<sha256>   content

Equal contents of a store give equal archives, byte for byte.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner.errors import StoreError, UsageError
from runner.storage.plain import open_plain
from runner.storage.records import Entry, line_of
from runner.storage.store import Store, write_error

FORMAT = 1
MANIFEST, RECORDS = "manifest.json", "records.log"
CHUNK = 2**20
_LINE = 2**20  # bytes of records after which a line ends
PLAIN, ZIPPED = (".tar",), (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Exported:
    """What an archive holds: numbers of nodes and objects, `size` of the file in bytes."""

    nodes: int
    objects: int
    size: int


def member_of(digest: str) -> str:
    """Return the name of an object in an archive."""
    return f"objects/{digest[:2]}/{digest}"


def export(store: Store, keys: Sequence[str], specs: Sequence[str], file: Path) -> Exported:
    """Write the records of these keys and their objects to a file, whole or not at all.

    Every object is verified on its way; the store has been refreshed.

    Raises: UsageError for a name that says no format; StoreError when an object is damaged, or
    the file cannot be written.
    """
    zipped = is_zipped(file)
    entries = [(key, entry) for key in sorted(keys) if (entry := store.records.entry(key))]
    lines = b"".join(line_of(made, group) for made, group in together(entries))
    objects = {d: size for key in keys for d, size in (store.records.objects(key) or {}).items()}
    manifest = {
        "format": FORMAT, "specs": sorted(specs), "nodes": len(keys), "records": len(lines),
        "objects": dict(sorted(objects.items())),
    }  # fmt: skip
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with aside.open("xb") as raw:
            with (
                _stream(raw, zipped) as stream,
                tarfile.open(
                    fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, bufsize=CHUNK
                ) as tar,
            ):
                text = json.dumps(manifest, indent=1).encode()
                for name, content in ((MANIFEST, text), (RECORDS, lines)):
                    tar.addfile(_header(name, len(content)), io.BytesIO(content))
                for digest, size in manifest["objects"].items():  # type: ignore[attr-defined]
                    _add_object(tar, store, digest, size)
            raw.flush()
            os.fsync(raw.fileno())
        size = aside.stat().st_size
        aside.replace(file)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(file, error) from error
        raise
    return Exported(len(keys), len(objects), size)


def is_zipped(file: Path) -> bool:
    """Return whether the name of an archive says that it is compressed.

    Raises: UsageError when it says neither.
    """
    if file.name.endswith(ZIPPED):
        return True
    if file.name.endswith(PLAIN):
        return False
    raise UsageError(f"{file}: the name says no format; write study.tar or study.tar.gz")


def together(
    entries: Iterable[tuple[str, Entry]],
) -> Iterator[tuple[bytes, list[tuple[str, Entry]]]]:
    """Yield records with what they share, those made together at once, in lines of some length."""
    groups: dict[bytes, list[tuple[str, Entry]]] = {}
    for key, entry in entries:
        groups.setdefault(entry[0], []).append((key, entry))
    for made, group in sorted(groups.items()):
        start = size = 0
        for end, (_, entry) in enumerate(group, 1):
            size += len(entry[1])
            if size > _LINE or end == len(group):
                yield made, group[start:end]
                start, size = end, 0


@contextmanager
def _stream(raw: IO[bytes], zipped: bool) -> Iterator[IO[bytes]]:
    if not zipped:
        yield raw
        return
    with gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream:  # weights shrink little
        yield stream  # type: ignore[misc]


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o444
    return header


def _add_object(tar: tarfile.TarFile, store: Store, digest: str, size: int) -> None:
    try:
        with open_plain(store.object_path(digest)) as stream:
            reading = _Reading(stream)
            tar.addfile(_header(member_of(digest), size), reading)  # type: ignore[arg-type]
            whole = reading.found.hexdigest() == digest and not stream.read(1)
    except FileNotFoundError as error:
        raise StoreError(f"object {digest[:12]} is gone; run again to compute it") from error
    if not whole:
        cure = "`runner store verify` sets it aside"
        raise StoreError(f"object {digest[:12]} has changed since it was written; {cure}")


class _Reading:
    """A file that digests what is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.found = hashlib.sha256()

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and (part := self.stream.read(size)):
            self.found.update(part)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
