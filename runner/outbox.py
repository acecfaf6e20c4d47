"""What the local logs hold and a remote does not yet: found again after any end of a run.

The logs themselves are the outbox; beside them stands how far each was sent. Two runs that send at
once may send a line twice, which readers do not notice.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import StoreError
from runner.remote import Place, Remote
from runner.segments import LINE_MOST

BATCH_MOST = 64 * 2**20  # bytes of lines and objects after which a segment is closed

ObjectsOf = Callable[[bytes], Mapping[str, int] | None]  # None: the line is damaged


@dataclass(frozen=True)
class Pushed:
    """What was sent: numbers of lines and objects, `size` of the lines in bytes.

    `busy` means that another process is sending, and that this one sent nothing.
    """

    lines: int = 0
    objects: int = 0
    size: int = 0
    busy: bool = False


@dataclass(frozen=True)
class _Line:
    log: str
    end: int  # position in the log after the line
    text: bytes  # with its newline


@dataclass(frozen=True)
class Outbox:
    """The lines of the logs in folder `records` that a remote has not got.

    `objects_of` names the objects of a line (given without newline) with their sizes in bytes, or
    says None where the line is damaged; `place` says where an object lies.
    """

    remote: Remote
    records: Path
    objects_of: ObjectsOf
    place: Place

    def outstanding(self) -> int:
        """Return how many bytes of lines are still to be sent; asks nothing of the remote."""
        return sum(len(line.text) for line in self._lines(self._sent_to()))

    def push(self, stop: threading.Event | None = None) -> Pushed:
        """Send what is outstanding, in segments; return what was sent.

        A line is left out with a warning where it, or an object that it names, is damaged or gone
        here and not at the remote either. Once `stop` is set no further request is begun.

        Raises: RefusedError; UnreachableError, also when stopped; StoreError when the local disk
        cannot be written.
        """
        with self._alone() as alone:
            if not alone:
                return Pushed(busy=True)
            sent_to = self._sent_to()
            lines = objects = size = 0
            for batch in self._batches(sent_to):
                part = self._send(batch, stop)
                sent_to.update({line.log: line.end for line, _ in batch.items})
                self._save(sent_to)
                lines, objects, size = lines + part.lines, objects + part.objects, size + part.size
            return Pushed(lines, objects, size)

    def _send(self, batch: _Batch, stop: threading.Event | None) -> Pushed:
        gone = self.remote.upload(batch.objects, self.place, stop)
        fine = [
            line.text
            for line, needs in batch.items
            if needs is not None and len(line.text) <= LINE_MOST and gone.isdisjoint(needs)
        ]
        if len(fine) < len(batch.items):
            self.remote.warn(
                f"{self.remote.shown}: {len(batch.items) - len(fine)} of {len(batch.items)} lines "
                f"in {self.records} are not shared: they, or objects they name, are damaged here; "
                "run again to compute those nodes anew"
            )
        text = b"".join(fine)
        if text:
            self.remote.append(text)
        return Pushed(len(fine), len(batch.objects) - len(gone), len(text))

    def _batches(self, sent_to: Mapping[str, int]) -> Iterator[_Batch]:
        batch = _Batch()
        for line in self._lines(sent_to):
            batch.add(line, self.objects_of(line.text[:-1]))
            if batch.size >= BATCH_MOST:
                yield batch
                batch = _Batch()
        if batch.items:
            yield batch

    def _lines(self, sent_to: Mapping[str, int]) -> Iterator[_Line]:
        for name, size in self._logs():
            end = sent_to.get(name, 0)
            if end == size:
                continue
            with suppress(FileNotFoundError), (self.records / name).open("rb") as stream:
                end = end if end < size else 0  # shorter than what was sent: another log
                stream.seek(end)
                for text in stream:
                    if not text.endswith(b"\n"):  # being written, or torn
                        break
                    end += len(text)
                    yield _Line(name, end, text)

    def _logs(self) -> Sequence[tuple[str, int]]:
        with suppress(FileNotFoundError), os.scandir(self.records) as entries:
            return sorted((e.name, e.stat().st_size) for e in entries if e.name.endswith(".jsonl"))
        return []

    # -- how far each log was sent ---------------------------------------------------------------

    def _sent_to(self) -> dict[str, int]:
        """Return the position in each log up to which it was sent; lost ones are sent again."""
        try:
            content = json.loads((self.remote.folder / "sent.json").read_bytes())
            return {str(name): int(end) for name, end in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _save(self, sent_to: Mapping[str, int]) -> None:
        there = dict(self._logs())
        content = {name: end for name, end in sent_to.items() if name in there}
        self.remote.keep(self.remote.folder / "sent.json", json.dumps(content).encode())

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the outbox against other processes; where there are no locks, all may hold it."""
        import fcntl

        path = self.remote.folder / "lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}; nothing is sent") from error
        try:
            alone = True
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                alone = False
            except OSError:  # no locks here
                alone = True
            yield alone
        finally:
            os.close(handle)


@dataclass
class _Batch:
    """Lines that go into one segment, and what they need there."""

    items: list[tuple[_Line, Mapping[str, int] | None]] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    size: int = 0  # bytes of lines and objects

    def add(self, line: _Line, needs: Mapping[str, int] | None) -> None:
        self.items.append((line, needs))
        new = {d: s for d, s in (needs or {}).items() if d not in self.objects}
        self.objects.update(new)
        self.size += len(line.text) + sum(new.values())
