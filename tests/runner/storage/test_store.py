"""A node exists if and only if its whole record does, and damage is never a wrong result."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreError, StoreFullError
from runner.storage.claims import place
from runner.storage.records import made_of
from runner.storage.store import Record, Store

MADE = {
    "run": "r", "at": "2026-01-02T03:04:05Z", "use": "probes/value", "device": "cpu", "threads": 1,
    "host": "h", "pid": 1, "python": "3.11", "versions": {}, "code": {"a.py": "1"},
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.close()


def record(key: str, objects: dict[str, int] | None = None, recipe: str = "r") -> Record:
    return {
        "key": key, "recipe": recipe, "label": key, "cell": {}, "parameters": {}, "seed": None,
        "inputs": {}, "outputs": {"type": "Model", "use": key, "parameters": {}},
        "objects": objects or {}, "seconds": 0.1, "log": "",
    }  # fmt: skip


def commit(store: Store, *keys: str) -> None:
    """Commit one record for each key, each in a line of its own."""
    for key in keys:
        store.commit(MADE, [record(key)])


def again(store: Store) -> Store:
    """Return what another process would see of the store."""
    fresh = Store(store.folder)
    fresh.refresh()
    return fresh


def log_of(store: Store) -> Path:
    (log,) = (store.folder / "records").glob("*.log")
    return log


def asides(store: Store) -> list[str]:
    folder = store.folder / "aside"
    return [p.name for p in folder.iterdir()] if folder.is_dir() else []


# -- records -------------------------------------------------------------------------------------


def test_what_is_committed_is_there_for_others(store: Store) -> None:
    store.commit(MADE, [record("k1"), record("k2")])
    for seen in (store, again(store)):
        assert set(seen.records) == {"k1", "k2"}
        assert seen.get("k1") == {**record("k1"), "content": "", "made": MADE}
        assert seen.get("k3") is None


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    store.refresh()
    assert store.records == {}
    assert not (tmp_path / "none").exists()


def test_refresh_reads_what_others_appended_since(store: Store) -> None:
    commit(store, "k1")
    other = again(store)
    commit(store, "k2")
    assert other.get("k2") is None
    other.refresh()
    assert other.get("k2") is not None
    assert other.damaged == []


@pytest.mark.parametrize("lost", [1, 10, 100])
def test_a_torn_last_line_loses_that_line_alone(store: Store, lost: int) -> None:
    commit(store, "k1", "k2")
    log = log_of(store)
    log.write_bytes(log.read_bytes()[:-lost])
    seen = again(store)
    assert set(seen.records) == {"k1"}
    commit(seen, "k2")
    assert set(again(store).records) == {"k1", "k2"}
    seen.close()


def test_a_line_that_is_being_written_is_read_once_it_is_whole(store: Store) -> None:
    commit(store, "k1", "k2")
    log = log_of(store)
    whole = log.read_bytes()
    log.write_bytes(whole[:-7])
    reader = again(store)
    assert set(reader.records) == {"k1"}
    log.write_bytes(whole)
    reader.refresh()
    assert set(reader.records) == {"k1", "k2"}


def test_a_flipped_byte_anywhere_loses_that_line_and_never_makes_a_record(store: Store) -> None:
    commit(store, "k1", "k2", "k3")
    log = log_of(store)
    whole = log.read_bytes()
    good = again(store).records
    first, second = [i for i, byte in enumerate(whole) if byte == 10][:2]
    for position in range(0, len(whole), 5):
        for flip in (1, 0x80):
            changed = bytearray(whole)
            changed[position] ^= flip
            log.write_bytes(bytes(changed))
            seen = again(store)
            line = 0 if position <= first else 1 if position <= second else 2
            assert all(good[key] == found for key, found in seen.records.items())
            if position not in (first, second):
                assert set(good) - set(seen.records) == {f"k{line + 1}"}
                assert len(set(seen.damaged)) == (position != len(whole) - 1)


def test_a_line_of_garbage_and_a_file_of_garbage_are_named_as_damaged(store: Store) -> None:
    commit(store, "k1")
    with log_of(store).open("ab") as stream:
        stream.write(b"garbage\n\n\x00\xff\n")
    (store.folder / "records" / "zzz.log").write_bytes(os.urandom(5000) + b"\n")
    (store.folder / "records" / "notes.txt").write_text("not a log", "utf-8")
    seen = again(store)
    assert set(seen.records) == {"k1"}
    assert {Path(p).name for p in seen.damaged} == {log_of_first(store), "zzz.log"}


def log_of_first(store: Store) -> str:
    return min((store.folder / "records").glob("*.log")).name


def test_a_folder_named_like_a_log_is_told_of(store: Store) -> None:
    commit(store, "k1")
    (store.folder / "records" / "a.log").mkdir()
    with pytest.raises(StoreError, match=r"cannot read .*a\.log"):
        again(store)


def test_the_newest_record_of_a_recipe_is_what_other_code_made(store: Store) -> None:
    store.commit(MADE, [record("old")])
    store.commit(MADE, [record("new")])
    store.commit(MADE, [record("other", recipe="s")])
    for seen in (store, again(store)):
        found = seen.stale("r")
        assert found is not None
        assert found["key"] == "new"
        assert seen.stale("none") is None


def test_the_newest_record_is_known_even_among_logs_of_one_second(tmp_path: Path) -> None:
    for number in range(10):
        store = Store(tmp_path / "store")
        store.commit(MADE, [record(f"k{number}")])
        store.close()
        found = again(store).stale("r")
        assert found is not None
        assert found["key"] == f"k{number}"


def test_a_stale_record_without_its_objects_is_passed_over(store: Store) -> None:
    digest, size = store.put(b"content")
    store.commit(MADE, [record("old")])
    store.commit(MADE, [record("new", {digest: size})])
    store.object_path(digest).unlink()
    found = store.stale("r")
    assert found is not None
    assert found["key"] == "old"


def test_a_record_with_nan_is_refused_and_nothing_is_written(store: Store) -> None:
    commit(store, "k1")
    with pytest.raises(ValueError, match="JSON"):
        store.commit(MADE, [{**record("k2"), "seconds": float("nan")}])
    assert set(again(store).records) == {"k1"}


def test_processes_that_append_at_once_lose_nothing(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.storage.store import Store\n"
        f"made, like = {MADE!r}, {record('k')!r}\n"
        "s = Store(Path(sys.argv[1])); n = sys.argv[2]\n"
        "for i in range(30):\n"
        "    d, z = s.put(f'{i}'.encode() * 2000)\n"
        "    s.refresh(); s.clean()\n"
        "    s.commit(made, [dict(like, key=f'{n}-{i}', objects={d: z})])\n"
    )
    root = Path(__file__).parents[3]
    workers = [
        subprocess.Popen([sys.executable, "-c", code, store.folder, str(n)], cwd=root)
        for n in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    seen = again(store)
    assert set(seen.records) == {f"{n}-{i}" for n in range(3) for i in range(30)}
    assert seen.damaged == []
    assert all(seen.get(key) for key in seen.records)
    assert len(list((store.folder / "objects").glob("*/*"))) == 30
    assert asides(store) == []


# -- objects -------------------------------------------------------------------------------------


def test_content_is_named_by_its_digest_and_written_once(store: Store) -> None:
    digest, size = store.put(b"content")
    path = store.read(digest)
    assert (digest, size) == (hashlib.sha256(b"content").hexdigest(), 7)
    assert path.read_bytes() == b"content"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert store.put(b"content") == (digest, size)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert path.stat().st_mode & 0o222 == 0
    assert asides(store) == []


def hurt(path: Path, how: str) -> None:
    """Damage an object: its bytes, its length, its very being."""
    path.chmod(0o644)
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    elif how == "flipped":
        data = bytearray(path.read_bytes())
        data[3] ^= 1
        path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "longer"])
def test_a_node_whose_content_is_not_whole_is_a_miss(store: Store, how: str) -> None:
    digest, size = store.put(b"content")
    store.commit(MADE, [record("k", {digest: size})])
    assert again(store).get("k") is not None
    hurt(store.object_path(digest), how)
    assert again(store).get("k") is None


@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "longer", "flipped"])
def test_damaged_content_is_never_handed_out_and_can_be_written_again(
    store: Store, how: str
) -> None:
    digest, size = store.put(b"content")
    store.commit(MADE, [record("k", {digest: size})])
    hurt(store.object_path(digest), how)
    seen = again(store)
    with pytest.raises(StoreError, match="run again"):
        seen.read(digest)
    assert again(store).get("k") is None
    assert seen.put(b"content") == (digest, size)
    assert again(store).read(digest).read_bytes() == b"content"
    assert again(store).get("k") is not None


@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "longer", "flipped"])
def test_writing_equal_content_mends_what_is_damaged(store: Store, how: str) -> None:
    digest, _ = store.put(b"content")
    hurt(store.object_path(digest), how)
    fresh = again(store)
    fresh.put(b"content")
    assert fresh.read(digest).read_bytes() == b"content"


# -- trouble with the disk -----------------------------------------------------------------------


def no_space(*args: Any, **options: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_with_its_cure_and_leaves_nothing_half(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, "k1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(StoreFullError, match="disk is full; free some space and run again"):
            store.put(b"content")
        with pytest.raises(StoreError, match="disk is full"):
            store.commit(MADE, [record("k2")])
    assert asides(store) == []
    assert set(again(store).records) == {"k1"}
    commit(store, "k3")
    seen = again(store)
    assert set(seen.records) == {"k1", "k3"}
    assert seen.damaged == []


class ShortWrites:
    """A file that takes at most 100 bytes a call, and at most `room` in all."""

    def __init__(self, file: Any, room: int) -> None:
        self.file = file
        self.room = room

    def write(self, data: bytes) -> int:
        part = bytes(data[: min(100, self.room)])
        if not part:
            no_space()
        self.room -= len(part)
        return int(self.file.write(part))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_line_written_in_parts_is_whole(store: Store) -> None:
    commit(store, "k1")
    store.logs.own = ShortWrites(store.logs.own, 10**6)
    commit(store, "k2", "k3")
    assert set(again(store).records) == {"k1", "k2", "k3"}


def test_a_disk_that_fills_within_a_line_loses_that_line_alone(store: Store) -> None:
    commit(store, "k1")
    raw = store.logs.own
    store.logs.own = ShortWrites(raw, 90)
    with pytest.raises(StoreError, match="disk is full"):
        commit(store, "k2")
    store.logs.own = raw
    commit(store, "k3")
    seen = again(store)
    assert set(seen.records) == {"k1", "k3"}
    assert seen.damaged == []


def test_an_interrupt_within_a_line_leaves_no_part_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    commit(store, "k1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            commit(store, "k2")
        with pytest.raises(KeyboardInterrupt):
            store.put(b"content")
    assert asides(store) == []
    commit(store, "k3")
    seen = again(store)
    assert set(seen.records) >= {"k1", "k3"}
    assert seen.damaged == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let tests mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_truly_full_disk_loses_nothing_that_was_finished(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    finished = []
    with pytest.raises(StoreError, match="disk is full; free some space"):  # noqa: PT012
        for number in range(1000):
            digest, size = store.put(f"{number}".encode() * 1000)
            store.commit(MADE, [record(f"k{number}", {digest: size})])
            finished.append(f"k{number}")
    assert 10 < len(finished) < 1000
    assert asides(store) == []
    with pytest.raises(StoreError, match="disk is full"):  # noqa: PT012
        for number in range(1000):  # records alone: the log itself meets the end of the disk
            store.commit(MADE, [record(f"r{number}", recipe="x" * 200)])
            finished.append(f"r{number}")
    store.read(hashlib.sha256(b"0" * 1000).hexdigest()).unlink()
    commit(store, "after")
    seen = again(store)
    assert set(seen.records) == {*finished, "after"}
    assert seen.damaged == []
    store.close()


def refuse(number: int) -> Any:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO])
def test_a_folder_that_may_not_be_written_is_told_with_its_cure(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    cure = "output error" if number == errno.EIO else "--artifacts"
    monkeypatch.setattr(Path, "mkdir", refuse(number))
    for act in (
        lambda: store.put(b"x"),
        lambda: commit(store, "k"),
        store.aside,
        lambda: store.scratch("k"),
    ):
        with pytest.raises(StoreError, match=cure):
            act()


def test_a_read_only_disk_still_gives_what_it_holds(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    good, size = store.put(b"good content")
    bad, _ = store.put(b"bad content")
    store.commit(MADE, [record("k", {good: size})])
    store.close()
    hurt(store.object_path(bad), "flipped")
    (store.folder / "aside" / "elsewhere-1-1-abc-x").touch()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    seen = again(store)
    seen.clean()
    assert seen.get("k") is not None
    assert seen.read(good).read_bytes() == b"good content"
    with pytest.raises(StoreError, match="has changed"):
        seen.read(bad)
    with pytest.raises(StoreError, match="read-only; choose another --artifacts"):
        commit(seen, "k2")
    seen.drop_scratch("k")


# -- what dead processes leave -------------------------------------------------------------------


def owner_of(pid: int, born: str = "1") -> str:
    """Return the name under which a process of this machine would write."""
    return f"{place()}-{pid}-{born}-abc"


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_files_of_dead_processes_are_cleaned_and_those_of_living_ones_are_kept(
    store: Store,
) -> None:
    mine = store.aside()
    folder = mine.parent
    dead = folder / f"{owner_of(dead_pid())}-x"
    reused = folder / f"{owner_of(os.getpid())}-x"  # its number is another process's by now
    gone = folder / "elsewhere-1-1-abc-x"
    beating = folder / "elsewhere-2-1-abc-x"
    (store.folder / "alive" / "elsewhere-2-1-abc").touch()
    strange = folder / "strange"
    for path in (mine, dead, reused, gone, beating, strange):
        path.write_bytes(b"half")
    store.clean()
    assert set(asides(store)) == {mine.name, beating.name, strange.name}


def test_a_file_that_vanishes_while_cleaning_is_no_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another runner at work renames its asides at any moment."""
    store.aside().write_bytes(b"half")
    real = Path.iterdir

    def and_one_more(self: Path) -> Iterator[Path]:
        yield from real(self)
        yield self / "elsewhere-1-1-abc-gone"

    monkeypatch.setattr(Path, "iterdir", and_one_more)
    store.clean()


