"""The store: a log of finished nodes and immutable content by digest.

A node exists if and only if a whole, checksummed line of a log holds its record. Objects are
written aside, flushed and renamed before that line; one line commits a whole batch.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import StoreError

Record = dict[str, Any]  # one finished node: key, recipe, label, outputs, objects, made, ...
_CLEAN_AFTER = 24 * 3600  # seconds after which another host's aside files count as orphans


@dataclass
class Store:
    """Records and objects below one folder. Cheap to make; `refresh` reads the logs."""

    folder: Path
    records: dict[str, Record] = field(default_factory=dict)
    recipes: dict[str, list[str]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    _read_to: dict[str, int] = field(default_factory=dict)
    _log: Any = None
    _verified: set[str] = field(default_factory=set)

    # -- reading -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what was appended to the logs since the last call."""
        folder = self.folder / "records"
        if not folder.is_dir():
            return
        with os.scandir(folder) as entries:
            logs = sorted((e.name, e.path) for e in entries if e.name.endswith(".jsonl"))
        for name, path in logs:
            self._read_log(name, path)

    def _read_log(self, name: str, path: str) -> None:
        start = self._read_to.get(name, 0)
        try:
            with open(path, "rb") as stream:  # noqa: PTH123  # 10 us less for each of many logs
                stream.seek(start)
                data = stream.read()
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}; check its rights") from error
        end = data.rfind(b"\n") + 1  # what follows is being written, or was torn
        self._read_to[name] = start + end
        for line in data[:end].splitlines():
            checksum, _, body = line.partition(b" ")
            if hashlib.sha256(body).hexdigest().encode() != checksum:
                self.damaged.append(path)
                continue
            self._admit(json.loads(body))

    def _admit(self, line: Mapping[str, Any]) -> None:
        for record in line["records"]:
            record["made"] = line["made"]
            if record["key"] not in self.records:
                self.recipes.setdefault(record["recipe"], []).append(record["key"])
            self.records[record["key"]] = record

    def get(self, key: str) -> Record | None:
        """Return the record of a key whose objects are all there in full length, or None."""
        record = self.records.get(key)
        if record is None:
            return None
        for digest, size in record["objects"].items():
            try:
                if self.object_path(digest).stat().st_size != size:
                    return None
            except OSError:
                return None
        return record

    def stale(self, recipe: str) -> Record | None:
        """Return the newest whole record of the same recipe made by other code, or None."""
        for key in reversed(self.recipes.get(recipe, [])):
            record = self.get(key)
            if record is not None:
                return record
        return None

    def object_path(self, digest: str) -> Path:
        """Return where an object lies or will lie."""
        return self.folder / "objects" / digest[:2] / digest

    def read(self, digest: str) -> Path:
        """Return the path of an object, its content verified once by this process.

        Raises: StoreError when it is missing or its content has changed; it is then set aside, so
        that the next run computes it again.
        """
        path = self.object_path(digest)
        if digest in self._verified:
            return path
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            message = f"cannot read object {digest[:12]}: {error.strerror}; run again to compute it"
            raise StoreError(message) from error
        if found != digest:
            quarantine = self.folder / "damaged" / digest
            message = f"object {digest[:12]} has changed since it was written; it "
            try:
                quarantine.parent.mkdir(parents=True, exist_ok=True)
                path.replace(quarantine)
            except OSError as error:
                message += f"could not be moved away ({error.strerror}); remove {path}"
            else:
                message += f"was moved to {quarantine}"
            raise StoreError(f"{message}; run again to compute it anew")
        self._verified.add(digest)
        return path

    # -- writing -------------------------------------------------------------------------------

    def put(self, content: bytes) -> tuple[str, int]:
        """Write an object; return its digest and size. Writing what is there does nothing.

        Raises: StoreError when the disk is full or may not be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = self.object_path(digest)
        if not self._is_there(path, len(content)):
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
                    raise self._write_error(path, error) from error
                raise
        self._verified.add(digest)
        return digest, len(content)

    def _is_there(self, path: Path, size: int) -> bool:
        """Whether an equal object is there; one of another length or content is replaced."""
        try:
            if path.stat().st_size != size:
                return False
        except OSError:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == path.name

    def commit(self, made: Mapping[str, Any], records: Iterable[Record]) -> None:
        """Append finished nodes as one line, durable when this returns: all of them or none.

        Raises: StoreError when the disk is full or may not be written.
        """
        line = {"made": dict(made), "records": list(records)}
        body = json.dumps(line, separators=(",", ":"), allow_nan=False).encode()
        text = hashlib.sha256(body).hexdigest().encode() + b" " + body + b"\n"
        try:
            if self._log is None:
                self._log = self._open_log()
            end = self._log.seek(0, os.SEEK_END)
            try:
                rest = memoryview(text)
                while rest:  # a disk that is all but full takes a part and reports no error
                    rest = rest[self._log.write(rest) :]
                os.fsync(self._log.fileno())
            except BaseException:  # an interrupt must not leave a part of a line either
                self._log.truncate(end)
                raise
        except OSError as error:
            raise self._write_error(self.folder / "records", error) from error
        self._admit(line)

    def _open_log(self) -> Any:
        folder = self.folder / "records"
        folder.mkdir(parents=True, exist_ok=True)
        seconds, rest = divmod(time.time_ns(), 10**9)  # logs are read in the order of their names
        stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}.{rest:09d}"
        name = f"{stamp}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        stream = (folder / name).open("xb", buffering=0)
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        self._read_to[name] = 0
        return stream

    def close(self) -> None:
        """Close this process's log; a later commit opens a new one."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def aside(self) -> Path:
        """Return a fresh path for a file being written, in the store's own file system."""
        folder = self._made(self.folder / "aside")
        return folder / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def scratch(self, key: str) -> Path:
        """Return the folder where an unfinished node keeps what it needs to resume."""
        return self._made(self.folder / "scratch" / key)

    def drop_scratch(self, key: str, only_empty: bool = False) -> None:
        """Remove a node's scratch folder, if it has one: a failed node keeps what lies in it."""
        path = self.folder / "scratch" / key
        if only_empty:
            with suppress(OSError):
                path.rmdir()
        else:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def lease(self, key: str) -> Iterator[bool]:
        """Hold a key against all other processes; yield whether another one held it until now.

        The lock is the kernel's, so it dies with its owner. Where the file system has none, equal
        nodes of two runs at once are computed twice.
        """
        path = self._made(self.folder / "leases") / key
        try:
            handle, waited = _held(path)
        except OSError as error:
            raise self._write_error(path, error) from error
        try:
            yield waited
        finally:
            with suppress(OSError):
                path.unlink()
            os.close(handle)

    def others(self, token: str) -> bool:
        """Return whether runs other than the one with this token are at work on the store."""
        return any(not path.name.endswith(f"-{token}") for path in self._entries("progress"))

    def progress(self, token: str) -> Path:
        """Return the folder for the progress files of one run of this process."""
        return self._made(
            self.folder / "progress" / f"{socket.gethostname()}-{os.getpid()}-{token}"
        )

    def _made(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(folder, error) from error
        return folder

    def clean(self) -> None:
        """Remove what died half-done: this host's files of dead processes, scratch of stored nodes.

        What cannot be removed, or is gone already, is left: other runners may be at work.
        """
        for path in [*self._entries("aside"), *self._entries("progress")]:
            host, pid, _ = [*path.name.rsplit("-", 2), "", ""][:3]
            with suppress(OSError):
                here = host == socket.gethostname() and pid.isdigit()
                if (here and not _alive(int(pid))) or _age(path) > _CLEAN_AFTER:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for path in self._entries("leases"):
            with suppress(OSError):
                handle = os.open(path, os.O_RDWR)
                try:
                    if _locked(handle):
                        path.unlink(missing_ok=True)
                finally:
                    os.close(handle)
        for path in self._entries("scratch"):
            if self.get(path.name) is not None:
                self.drop_scratch(path.name)

    def _entries(self, name: str) -> list[Path]:
        try:
            return list((self.folder / name).iterdir())
        except OSError:
            return []

    def _write_error(self, path: Path, error: OSError) -> StoreError:
        cure = {
            errno.ENOSPC: "the disk is full; free some space and run again, nothing done is lost",
            errno.EDQUOT: "the quota is used up; free some space and run again",
            errno.EACCES: "no right to write; give it, or choose another --artifacts folder",
            errno.EROFS: "the file system is read-only; choose another --artifacts folder",
        }.get(error.errno or 0, error.strerror or str(error))
        return StoreError(f"cannot write {path}: {cure}")


def _held(path: Path) -> tuple[int, bool]:
    """Return a handle that holds the lock of the file at a path, and whether it was waited for."""
    waited = False
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _locked(handle):
                waited = True
                _locked(handle, wait=True)
            if _is_at(handle, path):
                return handle, waited
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner removed the file: the lock is on another one by now


def _is_at(handle: int, path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _locked(handle: int, wait: bool = False) -> bool:
    """Lock an open file; return False when another process holds it and this one does not wait."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # no locks here
        return True
    return True


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
