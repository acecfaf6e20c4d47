"""Tar files of anyone's, read as streams: plain files with expected names, and nothing else.

The standard library's reader knows links, sparse files and headers that extend others; each of
them is a way to be led astray, and an archive of ours has none.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner.errors import StoreError
from runner.storage.archive import CHUNK, MANIFEST, RECORDS, is_zipped, member_of
from runner.storage.described import DIGEST
from runner.storage.plain import open_plain

_BLOCK = 512
_KINDS = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
    b"5": "a folder", b"6": "a pipe", b"7": "a contiguous file", b"x": "an extended header",
    b"g": "an extended header", b"L": "a long name", b"K": "a long link", b"S": "a sparse file",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file in an archive; `content` comes once, in pieces, and is never longer than `size`."""

    name: str
    size: int  # bytes
    content: Iterator[bytes]


@contextmanager
def told(file: Path) -> Iterator[None]:
    """Tell what is wrong with the bytes of an archive.

    Raises: StoreError.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StoreError(f"{file} is damaged or cut: {error}") from error
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror or error}") from error


def members(file: Path) -> Iterator[Member]:
    """Yield the members of a tar, whose content must be read before the next one is asked for.

    Raises: StoreError for members that are no plain files with short names; OSError, EOFError.
    """
    with open_plain(file) as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if is_zipped(file) else raw  # type: ignore[assignment]
        while True:
            header = _exactly(stream, _BLOCK)
            if header == bytes(_BLOCK):
                return
            member = _member(file, stream, header)
            yield member
            if next(member.content, None) is not None:
                raise AssertionError(f"{member.name} was not read")
            _exactly(stream, -member.size % _BLOCK)


def _member(file: Path, stream: IO[bytes], header: bytes) -> Member:
    unsigned = sum(header[:148]) + sum(header[156:]) + 8 * 32
    if _octal(header[148:156]) != unsigned:
        raise StoreError(f"{file}: a header is damaged; it is no tar, or not whole")
    name = header[:100].partition(b"\0")[0].decode("utf-8", "replace")
    kind = header[156:157]
    if kind not in (b"0", b"\0"):
        what = _KINDS.get(kind, "no plain file")
        raise StoreError(f"{file}: {shown(name)} is {what}; only plain files are taken in")
    if header[257:263] == b"ustar\0" and header[345:346] != b"\0":
        raise StoreError(f"{file}: {shown(name)} has a longer name than any that is taken in")
    if name not in (MANIFEST, RECORDS):
        digest = name.rpartition("/")[2]
        if not DIGEST.fullmatch(digest) or name != member_of(digest):
            raise StoreError(f"{file}: {shown(name)} is no name of `runner store export`")
    size = _size(header[124:136])
    if size is None:
        raise StoreError(f"{file}: {shown(name)} has no size")
    return Member(name, size, _content(stream, size))


def _content(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, CHUNK))
        if not piece:
            raise EOFError("it ends within a member")
        size -= len(piece)
        yield piece


def skip(member: Member) -> None:
    """Read a member's content and forget it."""
    for _ in member.content:
        pass


def _exactly(stream: IO[bytes], size: int) -> bytes:
    return b"".join(_content(stream, size))


def _octal(text: bytes) -> int | None:
    digits = text.strip(b" \0")
    return int(digits, 8) if digits and set(digits) <= set(b"01234567") else None


def _size(text: bytes) -> int | None:
    """Return a size in bytes, octal or, where it is large, as a number to the base 256."""
    if text[0] == 0x80:
        return int.from_bytes(text[1:], "big")
    return _octal(text)


def shown(name: str) -> str:
    """Return a name of anyone's for a message."""
    return repr(name[:200])