def test_scratch_of_a_finished_node_is_cleaned_and_that_of_another_is_kept(store: Store) -> None:
    """A process may be killed after it committed a node and before it dropped its scratch."""
    commit(store, "done")
    for key in ("done", "unfinished"):
        (store.scratch(key) / "state").write_bytes(b"x")
    again(store).clean()
    assert [p.name for p in (store.folder / "scratch").iterdir()] == ["unfinished"]


def test_a_stores_own_clutter_does_not_grow_by_reading(store: Store) -> None:
    commit(store, "k1")
    before = sorted(p.name for p in store.folder.rglob("*"))
    seen = again(store)
    seen.get("k1")
    seen.close()
    assert sorted(p.name for p in store.folder.rglob("*")) == before


# -- many nodes in one go --------------------------------------------------------------------------


def test_what_is_written_is_there_for_others_before_it_is_durable(store: Store) -> None:
    made = made_of(MADE)
    store.write(made, [record("k1")])
    store.write(made, [record("k2"), record("k3")])
    assert set(again(store).records) == {"k1", "k2", "k3"}
    store.sync()
    assert set(again(store).records) == {"k1", "k2", "k3"}


def test_what_cannot_be_made_durable_is_taken_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, "k1")
    made = made_of(MADE)
    store.write(made, [record("k2")])
    store.write(made, [record("k3")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(StoreFullError):
            store.sync()
    assert set(again(store).records) == {"k1"}
    commit(store, "k4")
    assert set(again(store).records) == {"k1", "k4"}


def test_a_node_is_adopted_with_its_own_name_and_the_others_result(store: Store) -> None:
    digest, size = store.put(b"content")
    store.commit(MADE, [{**record("old", {digest: size}), "content": "c", "label": "a"}])
    store.adopt([({"key": "new", "recipe": "s", "content": "d", "label": "b"}, "old")])
    for seen in (store, again(store)):
        found = seen.get("new")
        assert found is not None
        assert (found["recipe"], found["label"], found["same"]) == ("s", "b", "old")
        assert found["outputs"] == record("old")["outputs"]
        assert found["objects"] == {digest: size}
        assert found["made"] == MADE
        assert seen.records.of_content("d") == "new"
        assert seen.records.of_content("c") == "old"
        assert seen.records.of_content("e") is None
