"""What was committed here reaches the remote, whenever a run ended and whoever else is sending."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.outbox import Outbox, Pushed
from runner.patience import UnreachableError
from runner.remote import Remote


def objects_of(line: bytes) -> Mapping[str, int] | None:
    """Read a line of the form `<name> {digest: size}`; damaged ones say so."""
    if line.startswith(b"damaged"):
        return None
    objects: dict[str, int] = json.loads(line.partition(b" ")[2])
    return objects


@dataclass(frozen=True)
class Local:
    """A local store with logs, before a remote."""

    folder: Path
    url: str

    @property
    def records(self) -> Path:
        return self.folder / "records"

    def at(self, digest: str) -> Path:
        return self.folder / "objects" / digest

    def outbox(self) -> Outbox:
        """Return the outbox as a new process would make it."""
        return Outbox(Remote(self.url, self.folder), self.records, objects_of, self.at)

    def commit(self, name: str, *contents: bytes, log: str = "a.jsonl") -> dict[str, int]:
        objects = {hashlib.sha256(c).hexdigest(): len(c) for c in contents}
        self.at("").mkdir(parents=True, exist_ok=True)
        for digest, content in zip(objects, contents, strict=True):
            self.at(digest).write_bytes(content)
        self.write(f"{name} {json.dumps(objects)}\n", log)
        return objects

    def write(self, text: str, log: str = "a.jsonl") -> None:
        self.records.mkdir(parents=True, exist_ok=True)
        with (self.records / log).open("a") as stream:
            stream.write(text)


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(tmp_path / "store", f"memory://{uuid.uuid4().hex}")


def received(local: Local, tmp_path: Path) -> list[str]:
    """Return the names of the lines that a new reader gets, all their objects with them."""
    folder = tmp_path / uuid.uuid4().hex
    remote = Remote(local.url, folder)
    lines = list(remote.pull())
    wanted = {d: s for line in lines for d, s in (objects_of(line) or {}).items()}
    assert remote.fetch(wanted, lambda digest: folder / digest) == set()
    assert remote.take_warnings() == []
    return sorted(line.split()[0].decode() for line in lines)


def test_what_is_committed_arrives_with_its_objects_once(local: Local, tmp_path: Path) -> None:
    local.commit("one", b"content", b"more")
    local.commit("two", log="b.jsonl")
    outbox = local.outbox()
    assert outbox.outstanding() > 0
    pushed = outbox.push()
    assert (pushed.lines, pushed.objects, pushed.busy) == (2, 2, False)
    assert outbox.outstanding() == 0
    assert outbox.push() == local.outbox().push() == Pushed()
    local.commit("three")
    assert local.outbox().push().lines == 1
    assert received(local, tmp_path) == ["one", "three", "two"]


def test_a_line_being_written_waits_until_it_is_whole(local: Local, tmp_path: Path) -> None:
    local.commit("one")
    local.write("tw")
    assert local.outbox().push().lines == 1
    assert local.outbox().outstanding() == 0
    local.write("o {}\n")
    assert local.outbox().push().lines == 1
    assert received(local, tmp_path) == ["one", "two"]


def test_what_could_not_be_sent_goes_with_the_next_run(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.commit("one", b"content")
    outbox = local.outbox()

    def dead(*_: object) -> None:
        raise UnreachableError("no answer")

    monkeypatch.setattr(outbox.remote, "append", dead)
    with pytest.raises(UnreachableError):
        outbox.push()
    assert local.outbox().outstanding() == outbox.outstanding() > 0
    assert received(local, tmp_path) == []
    local.outbox().push()
    assert received(local, tmp_path) == ["one"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a.jsonl": "x"}', '{"a.jsonl": 10000}'])
def test_without_knowing_what_was_sent_all_is_sent_again(
    local: Local, tmp_path: Path, content: str
) -> None:
    local.commit("one", b"content")
    outbox = local.outbox()
    outbox.push()
    file = outbox.remote.folder / "sent.json"
    file.unlink()
    file.write_text(content)
    assert local.outbox().push().lines == 1
    assert set(received(local, tmp_path)) == {"one"}


def test_logs_that_are_gone_are_forgotten(local: Local) -> None:
    local.commit("one")
    local.commit("two", log="b.jsonl")
    outbox = local.outbox()
    outbox.push()
    (local.records / "a.jsonl").unlink()
    local.commit("three", log="b.jsonl")
    outbox.push()
    assert list(json.loads((outbox.remote.folder / "sent.json").read_bytes())) == ["b.jsonl"]


def test_damaged_lines_and_lines_with_lost_objects_stay_here_with_one_warning(
    local: Local, tmp_path: Path
) -> None:
    (lost,) = local.commit("lost", b"lost")
    local.commit("fine", b"fine")
    local.write("damaged\n")
    local.at(lost).unlink()
    outbox = local.outbox()
    assert outbox.push().lines == 1
    (warning,) = outbox.remote.take_warnings()
    assert "2 of 3 lines" in warning
    assert received(local, tmp_path) == ["fine"]
    assert outbox.outstanding() == 0


def test_a_line_longer_than_readers_take_stays_here(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.outbox.LINE_MOST", 100)
    local.commit("one")
    local.write(f"{'x' * 200} {{}}\n")
    assert local.outbox().push().lines == 1
    assert received(local, tmp_path) == ["one"]


def test_much_is_sent_in_several_segments(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.outbox.BATCH_MOST", 900)
    for n in range(10):
        local.commit(f"n{n}", bytes([n]) * 400)
    outbox = local.outbox()
    assert outbox.push().lines == 10
    assert len(list((outbox.remote.folder / "segments").iterdir())) == 5
    assert received(local, tmp_path) == sorted(f"n{n}" for n in range(10))


def test_what_was_sent_before_a_failure_is_not_sent_again(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.outbox.BATCH_MOST", 1)
    for n in range(3):
        local.commit(f"n{n}")
    outbox = local.outbox()
    append, left = outbox.remote.append, [1]

    def once(lines: bytes) -> None:
        if not left:
            raise UnreachableError("no answer")
        left.pop()
        append(lines)

    monkeypatch.setattr(outbox.remote, "append", once)
    with pytest.raises(UnreachableError):
        outbox.push()
    assert local.outbox().push().lines == 2


def test_one_process_sends_at_a_time(local: Local) -> None:
    local.commit("one")
    outbox = local.outbox()
    outbox.push()
    local.commit("two")
    with (outbox.remote.folder / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert outbox.push() == Pushed(busy=True)
    assert outbox.push().lines == 1


def test_without_locks_two_that_send_at_once_do_no_harm(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    for n in range(50):
        local.commit(f"n{n:02}", b"%d" % n)
    threads = [threading.Thread(target=local.outbox().push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(received(local, tmp_path))) == [f"n{n:02}" for n in range(50)]
    assert local.outbox().outstanding() == 0


def test_a_store_that_cannot_be_written_is_an_error(local: Local) -> None:
    local.commit("one")
    (local.folder / "remote").write_text("a file where a folder belongs")
    assert local.outbox().outstanding() > 0
    with pytest.raises(StoreError, match="cannot write"):
        local.outbox().push()


def test_a_store_without_logs_has_nothing_to_send(local: Local) -> None:
    assert local.outbox().outstanding() == 0
    assert local.outbox().push() == Pushed()


def test_a_process_killed_while_sending_loses_nothing(tmp_path: Path) -> None:
    local = Local(tmp_path / "store", f"file://{tmp_path}/shared")
    for n in range(300):
        local.commit(f"n{n:03}", b"%d" % n * 100)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "import runner.outbox; from test_outbox import Local\n"
        "runner.outbox.BATCH_MOST = 5_000\n"
        "Local(Path(sys.argv[1]), sys.argv[2]).outbox().push(); print('done')"
    )
    arguments = [str(local.folder), local.url, str(Path(__file__).parent)]
    records = tmp_path / "shared" / "records"
    for few in (1, 8, 20):
        process = subprocess.Popen([sys.executable, "-c", code, *arguments])
        end = time.monotonic() + 30
        while len(list(records.glob("*"))) < few and time.monotonic() < end:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 20 <= len(list(records.glob("*"))) < 100
    assert local.outbox().push().lines > 0
    assert sorted(set(received(local, tmp_path))) == [f"n{n:03}" for n in range(300)]
