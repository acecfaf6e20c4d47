"""Sharing goes on beside the run and is never the run's fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.sharing.outbox import Outbox
from runner.sharing.pusher import Pusher
from runner.sharing.remote import Remote
from runner.storage.store import Store


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.sharing.patience.FIRST_WAIT", 0.01)


@pytest.fixture
def outbox(tmp_path: Path, bucket: Any) -> Outbox:
    """Return an outbox with three nodes."""
    store = Store(tmp_path)
    remote = Remote(bucket.url, tmp_path, store.aside, bucket.faulty)
    commit(tmp_path, "one", "two", "three")
    return Outbox(remote, tmp_path / "records", store.object_path)


def commit(folder: Path, *keys: str) -> None:
    """Commit nodes, each in a line of its own."""
    store = Store(folder)
    for key in keys:
        store.commit({"run": "r"}, [{"key": key, "recipe": "r", "outputs": {}, "objects": {}}])
    store.close()


def waited(until: Callable[[], object]) -> bool:
    end = time.monotonic() + 20
    while not until() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(until())


def test_closing_sends_what_is_left_in_one_segment(outbox: Outbox, bucket: Any) -> None:
    pusher = Pusher(outbox)
    pusher.offer()
    commit(outbox.records.parent, "four")
    pusher.close()
    assert outbox.outstanding() == 0
    assert len(bucket.proxy.asked("PUT", "records/")) == 1
    assert outbox.remote.take_warnings() == []


def test_closing_sends_even_what_was_never_offered(outbox: Outbox) -> None:
    Pusher(outbox).close()
    assert outbox.outstanding() == 0


def test_what_is_offered_is_sent_while_the_run_goes_on(outbox: Outbox) -> None:
    pusher = Pusher(outbox, pause=0.01)
    pusher.offer()
    assert waited(lambda: outbox.outstanding() == 0)
    commit(outbox.records.parent, "four")
    pusher.offer()
    assert waited(lambda: outbox.outstanding() == 0)
    pusher.close()


def test_a_remote_that_does_not_answer_costs_one_warning_and_no_line(
    outbox: Outbox, bucket: Any
) -> None:
    bucket.proxy.fail("PUT", "", "500", 10_000)
    pusher = Pusher(outbox, pause=0.01)
    pusher.offer()
    assert waited(lambda: len(bucket.proxy.asked("PUT")) >= 5)
    pusher.close()
    warnings = outbox.remote.take_warnings()
    assert any("runner store push" in w and "cannot write records/" in w for w in warnings)
    assert len(warnings) <= 2
    assert outbox.outstanding() > 0
    bucket.proxy.faults.clear()
    folder = outbox.records.parent
    again = Remote(bucket.url, folder, Store(folder).aside, bucket.faulty)
    assert Outbox(again, outbox.records, outbox.place).push().nodes == 3


def test_a_remote_for_reading_only_costs_one_warning_and_one_request(
    outbox: Outbox, bucket: Any
) -> None:
    bucket.proxy.fail("PUT", "", "403", 10_000)
    pusher = Pusher(outbox, pause=0.01)
    for _ in range(3):
        pusher.offer()
        time.sleep(0.05)
    pusher.close()
    (warning,) = outbox.remote.take_warnings()
    assert "kept here and not shared" in warning
    assert len(bucket.proxy.asked("PUT")) == 1


def test_closing_waits_no_longer_than_it_was_told(outbox: Outbox, bucket: Any) -> None:
    bucket.proxy.fail("PUT", "", "hang", 10_000)
    pusher = Pusher(outbox)
    pusher.close(timeout=0.3)
    (warning,) = outbox.remote.take_warnings()
    assert "not all was sent yet" in warning
    assert outbox.outstanding() > 0


def test_an_unexpected_fault_is_a_warning(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(lines: bytes) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(outbox.remote, "append", broken)
    Pusher(outbox).close()
    (warning,) = outbox.remote.take_warnings()
    assert "ZeroDivisionError: odd" in warning


def test_closing_waits_for_another_process_that_sends(outbox: Outbox) -> None:
    import fcntl

    outbox.remote.folder.mkdir(parents=True)
    with (outbox.remote.folder / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        pusher = Pusher(outbox)
        closing = threading.Thread(target=pusher.close)
        closing.start()
        time.sleep(0.3)
        assert closing.is_alive()
        assert outbox.outstanding() > 0
    closing.join(20)
    assert outbox.outstanding() == 0
