"""Records of finished nodes: append-only logs of checksummed lines, read in bulk, parsed on demand.

A line commits a batch of nodes, all of them or none: `<sha256 of the rest> <made>`, then for each
node a tab and `<key> <recipe> <content> <objects> <body>`. `made` (who, when, with which code) and
`body` are JSON; `content` is the key by the content of inputs or `-`; `objects` are
`digest:size,...` or `-`. JSON holds no tab, so finding a record takes no parsing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from runner.errors import StoreError
from runner.storage.described import check_record
from runner.storage.plain import open_plain

Record = dict[str, Any]  # one finished node: key, recipe, content, label, outputs, objects, ...
Entry = tuple[bytes, bytes]  # one node as it lies in a line: made, and all that follows the key
_APART = ("key", "recipe", "content", "objects", "made")
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
LINE_MOST = 64 * 2**20  # bytes; a longer line is damaged, and so is all that follows it in its log
_LOOKS = 3  # at the logs, where some vanish while they are read
_OBJECT = rb"[0-9a-f]{64}:[0-9]{1,15}"
# Keys name files and objects are files: nothing but letters and digits may come from a line.
_NODE = re.compile(
    rb"[\w-]{1,200} [\w-]{1,200} [\w-]{1,200} (?:-|%b(?:,%b)*) \{" % (_OBJECT, _OBJECT)
)


class Records(Mapping[str, Record]):
    """The known records by key, held as they lie in their lines: each is parsed when asked for."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._by_recipe: dict[str, list[str]] = {}
        self._by_content: dict[str, str] = {}
        self._indexed: list[str] = []  # keys that await being indexed

    def __getitem__(self, key: str) -> Record:
        """Return the record of a key, parsed anew each time: keep it rather than ask twice.

        Raises: StoreError when it is not what a run writes.
        """
        return parsed(key, self._entries[key])

    def __iter__(self) -> Iterator[str]:
        """Yield the keys in the order in which they became known."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many records are known."""
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        """Return whether a record of this key is known."""
        return key in self._entries

    def entry(self, key: str) -> Entry | None:
        """Return a record as it lies in its line."""
        return self._entries.get(key)

    def objects(self, key: str) -> dict[str, int] | None:
        """Return digest -> size of a record's objects without parsing the rest of it."""
        entry = self._entries.get(key)
        return None if entry is None else sizes(entry[1].split(b" ", 3)[2])

    def add(self, key: str, entry: Entry) -> None:
        """Add a record; a later one of the same key takes the place of the earlier."""
        if key not in self._entries:
            self._indexed.append(key)
        self._entries[key] = entry

    def of_recipe(self, recipe: str) -> list[str]:
        """Return the keys of the records of a recipe, the newest last."""
        self._index()
        return self._by_recipe.get(recipe, [])

    def of_content(self, content: str) -> str | None:
        """Return the key of the newest record made by equal code of inputs of equal content."""
        self._index()
        return self._by_content.get(content)

    def _index(self) -> None:
        for key in self._indexed:
            recipe, content, _ = self._entries[key][1].split(b" ", 2)
            self._by_recipe.setdefault(recipe.decode(), []).append(key)
            if content != b"-":
                self._by_content[content.decode()] = key
        self._indexed.clear()


def parsed(key: str, entry: Entry) -> Record:
    """Return a record from its entry.

    Raises: StoreError when it is not what a run writes.
    """
    from pydantic_core import from_json

    made, rest = entry
    recipe, content, objects, body = rest.split(b" ", 3)
    try:
        record: Record = {
            **from_json(body, allow_inf_nan=False),
            "key": key, "recipe": recipe.decode(), "content": content.decode().removesuffix("-"),
            "objects": sizes(objects), "made": from_json(made, allow_inf_nan=False),
        }  # fmt: skip
        check_record(record)
    except ValueError as error:
        cure = "`runner store verify` sets it aside, the next run computes it anew"
        raise StoreError(f"record {key[:16]} cannot be understood: {error}; {cure}") from error
    return record


def sizes(objects: bytes) -> dict[str, int]:
    """Return digest -> size of the objects field of a line."""
    if objects == b"-":
        return {}
    pairs = (pair.split(b":") for pair in objects.split(b","))
    return {digest.decode(): int(size) for digest, size in pairs}


def entry_of(made: bytes, record: Mapping[str, Any]) -> Entry:
    """Return a record as it lies in a line.

    Raises: ValueError for what JSON does not have.
    """
    objects = ",".join(f"{digest}:{size}" for digest, size in record["objects"].items())
    body = _ENCODER.encode({k: v for k, v in record.items() if k not in _APART})
    text = f"{record['recipe']} {record.get('content') or '-'} {objects or '-'} {body}"
    return made, text.encode()


def made_of(made: Mapping[str, Any]) -> bytes:
    """Return the provenance of a batch as it lies in a line."""
    return _ENCODER.encode(dict(made)).encode()


