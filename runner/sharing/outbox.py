"""What the local logs hold and a remote does not yet: found again after any end of a run.

The logs themselves are the outbox; beside them stands how far each was sent. Where that is lost, or
logs were merged into a new one, or hold nodes that came from the remote, what it is known to have
is not sent again. Two runs that send at once may send a line twice, which readers do not notice.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import StoreError
from runner.sharing.remote import Place, Remote
from runner.storage.plain import open_plain
from runner.storage.records import Entry, Logs, entries_of, line_of, lines_from, sizes

BATCH_MOST = 64 * 2**20  # bytes of lines and objects after which a segment is closed

Node = tuple[str, Entry]  # key and entry of a finished node


@dataclass(frozen=True)
class Pushed:
    """What was sent: numbers of nodes and of their objects, `size` of the lines in bytes.

    `busy` means that another process is sending, and that this one sent nothing.
    """

    nodes: int = 0
    objects: int = 0
    size: int = 0
    busy: bool = False


@dataclass
class _Batch:
    """What goes into one segment."""

    lines: list[tuple[bytes, list[Node]]] = field(default_factory=list)  # without newline
    objects: dict[str, int] = field(default_factory=dict)  # digest -> size in bytes
    ends: dict[str, int] = field(default_factory=dict)  # log -> position after what is in here
    size: int = 0  # bytes of lines and objects
    damaged: int = 0  # lines

    def add(self, line: bytes, nodes: list[Node]) -> None:
        new = {d: s for node in nodes for d, s in _needs(node).items() if d not in self.objects}
        self.lines.append((line, nodes))
        self.objects.update(new)
        self.size += len(line) + sum(new.values())


@dataclass(frozen=True)
class Outbox:
    """The nodes in the logs of folder `records` that a remote has not got.

    `place` says where an object lies in the local store.
    """

    remote: Remote
    records: Path
    place: Place
    _seen: set[str] = field(default_factory=set)  # names of segments
    _marks: set[bytes] = field(default_factory=set)  # of the nodes in them

    def outstanding(self) -> int:
        """Return how many bytes of lines may still have to be sent; asks nothing of the remote.

        Raises: StoreError when a log cannot be read.
        """
        return sum(len(line) + 1 for _, _, line in self._lines(self._sent_to()))

    def push(self, stop: threading.Event | None = None) -> Pushed:
        """Send what is outstanding, in segments; return what was sent.

        A node is left out with a warning where its line, or one of its objects, is damaged or gone
        here and not at the remote either. Once `stop` is set no further request is begun.

        Raises: RefusedError; UnreachableError, also when stopped; StoreError when the local disk
        cannot be read or written.
        """
        with self._alone() as alone:
            if not alone:
                return Pushed(busy=True)
            sent_to = self._sent_to()
            nodes = objects = size = 0
            for batch in self._batches(sent_to):
                part = self._send(batch, stop)
                sent_to.update(batch.ends)
                self._save(sent_to)
                nodes, objects, size = nodes + part.nodes, objects + part.objects, size + part.size
            return Pushed(nodes, objects, size)

    def _send(self, batch: _Batch, stop: threading.Event | None) -> Pushed:
        gone = self.remote.upload(batch.objects, self.place, stop)
        sent, lost, text = 0, 0, []
        for line, nodes in batch.lines:
            whole = [node for node in nodes if gone.isdisjoint(_needs(node))]
            sent, lost = sent + len(whole), lost + len(nodes) - len(whole)
            if whole:
                made = whole[0][1][0]
                text.append(line + b"\n" if whole == nodes else line_of(made, whole))
        if lost or batch.damaged:
            self.remote.warn(
                f"{self.remote.shown}: {lost} nodes with damaged objects and {batch.damaged} "
                f"damaged lines in {self.records} are not shared; run again to compute them anew"
            )
        content = b"".join(text)
        if content:
            self.remote.append(content)
        return Pushed(sent, len(batch.objects) - len(gone), len(content))

    def _batches(self, sent_to: Mapping[str, int]) -> Iterator[_Batch]:
        """Yield what is to be sent; every batch moves on, even one with nothing in it."""
        batch, known = _Batch(), None
        for log, end, line in self._lines(sent_to):
            known = self._known() if known is None else known
            nodes = entries_of(line)
            batch.ends[log] = end
            if nodes is None:
                batch.damaged += 1
            elif not known.issuperset(map(_mark, nodes)):
                batch.add(line, nodes)
            if batch.size >= BATCH_MOST:
                yield batch
                batch = _Batch()
        if batch.ends:
            yield batch

    def _known(self) -> set[bytes]:
        """Return marks of the nodes that the remote had when it was last asked."""
        for line in self.remote.kept(self._seen):
            self._marks.update(map(_mark, entries_of(line) or ()))
        return self._marks

    def _lines(self, sent_to: Mapping[str, int]) -> Iterator[tuple[str, int, bytes]]:
        """Yield log, position after the line, and line without newline, of what was not sent."""
        for name, path in Logs(self.records).listed():
            start = sent_to.get(name, 0)
            try:
                size = Path(path).stat().st_size
                if size == start:
                    continue
                with open_plain(path) as stream:  # shorter than what was sent: another log
                    for end, line in lines_from(stream, start if start < size else 0):
                        yield name, end, line
            except FileNotFoundError:  # merged into another one, which comes later or next time
                continue
            except OSError as error:
                raise StoreError(f"cannot read {path}: {error.strerror}") from error

    # -- how far each log was sent ---------------------------------------------------------------

    def _sent_to(self) -> dict[str, int]:
        """Return the position in each log up to which it was sent."""
        try:
            content = json.loads((self.remote.folder / "sent.json").read_bytes())
            return {str(name): int(end) for name, end in content.items() if int(end) > 0}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _save(self, sent_to: Mapping[str, int]) -> None:
        there = dict(Logs(self.records).listed())
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


def _needs(node: Node) -> dict[str, int]:
    """Return digest -> size of the objects of a node."""
    return sizes(node[1][1].split(b" ", 3)[2])


def _mark(node: Node) -> bytes:
    key, (made, rest) = node
    return hashlib.blake2b(b"\t".join((key.encode(), made, rest)), digest_size=16).digest()
