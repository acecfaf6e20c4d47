"""Logs written anew: without what is damaged or dropped, and many of them as one.

The new log is whole and durable before an old one goes, so at every moment each record that stays
is in at least one log; a reader that meets it twice takes it once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.storage.plain import open_plain
from runner.storage.records import Entry, entries_of, line_of, lines_from, log_name, sync_folder
from runner.storage.store import Store, write_error


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


def rewrite(store: Store, logs: Sequence[Path], bad: Callable[[Path, int, str], bool]) -> None:
    """Write logs anew, as one, without damaged lines and bad records; each equal line once.

    `bad` is asked for each record, with its log and the number of its line. Lines that are damaged
    go to `damaged/`. No process may append to the logs.

    Raises: StoreError when the disk is full or may not be written.
    """
    lines: dict[bytes, None] = {}  # checksums of what was written
    damaged: dict[Path, list[bytes]] = {}

    def good() -> Iterator[bytes]:
        for log in logs:
            for line in lines_of(log):
                if line.entries is None:
                    damaged.setdefault(log, []).append(line.raw)
                    continue
                kept = [(k, e) for k, e in line.entries if not bad(log, line.number, k)]
                if kept and line.raw[:64] not in lines:
                    lines[line.raw[:64]] = None
                    whole = len(kept) == len(line.entries)
                    yield line.raw + b"\n" if whole else line_of(kept[0][1][0], kept)

    try:
        write_log(store, good())
        for log, raws in damaged.items():
            set_aside(store, log.name, raws)
        for log in logs:
            log.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(store.logs.folder, error) from error


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


def set_aside(store: Store, name: str, lines: Iterable[bytes]) -> None:
    """Append lines of a log to the file of its name among what is damaged.

    Raises: OSError.
    """
    folder = store.folder / "damaged"
    folder.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(folder / name, flags, 0o644), "wb") as stream:
        stream.writelines(line + b"\n" for line in lines)
        stream.flush()
        os.fsync(stream.fileno())
