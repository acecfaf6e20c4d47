"""Files at a remote are whole or absent, and what cannot be opened says what would help."""

from __future__ import annotations

import shutil
import sys
import threading
import uuid
from pathlib import Path

import pytest

from runner.sharing.patience import AbsentError, RefusedError, UnreachableError
from runner.sharing.transport import Transport


@pytest.fixture(params=["file", "memory"])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Transport:
    place = f"{tmp_path}/shared" if request.param == "file" else uuid.uuid4().hex
    return Transport(f"{request.param}://{place}")


def read(transport: Transport, path: str, size: int) -> bytes:
    return b"".join(transport.read(path, size))


def test_what_is_written_is_listed_read_and_removed(transport: Transport, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    transport.write("records/a", b"bytes")
    transport.write("records/b", source)
    assert transport.sizes("records") == {"a": 5, "b": 11}
    assert read(transport, "records/a", 5) == b"bytes"
    assert read(transport, "records/b", 11) == b"from a file"
    transport.remove("records/a")
    transport.remove("records/a")
    assert transport.sizes("records") == {"b": 11}
    assert (transport.size("records/a"), transport.size("records/b")) == (None, 11)


def test_what_is_not_there_is_absent(transport: Transport) -> None:
    assert transport.sizes("records") == {}
    with pytest.raises(AbsentError):
        read(transport, "records/a", 5)


def test_a_longer_file_gives_one_byte_more_and_no_others(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport.write("a", b"0123456789")
    for chunk in (1, 2, 3, 5, 6, 100):
        monkeypatch.setattr("runner.sharing.transport.CHUNK", chunk)
        assert read(transport, "a", 5) == b"012345"
        assert read(transport, "a", 50) == b"0123456789"


def test_a_write_replaces_what_is_there(transport: Transport) -> None:
    transport.write("a", b"long content")
    transport.write("a", b"short")
    assert read(transport, "a", 20) == b"short"
    assert transport.sizes("aside") == {}


def test_folders_that_vanish_are_made_again(tmp_path: Path) -> None:
    transport = Transport(f"file://{tmp_path}/shared")
    transport.write("records/a", b"one")
    shutil.rmtree(tmp_path / "shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.sharing.patience.FIRST_WAIT", 0.01)
        with pytest.raises(RefusedError):
            transport.write("records/a", b"two")
    transport.write("records/a", b"two")
    assert (tmp_path / "shared" / "records" / "a").read_bytes() == b"two"


def test_a_failed_move_leaves_nothing(tmp_path: Path) -> None:
    transport = Transport(f"file://{tmp_path}/shared")
    (tmp_path / "shared" / "records" / "a").mkdir(parents=True)  # a folder stands there
    with pytest.raises(RefusedError, match="cannot write records/a: IsADirectoryError"):
        transport.write("records/a", b"content")
    assert transport.sizes("aside") == {}


def test_threads_that_come_at_once_open_it_once(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec.core

    opened = []
    true = fsspec.core.url_to_fs

    def counting(url: str, **options: object) -> object:
        opened.append(url)
        return true(url, **options)

    monkeypatch.setattr(fsspec.core, "url_to_fs", counting)
    threads = [threading.Thread(target=transport.size, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


def test_a_file_system_that_never_answers_is_not_waited_for(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport.write("records/a", b"bytes")
    never = threading.Event()
    monkeypatch.setattr("runner.sharing.transport.LIMIT", 0.01)
    monkeypatch.setattr("runner.sharing.patience.FIRST_WAIT", 0.001)
    for name in ("ls", "info", "cat_file"):
        monkeypatch.setattr(transport._files, name, lambda *_, **__: never.wait())
    for request in (
        lambda: transport.sizes("records"),
        lambda: transport.size("records/a"),
        lambda: read(transport, "records/a", 1),
    ):
        with pytest.raises(UnreachableError, match="TimeoutError: no answer within"):
            request()
    never.set()


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(RefusedError, match="nosuch"):
        Transport("nosuch://place").sizes("records")


def test_a_missing_package_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(RefusedError, match=r"pip install 'runner\[remote\]'"):
        Transport("s3://bucket").sizes("records")
