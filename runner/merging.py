"""Logs written anew: without what is damaged or dropped, and many of them as one.

The new log is whole and durable before an old one goes, so at every moment each record that stays
is in at least one log; a reader that meets it twice takes it once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import StoreError
from runner.plain import open_plain
from runner.records import Entry, entries_of, line_of, lines_from, log_name, sync_folder
from runner.store import Store, write_error

_TOGETHER = 2**20  # bytes of records that are written as one line


@dataclass(frozen=True)
class Line:
    """A whole line of a log; `entries` is None where it is damaged."""

    number: int  # from 1
    raw: bytes  # without its newline
    entries: list[tuple[str, Entry]] | None


def lines_of(path: str | Path) -> Iterator[Line]:
    """Yield the whole lines of a log.

    Raises: OSError, also where it is no plain file.
    """
    with open_plain(path) as stream:
        for number, (_, raw) in enumerate(lines_from(stream, 0), 1):
            yield Line(number, raw, entries_of(raw))


def mend(store: Store, path: Path, bad: Callable[[int, str, Entry], bool]) -> None:
    """Write a log anew without damaged lines and bad records; their lines go to `damaged/`.

    `bad` is asked for each record, with the number of its line. No process may append to the log.

    Raises: StoreError when the disk is full or may not be written.
    """

    def kept(line: Line) -> list[tuple[str, Entry]]:
        return [(key, e) for key, e in line.entries or [] if not bad(line.number, key, e)]

    def good() -> Iterator[bytes]:
        for line in lines_of(path):
            left = kept(line)
            if left:
                whole = len(left) == len(line.entries or [])
                yield line.raw + b"\n" if whole else line_of(left[0][1][0], left)

    damaged = (x.raw for x in lines_of(path) if x.entries is None or len(kept(x)) < len(x.entries))
    try:
        set_lines_aside(store, path.name, damaged)
        write_log(store, good())
        path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def merge(store: Store, keep: Callable[[str], bool]) -> int:
    """Write all records that are kept as one log and remove the others; return how many went.

    Damaged lines go to `damaged/`. Nobody may be at work in the store but the caller.

    Raises: StoreError when a log cannot be read, or the disk is full or may not be written.
    """
    old = [Path(path) for _, path in store.logs.listed()]
    entries = ((key, store.records.entry(key)) for key in store.records if keep(key))
    try:
        for path in old:
            set_lines_aside(store, path.name, (x.raw for x in lines_of(path) if x.entries is None))
        write_log(store, _together((key, entry) for key, entry in entries if entry is not None))
        for path in old:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(store.logs.folder, error) from error
    return len(old)


def _together(entries: Iterable[tuple[str, Entry]]) -> Iterator[bytes]:
    """Yield lines, each of what was made together and lies together."""
    batch: list[tuple[str, Entry]] = []
    size = 0
    for key, entry in entries:
        if batch and (entry[0] != batch[0][1][0] or size > _TOGETHER):
            yield line_of(batch[0][1][0], batch)
            batch, size = [], 0
        batch.append((key, entry))
        size += len(entry[1])
    if batch:
        yield line_of(batch[0][1][0], batch)


def write_log(store: Store, lines: Iterable[bytes]) -> None:
    """Write a new log, durable when this returns; none where there are no lines.

    Raises: OSError, StoreError.
    """
    aside = store.aside()
    try:
        with aside.open("xb") as stream:
            for line in lines:
                stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
            empty = not stream.tell()
        if empty:
            aside.unlink()
        else:
            store.logs.folder.mkdir(parents=True, exist_ok=True)
            aside.replace(store.logs.folder / log_name())
            sync_folder(store.logs.folder)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def set_lines_aside(store: Store, name: str, lines: Iterable[bytes]) -> None:
    """Append lines of a log to the file of its name among what is damaged.

    Raises: OSError, StoreError.
    """
    raws = list(lines)
    if not raws:
        return
    folder = store.folder / "damaged"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.is_symlink():
        raise StoreError(f"{path} is a link; remove it")
    with path.open("ab") as stream:
        for raw in raws:
            stream.write(raw + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
