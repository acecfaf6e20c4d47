"""Whatever is bad in a store is found, named and set aside; a second look finds nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreError
from runner.storage.claims import place
from runner.storage.merging import lines_of
from runner.storage.records import entry_of, line_of, log_name
from runner.storage.store import Store
from runner.storage.verifying import Findings, verify


def opened(world: Any) -> Store:
    store = Store(world.artifacts / ".store")
    store.refresh()
    return store


def looked(world: Any) -> Findings:
    """Verify the store of a world as a process of its own would."""
    store = Store(world.artifacts / ".store")
    found = verify(store, 2, lambda done, total: None)
    store.close()
    return found


def keys(store: Store) -> dict[str, str]:
    """Return label -> key of what is stored."""
    return {record["label"]: key for key, record in store.records.items()}


def object_of(world: Any, label: str) -> Path:
    store = opened(world)
    return store.object_path(next(iter(store.records[keys(store)[label]]["objects"])))


def log_of(world: Any) -> Path:
    (log,) = (world.artifacts / ".store" / "records").iterdir()
    return log


def damaged(world: Any) -> list[str]:
    folder = world.artifacts / ".store" / "damaged"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_sound_store_is_found_well_and_left_as_it_is(studied: Any) -> None:
    before = {p: p.lstat().st_mtime_ns for p in studied.artifacts.rglob("*") if p.is_file()}
    found = looked(studied)
    assert (found.nodes, found.objects, found.problems, found.notes) == (13, 7, [], [])
    assert found.size == sum(p.stat().st_size for p in before if p.parent.parent.name == "objects")
    after = {p: p.lstat().st_mtime_ns for p in studied.artifacts.rglob("*") if p.is_file()}
    assert after == before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


def to_link(path: Path) -> None:
    target = path.parents[4] / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("hurt", [flip, cut, Path.unlink, to_link, to_pipe])
def test_a_bad_object_is_named_with_its_nodes_and_they_are_computed_anew(
    studied: Any, hurt: Callable[[Path], Any]
) -> None:
    path = object_of(studied, "points")
    hurt(path)
    first = looked(studied)
    assert any(path.name[:12] in line and line.endswith("points") for line in first.problems)
    assert len(first.lost) == 1
    assert not os.path.lexists(path)
    assert looked(studied).problems == []
    if hurt in (flip, cut):
        assert path.name in damaged(studied)
    done = studied.run_cli("run", "study.toml", "-n", 1)
    assert done.code == 0, done.out
    assert studied.statuses()["points"] == "passed"
    assert studied.statuses()["fit"] == "cached"
    assert looked(studied).problems == []


def test_damaged_lines_are_told_by_file_and_number_and_kept_aside(studied: Any) -> None:
    log = log_of(studied)
    lines = log.read_bytes().splitlines(keepends=True)
    spoilt = lines[3].replace(b'"log"', b'"lag"')
    log.write_bytes(b"".join([*lines[:3], spoilt, *lines[4:], b"garbage\n", b"torn"]))
    before = set(keys(opened(studied)))
    first = looked(studied)
    told = [f"records/{log.name}:4: damaged line", f"records/{log.name}:{len(lines) + 1}: "]
    assert [line.startswith(start) for line, start in zip(first.problems, told, strict=True)]
    assert f"records/{log.name} ends amid a line" in first.notes[0]
    second = looked(studied)
    assert (second.problems, second.notes) == ([], [])
    assert set(keys(opened(studied))) == before
    kept = studied.artifacts / ".store" / "damaged" / log.name
    assert kept.read_bytes() == spoilt + b"garbage\n"


def spoilt(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "seconds": "long"}


def add(world: Any, *records: dict[str, Any], made: dict[str, Any]) -> Path:
    """Write records into a log of their own, as an enemy would."""
    store = opened(world)
    text = json.dumps(made).encode()
    nodes = [(record["key"], entry_of(text, record)) for record in records]
    path = store.logs.folder / log_name()
    path.write_bytes(line_of(text, nodes))
    return path


def test_a_record_that_cannot_be_understood_is_set_aside_without_its_neighbours(
    studied: Any,
) -> None:
    store = opened(studied)
    found = keys(store)
    good, bad = (store.records[found[name]] for name in ("pair", "page"))
    add(studied, {**good, "key": "good"}, spoilt(bad), made=good["made"])
    first = looked(studied)
    assert len(first.problems) == 1
    assert "seconds is missing or of a wrong type" in first.problems[0]
    assert first.lost == set()  # its log is not the only one that knows the node
    after = opened(studied)
    assert after.records[found["page"]] == bad
    assert after.records["good"] == {**good, "key": "good"}
    assert looked(studied).problems == []


def test_what_no_run_put_there_is_moved_away(studied: Any) -> None:
    store = opened(studied)
    (store.folder / "objects" / "ab").mkdir(exist_ok=True)
    (store.folder / "objects" / "ab" / "notes.txt").write_text("x", "utf-8")
    (store.folder / "objects" / ("f" * 64)).write_text("x", "utf-8")
    os.mkfifo(store.logs.folder / "pipe.log")
    (store.logs.folder / "link.log").symlink_to("/dev/zero")
    assert len(looked(studied).problems) == 4
    assert {"notes.txt", "f" * 64, "pipe.log", "link.log"} == set(damaged(studied))
    assert looked(studied).problems == []


def test_logs_stay_as_they_are_while_another_process_may_append_to_them(studied: Any) -> None:
    alive = studied.artifacts / ".store" / "alive" / f"{place()}x-1-1-abc"
    alive.write_text('name\n{"host": "far", "pid": 7}\n', "utf-8")
    log = log_of(studied)
    with log.open("ab") as stream:
        stream.write(b"garbage\n")
    before = log.read_bytes()
    for _ in range(2):
        found = looked(studied)
        assert len(found.problems) == 1
        assert "process 7 on far may be at work" in found.notes[0]
        assert log.read_bytes() == before
    alive.unlink()
    assert len(looked(studied).problems) == 1
    assert looked(studied).problems == []


def test_a_reader_that_knew_the_old_log_loses_nothing_when_it_is_written_anew(
    studied: Any,
) -> None:
    reader = opened(studied)
    with log_of(studied).open("ab") as stream:
        stream.write(b"garbage\n")
    before = dict(reader.records)
    looked(studied)
    writer = opened(studied)
    record = {**next(iter(before.values())), "key": "new"}
    writer.commit(record["made"], [record])
    writer.close()
    reader.refresh()
    assert dict(reader.records) == {**before, "new": record}
    assert sum(len(list(lines_of(p))) for _, p in reader.logs.listed()) > 0


def test_folders_that_lead_out_of_the_store_are_refused(studied: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "2024-01-02-notes.txt").write_text("mine", "utf-8")
    for name in ("aside", "claims", "scratch", "records"):
        folder = studied.artifacts / ".store" / name
        folder.rename(tmp_path / name)
        folder.symlink_to(outside)
        with pytest.raises(StoreError, match=f"{name} is a link"):
            opened(studied)
        with pytest.raises(StoreError, match=f"{name} is a link"):
            looked(studied)
        folder.unlink()
        (tmp_path / name).rename(folder)
    assert (outside / "2024-01-02-notes.txt").read_text("utf-8") == "mine"


def test_the_command_tells_and_ends_with_1_the_first_time_only(studied: Any) -> None:
    flip(object_of(studied, "matrix[k=3]"))
    first = studied.run_cli("store", "verify", "--jobs", 3)
    assert first.code == 1
    lines = first.out.splitlines()
    assert "has changed since it was written, set aside: matrix[k=3]" in lines[0]
    assert lines[-1].startswith("12 nodes, 6 objects (3.72 kB) in ")
    assert lines[-1].endswith(" are well, 1 problem; the next run computes 1 node anew")
    second = studied.run_cli("store", "verify")
    assert second.code == 0
    assert second.out.startswith("12 nodes, 6 objects (3.72 kB) in ")
    assert second.out.endswith(": all is well\n")


def test_a_store_that_is_not_there_is_told(world: Any) -> None:
    for command in ("verify", "du"):
        done = world.cli("store", command)
        assert done.code == 2
        assert "there is no store; name its folder with --artifacts" in done.err


def test_every_object_is_read(studied: Any) -> None:
    """A digest is computed of each, not looked up."""
    store = opened(studied)
    content = b"an object of no node"
    digest, _ = store.put(content)
    store.close()
    path = store.object_path(digest)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert looked(studied).problems == []
    flip(path)
    assert looked(studied).problems == [
        f"object {digest[:12]} has changed since it was written, set aside: no node's"
    ]
