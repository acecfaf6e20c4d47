"""What was committed here reaches the remote, whenever a run ended and whoever else is sending."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreError
from runner.sharing.outbox import Outbox, Pushed
from runner.sharing.patience import UnreachableError
from runner.sharing.remote import Remote
from runner.storage.records import Records, entries_of, entry_of, line_of
from runner.storage.store import Store


def record(name: str, objects: dict[str, int]) -> dict[str, Any]:
    return {"key": name, "recipe": "r", "outputs": {}, "objects": objects}


@dataclass(frozen=True)
class Local:
    """A local store before a remote."""

    folder: Path
    url: str

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def at(self) -> Callable[[str], Path]:
        return Store(self.folder).object_path

    def outbox(self) -> Outbox:
        """Return the outbox as a new process would make it."""
        remote = Remote(self.url, self.folder, Store(self.folder).aside)
        return Outbox(remote, self.records, self.at)

    def commit(self, *names: str, content: bytes = b"") -> None:
        """Commit nodes in one line of a new log, each with an object of its own if any."""
        store = Store(self.folder)
        records = []
        for name in names:
            objects = dict([store.put(content + name.encode())]) if content else {}
            records.append(record(name, objects))
        store.commit({"run": "r"}, records)
        store.close()

    def logs(self) -> list[Path]:
        return sorted(self.records.glob("*.log"))

    def write(self, text: bytes) -> None:
        """Append to the last log."""
        with self.logs()[-1].open("ab") as stream:
            stream.write(text)

    def merge(self) -> None:
        """Put all nodes into one new line of one new log, as the store does with old logs."""
        lines = [line for log in self.logs() for line in lines_of(log)]
        nodes = [node for line in lines for node in entries_of(line) or ()]
        for log in self.logs():
            log.unlink()
        (self.records / f"9-{uuid.uuid4().hex}.log").write_bytes(line_of(nodes[0][1][0], nodes))


def lines_of(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines()


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(tmp_path / "store", f"memory://{uuid.uuid4().hex}")


def received(local: Local, tmp_path: Path) -> list[str]:
    """Return the names of the lines that a new reader gets, all their objects with them."""
    folder = tmp_path / uuid.uuid4().hex
    remote = Remote(local.url, folder, Store(folder).aside)
    records = Records()
    names = []
    for line in remote.pull():
        for key, entry in entries_of(line) or pytest.fail("a damaged line was sent"):
            names.append(key)
            records.add(key, entry)
    wanted = {d: s for key in names for d, s in (records.objects(key) or {}).items()}
    assert remote.fetch(wanted, Store(folder).object_path) == set()
    assert remote.take_warnings() == []
    return sorted(names)


def test_what_is_committed_arrives_with_its_objects_once(local: Local, tmp_path: Path) -> None:
    local.commit("one", "uno", content=b"content of ")
    local.commit("two")
    outbox = local.outbox()
    assert outbox.outstanding() > 0
    pushed = outbox.push()
    assert (pushed.nodes, pushed.objects, pushed.busy) == (3, 2, False)
    assert outbox.outstanding() == 0
    assert outbox.push() == local.outbox().push() == Pushed()
    local.commit("three")
    assert local.outbox().push().nodes == 1
    assert received(local, tmp_path) == ["one", "three", "two", "uno"]


def test_a_line_being_written_waits_until_it_is_whole(local: Local, tmp_path: Path) -> None:
    local.commit("one")
    (line,) = lines_of(local.logs()[0])
    local.write(line[:30])
    assert local.outbox().push().nodes == 1
    assert local.outbox().outstanding() == 0
    local.write(line[30:].replace(b"one", b"two") + b"\n")
    assert local.outbox().outstanding() == len(line) + 1
    local.outbox().push()
    assert received(local, tmp_path) == ["one"], "its checksum is wrong"


def test_what_could_not_be_sent_goes_with_the_next_run(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.commit("one", content=b"content of ")
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


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a.log": "x"}', '{"LOG": -1}', None])
def test_without_knowing_what_was_sent_nothing_is_lost_or_sent_twice(
    local: Local, tmp_path: Path, content: str | None
) -> None:
    local.commit("one", content=b"content of ")
    outbox = local.outbox()
    outbox.push()
    file = outbox.remote.folder / "sent.json"
    file.unlink()
    if content is not None:
        file.write_text(content.replace("LOG", local.logs()[0].name))
    assert local.outbox().push() == Pushed()
    assert local.outbox().outstanding() == 0
    assert received(local, tmp_path) == ["one"]


def test_what_is_not_known_at_all_is_sent_again(local: Local, tmp_path: Path) -> None:
    local.commit("one", content=b"content of ")
    outbox = local.outbox()
    outbox.push()
    shutil.rmtree(outbox.remote.folder)
    assert local.outbox().push().nodes == 1
    assert set(received(local, tmp_path)) == {"one"}


def test_merged_logs_are_not_sent_again(local: Local, tmp_path: Path) -> None:
    for n in range(5):
        local.commit(f"n{n}", content=b"content of ")
    local.outbox().push()
    local.merge()
    assert local.outbox().outstanding() > 0
    assert local.outbox().push() == Pushed()
    assert local.outbox().outstanding() == 0
    local.commit("n5")
    local.merge()
    assert local.outbox().push().nodes > 0
    assert set(received(local, tmp_path)) == {f"n{n}" for n in range(6)}


def test_nodes_that_came_from_the_remote_are_not_sent_back(local: Local, tmp_path: Path) -> None:
    local.commit("one")
    local.outbox().push()
    theirs = Local(tmp_path / "theirs", local.url)
    theirs.commit("own")
    outbox = theirs.outbox()
    outbox.push()
    (line,) = outbox.remote.pull()
    theirs.write(line + b"\n")  # into a log of which a part was sent
    assert outbox.push() == Pushed()
    assert outbox.outstanding() == 0
    assert received(local, tmp_path) == ["one", "own"]


def test_logs_that_are_gone_are_forgotten(local: Local) -> None:
    local.commit("one")
    local.commit("two")
    outbox = local.outbox()
    outbox.push()
    local.logs()[0].unlink()
    local.commit("three")
    outbox.push()
    sent_to = json.loads((outbox.remote.folder / "sent.json").read_bytes())
    assert list(sent_to) == [log.name for log in local.logs()]


def test_a_log_shorter_than_what_was_sent_is_read_from_its_start(
    local: Local, tmp_path: Path
) -> None:
    local.commit("one", "two")
    outbox = local.outbox()
    outbox.push()
    made = b'{"run":"r"}'
    local.logs()[0].write_bytes(line_of(made, [("new", entry_of(made, record("new", {})))]))
    assert outbox.push().nodes == 1
    assert received(local, tmp_path) == ["new", "one", "two"]


def test_damage_stays_here_with_one_warning_and_keeps_nothing_else(
    local: Local, tmp_path: Path
) -> None:
    local.commit("one", "lost", "two", content=b"content of ")
    local.write(b"damaged\n")
    local.at(hashlib.sha256(b"content of lost").hexdigest()).unlink()
    outbox = local.outbox()
    assert outbox.push().nodes == 2
    (warning,) = outbox.remote.take_warnings()
    assert "1 nodes with damaged objects and 1 damaged lines" in warning
    assert received(local, tmp_path) == ["one", "two"]
    assert outbox.outstanding() == 0


def test_much_is_sent_in_several_segments(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.sharing.outbox.BATCH_MOST", 900)
    for n in range(10):
        local.commit(f"n{n}", content=b"x" * 300)
    outbox = local.outbox()
    assert outbox.push().nodes == 10
    assert len(list((outbox.remote.folder / "segments").iterdir())) == 5
    assert received(local, tmp_path) == [f"n{n}" for n in range(10)]


def test_what_was_sent_before_a_failure_is_not_sent_again(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.sharing.outbox.BATCH_MOST", 1)
    local.commit("n0")
    local.commit("n1")
    local.commit("n2")
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
    assert local.outbox().push().nodes == 2


def test_one_process_sends_at_a_time(local: Local) -> None:
    local.commit("one")
    outbox = local.outbox()
    outbox.push()
    local.commit("two")
    with (outbox.remote.folder / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert outbox.push() == Pushed(busy=True)
    assert outbox.push().nodes == 1


def test_without_locks_two_that_send_at_once_do_no_harm(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    for n in range(50):
        local.commit(f"n{n:02}", content=b"content of ")
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
    for n in range(200):
        local.commit(f"n{n:03}", content=b"x" * 100)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "import runner.sharing.outbox; from test_outbox import Local\n"
        "runner.sharing.outbox.BATCH_MOST = 1_500\n"
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
    assert 20 <= len(list(records.glob("*"))) < 45
    assert local.outbox().push().nodes > 0
    assert sorted(set(received(local, tmp_path))) == [f"n{n:03}" for n in range(200)]