def line_of(made: bytes, entries: Iterable[tuple[str, Entry]]) -> bytes:
    """Return the line that commits records made together."""
    body = b"\t".join([made, *(key.encode() + b" " + entry[1] for key, entry in entries)])
    return hashlib.sha256(body).hexdigest().encode() + b" " + body + b"\n"


def entries_of(line: bytes) -> list[tuple[str, Entry]] | None:
    """Return key and entry of each record of a line; None when the line is damaged."""
    checksum, _, body = line.partition(b" ")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        return None
    made, *nodes = body.split(b"\t")
    found = []
    for node in nodes:
        if not _NODE.match(node):
            return None
        key, _, rest = node.partition(b" ")
        found.append((key.decode(), (made, rest)))
    return found


class Logs:
    """The log files of a store: all are read, one of its own is appended to by each process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[str] = []  # paths of logs, one for each damaged line
        self.own: Any = None  # the open stream of this process's log
        self.own_name = ""
        self._read_to: dict[str, int] = {}
        self._synced = 0  # how much of its own log is durable

    def news(self) -> Iterator[tuple[str, Entry]]:
        """Yield what was appended to any log since the last call.

        Raises: StoreError when a log cannot be read.
        """
        for _ in range(_LOOKS):
            vanished = False
            for name, path in self.listed():
                try:
                    yield from self._news_of(name, path)
                except FileNotFoundError:  # merged into another one, which is there by now
                    vanished = True
            if not vanished:
                return

    def listed(self) -> list[tuple[str, str]]:
        """Return name and path of each log, in the order of their names.

        Raises: StoreError when the folder cannot be read.
        """
        try:
            with os.scandir(self.folder) as entries:
                return sorted((e.name, e.path) for e in entries if e.name.endswith(".log"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(str(self.folder), error) from error

    def _news_of(self, name: str, path: str) -> Iterator[tuple[str, Entry]]:
        start = self._read_to.get(name, 0)
        try:
            if start and os.stat(path).st_size <= start:  # noqa: PTH116  # paths cost time here
                return
            with open_plain(path) as stream:
                for end, line in lines_from(stream, start):
                    self._read_to[name] = end
                    entries = entries_of(line)
                    if entries is None:
                        self.damaged.append(path)
                    else:
                        yield from entries
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unreadable(path, error) from error

    def append(self, line: bytes) -> None:
        """Append a line to this process's log, whole or not at all.

        From then on it outlives this process; `sync` makes it outlive the machine.

        Raises: OSError.
        """
        if self.own is not None and not os.fstat(self.own.fileno()).st_nlink:
            self.close()  # this process was silent for so long that its log was merged away
        if self.own is None:
            self.own = self._open()
        end = self.own.seek(0, os.SEEK_END)
        try:
            rest = memoryview(line)
            while rest:  # a disk that is all but full takes a part and reports no error
                rest = rest[self.own.write(rest) :]
        except BaseException:  # an interrupt must not leave a part of a line either
            self.own.truncate(end)
            raise
        if self._read_to.get(self.own_name) == end:
            self._read_to[self.own_name] = end + len(line)  # nothing in it is news to this process

    def sync(self) -> None:
        """Make all appended lines durable.

        Raises: OSError; what was appended since the last time is then taken back.
        """
        if self.own is None:
            return
        try:
            os.fsync(self.own.fileno())
        except BaseException:
            self.own.truncate(self._synced)
            raise
        self._synced = self.own.tell()

    def _open(self) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = log_name()
        stream = (self.folder / name).open("xb", buffering=0)
        sync_folder(self.folder)
        self._read_to[name] = self._synced = 0
        self.own_name = name
        return stream

    def close(self) -> None:
        """Close this process's log; a later line opens a new one."""
        if self.own is not None:
            own, self.own = self.own, None
            with suppress(OSError):  # as network disks may say: what it holds is durable already
                own.close()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def log_name() -> str:
    """Return the name of a new log; logs are read in the order of their names."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}.{rest:09d}"
    return f"{stamp}-{os.getpid()}-{uuid.uuid4().hex[:8]}.log"


def lines_from(stream: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines of a log from a position on, without newlines, each with its end.

    What follows the last newline is being written, or was torn. Where no line ends within
    `LINE_MOST` bytes, all that is left comes as one damaged line.

    Raises: OSError.
    """
    stream.seek(start)
    while data := _read(stream, LINE_MOST):
        lines = data.split(b"\n")
        if len(lines) == 1 and len(data) == LINE_MOST:
            yield stream.seek(0, os.SEEK_END), b""
            return
        for line in lines[:-1]:
            start += len(line) + 1
            yield start, line
        if len(data) < LINE_MOST:
            return
        stream.seek(start)


def _read(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _unreadable(path: str, error: OSError) -> StoreError:
    cure = "remove it" if error.errno == errno.EINVAL else "check its rights"
    return StoreError(f"cannot read {path}: {error.strerror}; {cure}")
