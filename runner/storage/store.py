"""The store: a log of finished nodes and immutable content by digest.

A node exists if and only if a whole, checksummed line of a log holds its record. Objects are
written aside, flushed and renamed before that line; one line commits a whole batch.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.errors import StoreError, StoreFullError, StoreReadOnlyError
from runner.storage.claims import Claims
from runner.storage.described import DIGEST
from runner.storage.plain import digest_of, is_plain
from runner.storage.records import Entry, Logs, Record, Records, entry_of, line_of, made_of

__all__ = ["Record", "Store"]
FOLDERS = (
    "records", "objects", "aside", "scratch", "progress", "claims", "alive", "damaged", "remote",
)  # fmt: skip


@dataclass
class Store:
    """Records and objects below one folder. Cheap to make; `refresh` reads the logs."""

    folder: Path
    records: Records = field(default_factory=Records)
    far: dict[str, int] = field(default_factory=dict)  # objects of a shared store, not fetched yet
    _verified: set[str] = field(default_factory=set)
    _within: bool = False  # whether its folders were seen to be no links

    @cached_property
    def logs(self) -> Logs:
        """The files that records lie in."""
        return Logs(self.folder / "records")

    @cached_property
    def claims(self) -> Claims:
        """This process's claims on nodes."""
        return Claims(self.folder)

    @property
    def damaged(self) -> list[str]:
        """The logs with damaged lines, one for each such line that was read."""
        return self.logs.damaged

    # -- reading -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what was appended to the logs since the last call.

        Raises: StoreError when a log cannot be read, or a folder of the store is a link.
        """
        self.check_folders()
        for key, entry in self.logs.news():
            self.records.add(key, entry)

    def check_folders(self) -> None:
        """Refuse folders that lead out of the store: what is cleaned there may be anyone's."""
        if self._within:
            return
        for name in FOLDERS:
            if (self.folder / name).is_symlink():
                message = f"{self.folder / name} is a link; a store's own folders may not be links"
                raise StoreError(f"{message}: remove it, or choose another --artifacts folder")
        self._within = True

    def has(self, key: str) -> bool:
        """Return whether a key has a record whose objects are all there in full length.

        Those that a shared store has, and that are fetched when they are read, are there.
        """
        objects = self.records.objects(key)
        if objects is None:
            return False
        return all(self.is_here(d, size) or d in self.far for d, size in objects.items())

    def is_here(self, digest: str, size: int) -> bool:
        """Return whether an object lies in this store in full length."""
        return is_plain(self.object_path(digest), size)

    def get(self, key: str) -> Record | None:
        """Return the record of a key whose objects are all there in full length, or None."""
        return self.records[key] if self.has(key) else None

    def stale(self, recipe: str) -> Record | None:
        """Return the newest whole record of the same recipe made by other code, or None."""
        for key in reversed(self.records.of_recipe(recipe)):
            if self.has(key):
                return self.records[key]
        return None

    def object_path(self, digest: str) -> Path:
        """Return where an object lies or will lie."""
        return self.folder / "objects" / digest[:2] / digest

    def read(self, digest: str) -> Path:
        """Return the path of an object, its content verified once by this process.

        Raises: StoreError when it is missing or its content has changed; it is then set aside, so
        that the next run computes it again.
        """
        if not DIGEST.fullmatch(digest):
            raise StoreError(
                f"{digest[:80]!r} is no digest; `runner store verify` finds whose it is"
            )
        path = self.object_path(digest)
        if digest in self._verified:
            return path
        try:
            found = digest_of(path)
        except OSError as error:
            message = f"cannot read object {digest[:12]}: {error.strerror}; run again to compute it"
            raise StoreError(message) from error
        if found != digest:
            message = f"object {digest[:12]} has changed since it was written; it "
            try:
                quarantine = self.set_aside(digest)
            except OSError as error:
                message += f"could not be moved away ({error.strerror}); remove {path}"
            else:
                message += f"was moved to {quarantine}"
            more = "`runner store verify` looks for more"
            raise StoreError(f"{message}; run again to compute it anew, {more}")
        self._verified.add(digest)
        return path

    def set_aside(self, digest: str) -> Path:
        """Move a damaged object out of the way and return where to.

        Raises: OSError.
        """
        quarantine = self.folder / "damaged" / digest
        quarantine.parent.mkdir(parents=True, exist_ok=True)
        self.object_path(digest).replace(quarantine)
        return quarantine

    # -- writing -------------------------------------------------------------------------------

    def put(self, content: bytes) -> tuple[str, int]:
        """Write an object; return its digest and size. Writing what is there does nothing.

        Raises: StoreError when the disk is full or may not be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = self.object_path(digest)
        if not (is_plain(path, len(content)) and digest_of(path) == digest):
            aside = self.aside()
            try:
                with aside.open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                path.parent.mkdir(parents=True, exist_ok=True)
                aside.chmod(0o444)
                aside.replace(path)
            except BaseException as error:
                with suppress(OSError):
                    aside.unlink(missing_ok=True)
                if isinstance(error, OSError):
                    raise write_error(path, error) from error
                raise
        self._verified.add(digest)
        return digest, len(content)

    def put_file(self, fill: Callable[[Path], object]) -> tuple[str, int]:
        """Write an object that is too large to hold; return its digest and size.

        `fill` writes it under the path that it is given, in the store's own folder for that.

        Raises: StoreError when the disk is full or may not be written.
        """
        aside = self.aside()
        try:
            fill(aside)
            with aside.open("rb") as stream:
                os.fsync(stream.fileno())
            digest, size = digest_of(aside), aside.stat().st_size
            path = self.object_path(digest)
            if not (is_plain(path, size) and digest_of(path) == digest):
                path.parent.mkdir(parents=True, exist_ok=True)
                aside.chmod(0o444)
                aside.replace(path)
        except OSError as error:
            if error.errno is None:  # a library could not read what was to be copied
                raise
            raise write_error(aside, error) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        self._verified.add(digest)
        return digest, size

    def commit(self, made: bytes | Mapping[str, Any], records: Iterable[Record]) -> None:
        """Write finished nodes as one line and make them durable: all of them or none.

        Raises: StoreError when the disk is full or may not be written.
        """
        self.write(made if isinstance(made, bytes) else made_of(made), records)
        self.sync()

    def adopt(self, same: Sequence[tuple[Record, str]]) -> None:
        """Store nodes as the results of others: each is who it is, and came to what the key did.

        Raises: StoreError as `commit` does.
        """
        lines: dict[bytes, list[Record]] = {}
        for record, key in same:
            entry = self.records.entry(key)
            if entry is not None:
                known = {**self.records[key], **record, "same": key}
                lines.setdefault(entry[0], []).append(known)
        for made, records in lines.items():
            self.write(made, records)
        if lines:
            self.sync()

    def write(self, made: bytes, records: Iterable[Record]) -> None:
        """Write finished nodes as one line, which outlives this process; see `sync`.

        Raises: StoreError when the disk is full or may not be written.
        """
        self.write_entries(made, [(record["key"], entry_of(made, record)) for record in records])

    def write_entries(self, made: bytes, entries: Sequence[tuple[str, Entry]]) -> None:
        """Write records made together, as they lie in a line; see `write`.

        Raises: StoreError when the disk is full or may not be written.
        """
        try:
            if self.logs.own is None:
                self.claims.live()  # no log is merged away while its process lives
            self.logs.append(line_of(made, entries))
        except OSError as error:
            raise write_error(self.logs.folder, error) from error
        for key, entry in entries:
            self.records.add(key, entry)

    def sync(self) -> None:
        """Make what was written durable.

        Raises: StoreError; what was written since the last time may then be lost.
        """
        try:
            self.logs.sync()
        except OSError as error:
            raise write_error(self.logs.folder, error) from error

    def close(self) -> None:
        """Close this process's log and end its sign of life; both begin anew when needed."""
        self.logs.close()
        self.claims.close()

    def place(self, target: Path, fill: Callable[[Path], object]) -> None:
        """Write a file outside of the objects, whole or not at all, and nothing beside it.

        `fill` writes it under the path that it is given, in the store's own folder for that.

        Raises: StoreError when the disk is full or may not be written.
        """
        aside = self.aside()
        try:
            fill(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                beside = target.with_name(f".{aside.name}")  # another file system, by a link to it
                shutil.copyfile(aside, beside)
                beside.replace(target)
        except OSError as error:
            raise write_error(target, error) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def aside(self) -> Path:
        """Return a fresh path for a file being written, in the store's own file system."""
        return self._made(self.folder / "aside") / self._signed(uuid.uuid4().hex[:8])

    def _signed(self, name: str) -> str:
        """Return a file name by which this process's death shows that the file is an orphan."""
        try:
            self.claims.live()
        except OSError as error:
            raise write_error(self.folder / "alive", error) from error
        return f"{self.claims.owner}-{name}"

    def scratch(self, key: str) -> Path:
        """Return the folder where an unfinished node keeps what it needs to resume."""
        return self._made(self.folder / "scratch" / key)

    def drop_scratch(self, key: str, only_empty: bool = False) -> None:
        """Remove a node's scratch folder, if it has one: a failed node keeps what lies in it."""
        path = self.folder / "scratch" / key
        if only_empty:
            with suppress(OSError):
                path.rmdir()
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def claimed(self, keys: Iterable[str]) -> Iterator[set[str]]:
        """Claim nodes against all other processes; yield the keys that were free.

        Raises: StoreError when the store cannot be written.
        """
        try:
            taken = self.claims.take(keys)
        except OSError as error:
            raise write_error(self.folder / "claims", error) from error
        try:
            yield taken
        finally:
            self.claims.give(taken)

    def progress(self, token: str) -> Path:
        """Return the folder for the progress files of one run of this process."""
        return self._made(self.folder / "progress" / self._signed(token))

    def _made(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error
        return folder

    def clean(self) -> None:
        """Remove what died half-done: files of dead processes, scratch of stored nodes.

        What cannot be removed, or is gone already, is left: other runners may be at work.
        """
        for path in [*self._entries("aside"), *self._entries("progress")]:
            if self.claims.dead(path.name.rpartition("-")[0]):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.claims.clean()
        for path in self._entries("scratch"):
            if self.has(path.name):
                self.drop_scratch(path.name)

    def _entries(self, name: str) -> list[Path]:
        try:
            return list((self.folder / name).iterdir())
        except OSError:
            return []


def write_error(path: Path, error: OSError) -> StoreError:
    """Return what to tell of a failure to write, with its cure."""
    kinds = {
        errno.ENOSPC: StoreFullError, errno.EDQUOT: StoreFullError,
        errno.EACCES: StoreReadOnlyError, errno.EPERM: StoreReadOnlyError,
        errno.EROFS: StoreReadOnlyError,
    }  # fmt: skip
    cure = {
        errno.ENOSPC: "the disk is full; free some space and run again, nothing done is lost",
        errno.EDQUOT: "the quota is used up; free some space and run again",
        errno.EACCES: "no right to write; give it, or choose another --artifacts folder",
        errno.EPERM: "no right to write; give it, or choose another --artifacts folder",
        errno.EROFS: "the file system is read-only; choose another --artifacts folder",
    }.get(error.errno or 0, error.strerror or str(error))
    return kinds.get(error.errno or 0, StoreError)(f"cannot write {path}: {cure}")
