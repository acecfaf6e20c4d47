"""`runner store import`: an archive of anyone's taken in, its members read as streams alone.

Nothing is extracted by its name. All headers and the listing are judged before a byte is written;
an object is placed once its digest is right, and the records come last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import StoreError
from runner.storage.archive import FORMAT, MANIFEST, RECORDS, member_of, together
from runner.storage.described import DIGEST
from runner.storage.plain import digest_of, is_plain
from runner.storage.records import LINE_MOST, Entry, entries_of, parsed, sizes
from runner.storage.store import Store, write_error
from runner.storage.tarball import Member, members, shown, skip, told

MANIFEST_MOST = 2**27  # bytes, of more than a million objects
RECORDS_MOST = 2**30  # bytes, of some 700,000 nodes
SPARE = 2**24  # bytes that stay free on the disk


@dataclass(frozen=True)
class Imported:
    """What was taken in: numbers of nodes and objects, and of those that were there already."""

    nodes: int
    nodes_there: int
    objects: int
    objects_there: int
    size: int  # bytes of the objects that were written


@dataclass(frozen=True)
class _Listing:
    """What the manifest says of the rest."""

    records: int  # bytes
    objects: Mapping[str, int]


def take_in(store: Store, file: Path) -> Imported:
    """Take the objects and records of an archive into a store; what is there stays as it is.

    Raises: StoreError naming the member where the archive is not what `export` writes, and then
    nothing was written; or where content is not what its name says, and then no record came in.
    """
    store.refresh()
    with told(file):
        listing, lines = _judged(store, file)
    entries = _entries(file, lines, listing)
    try:
        store.claims.live()  # nobody cleans up what comes in before its records do
    except OSError as error:
        raise write_error(store.folder, error) from error
    lacking = {d: size for d, size in listing.objects.items() if not _is_whole(store, d, size)}
    new = [(key, entry) for key, entry in entries if not store.has(key)]
    with told(file):
        for member in members(file) if lacking else ():
            digest = member.name.rpartition("/")[2]
            if digest not in lacking:
                skip(member)
            elif member.size == lacking[digest]:
                _place(store, file, member, digest)
            else:
                raise StoreError(f"{file} changed while it was read; no node was taken in")
    for made, group in together(new):
        store.write_entries(made, group)
    store.sync()
    return Imported(
        len(new), len(entries) - len(new), len(lacking), len(listing.objects) - len(lacking),
        sum(lacking.values()),
    )  # fmt: skip


# -- judging, before anything is written -----------------------------------------------------------


def _judged(store: Store, file: Path) -> tuple[_Listing, bytes]:
    """Read all headers, the listing and the records; return the latter two.

    Raises: StoreError where something is there that `export` does not write.
    """
    listing: _Listing | None = None
    lines = b""
    awaited: dict[str, int] = {}
    for number, member in enumerate(members(file)):
        if number == 0:
            _expect(file, member, MANIFEST, MANIFEST_MOST)
            listing = _listed(file, b"".join(member.content))
            _check_room(store, file, listing)
            awaited = {member_of(digest): size for digest, size in listing.objects.items()}
        elif number == 1 and listing is not None:
            _expect(file, member, RECORDS, RECORDS_MOST)
            if member.size != listing.records:
                raise StoreError(f"{file}: {RECORDS} has not the size that {MANIFEST} says")
            lines = b"".join(member.content)
        else:
            size = awaited.pop(member.name, None)
            if size is None:
                raise StoreError(f"{file}: {shown(member.name)} is not listed in {MANIFEST}")
            if size != member.size:
                message = f"has {member.size} bytes, and {size} by {MANIFEST}"
                raise StoreError(f"{file}: {member.name} {message}")
            skip(member)
    if listing is None or (lines == b"" and listing.records):
        raise StoreError(f"{file}: ends before {RECORDS}; it is no archive of `store export`")
    if awaited:
        raise StoreError(f"{file}: {next(iter(awaited))} is missing; the archive is not whole")
    return listing, lines


def _expect(file: Path, member: Member, name: str, most: int) -> None:
    if member.name != name:
        message = f"{shown(member.name)} stands where {name} should"
        raise StoreError(f"{file}: {message}; it is no archive of `runner store export`")
    if member.size > most:
        raise StoreError(f"{file}: {name} has {member.size} bytes, which is too much to read")


def _listed(file: Path, text: bytes) -> _Listing:
    try:
        manifest = json.loads(text)
        form, records, objects = (manifest[name] for name in ("format", "records", "objects"))
        right = (
            type(records) is int
            and records >= 0
            and all(
                DIGEST.fullmatch(digest) and type(size) is int and 0 <= size < 2**60
                for digest, size in objects.items()
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{file}: {MANIFEST} cannot be understood: {error!r}") from error
    if form != FORMAT:
        message = f"is of format {shown(str(form))}, and this version reads {FORMAT}"
        raise StoreError(f"{file}: {message}; use the version that wrote it, or export again")
    if not right:
        raise StoreError(f"{file}: {MANIFEST} does not list digests and sizes")
    return _Listing(records, objects)


def _entries(file: Path, lines: bytes, listing: _Listing) -> list[tuple[str, Entry]]:
    """Return the records of an archive, all of whose objects are in it."""
    found: dict[str, Entry] = {}
    for number, line in enumerate(lines.split(b"\n")[:-1], 1):
        entries = entries_of(line) if len(line) < LINE_MOST else None
        if entries is None:
            raise StoreError(f"{file}: line {number} of {RECORDS} is damaged")
        for key, entry in entries:
            try:
                parsed(key, entry)
            except StoreError as error:
                why = str(error).partition(";")[0]
                raise StoreError(f"{file}: {RECORDS}:{number}: {why}") from error
            for digest, size in sizes(entry[1].split(b" ", 3)[2]).items():
                if listing.objects.get(digest) != size:
                    message = f"needs {member_of(digest)}, which is not in it"
                    raise StoreError(f"{file}: {RECORDS}:{number}: {key[:16]} {message}")
            found[key] = entry
    return list(found.items())


def _check_room(store: Store, file: Path, listing: _Listing) -> None:
    """Check that what would come in fits on the disk: more is not even read."""
    there = (size for d, size in listing.objects.items() if is_plain(store.object_path(d), size))
    size = sum(listing.objects.values()) - sum(there) + listing.records
    folder = next(path for path in (store.folder, *store.folder.parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        message = f"{size:,} bytes would be written, and {free:,} are free below {folder}"
        raise StoreError(f"{file}: {message}; free some space or choose another --artifacts folder")


def _is_whole(store: Store, digest: str, size: int) -> bool:
    path = store.object_path(digest)
    with suppress(OSError):
        return is_plain(path, size) and digest_of(path) == digest
    return False


# -- placing ---------------------------------------------------------------------------------------


def _place(store: Store, file: Path, member: Member, digest: str) -> None:
    path = store.object_path(digest)
    aside = store.aside()
    found = hashlib.sha256()
    try:
        with aside.open("xb") as stream:
            for piece in member.content:
                found.update(piece)
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        if found.hexdigest() != digest:
            message = "has other content than its name says; no node was taken in"
            raise StoreError(f"{file}: {member.name} {message}")
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.chmod(0o444)
        aside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise write_error(path, error) from error
        raise
