"""What one store exports another takes in to the bit, and an archive of anyone's does no harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreError, UsageError
from runner.storage import unpacking
from runner.storage.archive import Exported, export, together
from runner.storage.records import entry_of, line_of, made_of
from runner.storage.store import Store
from runner.storage.unpacking import Imported, take_in


def opened(world: Any) -> Store:
    store = Store(world.artifacts / ".store")
    store.refresh()
    return store


def exported(world: Any, name: str = "study.tar") -> Path:
    store = opened(world)
    export(store, list(store.records), ["study"], world.folder / name)
    return Path(world.folder / name)


def taken(file: Path, folder: Path) -> Imported:
    store = Store(folder / ".store")
    try:
        return take_in(store, file)
    finally:
        store.close()


def files(folder: Path) -> dict[str, bytes]:
    """Return what lies below a folder, but for signs of life."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.parent.name != "alive"
    }


def content_of(folder: Path) -> dict[str, Any]:
    """Return the objects of a store and its records."""
    store = Store(folder / ".store")
    store.refresh()
    return {
        **{p.name: p.read_bytes() for p in (store.folder / "objects").glob("*/*")},
        **dict(store.records),
    }


# -- there and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["study.tar", "study.tar.gz"])
def test_a_study_goes_elsewhere_where_all_is_cached_and_views_are_equal(
    studied: Any, name: str
) -> None:
    done = studied.run_cli("store", "export", "study.toml", "-o", name)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{name}: 13 nodes and 7 objects, ")
    back = studied.run_cli("store", "import", name, "--artifacts", "elsewhere")
    assert back.code == 0, back.err
    assert back.out == "13 nodes and 7 objects taken in (4.36 kB)\n"
    run = studied.run_cli("run", "study.toml", "-n", 1, "--artifacts", "elsewhere")
    assert run.out.splitlines()[-1].startswith("13 cached in ")
    view = (studied.folder / "elsewhere" / "study" / "page.txt").read_bytes()
    assert view == (studied.artifacts / "study" / "page.txt").read_bytes()
    assert content_of(studied.folder / "elsewhere") == content_of(studied.artifacts)
    again = studied.run_cli("store", "import", name, "--artifacts", "elsewhere")
    assert again.out.splitlines() == [
        "0 nodes and 0 objects taken in (0 B)", "13 nodes and 7 objects were there already",
    ]  # fmt: skip


def test_only_what_the_specs_reach_goes_along_and_what_is_missing_is_told(studied: Any) -> None:
    text = (studied.folder / "study.toml").read_text("utf-8")
    studied.spec(text.replace("k = [1, 2, 3]", "k = [1, 9]"))
    done = studied.run_cli("store", "export", "study.toml", "-o", "study.tar")
    assert done.out.splitlines()[0].startswith("study.tar: 6 nodes and 5 objects")
    assert done.out.splitlines()[1] == "5 nodes of the plan not stored yet"
    labels = {r["label"] for r in opened(studied).records.values()}
    taken(studied.folder / "study.tar", studied.folder / "other")
    there = Store(studied.folder / "other" / ".store")
    there.refresh()
    assert {r["label"] for r in there.records.values()} == {
        "points", "fit", "early", "pair", "matrix[k=1]", "value[k=1]",
    } <= labels  # fmt: skip


def test_nothing_stored_is_told_and_no_file_is_left(studied: Any) -> None:
    shutil.rmtree(studied.artifacts / ".store")
    done = studied.run_cli("store", "export", "study.toml", "-o", "study.tar")
    assert done.code == 2
    assert "nothing of this is stored; `runner run` computes it" in done.err
    assert not (studied.folder / "study.tar").exists()


@pytest.mark.parametrize("name", ["study.tar", "study.tgz"])
def test_equal_contents_give_equal_archives_whatever_the_day(
    studied: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = exported(studied, name).read_bytes()
    monkeypatch.setattr("time.time", lambda: 1e9)
    reversed_keys = list(opened(studied).records)[::-1]
    export(opened(studied), reversed_keys, ["study"], studied.folder / f"b{name}")
    assert (studied.folder / f"b{name}").read_bytes() == first


def test_any_tar_reader_can_list_an_archive(studied: Any) -> None:
    with tarfile.open(exported(studied)) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
    assert names[:2] == ["manifest.json", "records.log"]
    assert names[2:] == [f"objects/{d[:2]}/{d}" for d in manifest["objects"]]
    assert (manifest["format"], manifest["nodes"]) == (1, 13)


def test_a_name_without_a_format_is_refused(studied: Any) -> None:
    store = opened(studied)
    with pytest.raises(UsageError, match=r"write study\.tar or study\.tar\.gz"):
        export(store, list(store.records), [], studied.folder / "study.zip")


def hurt(path: Path, how: str) -> None:
    path.chmod(0o644)
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.write_bytes(path.read_bytes() + b"x" if how == "longer" else b"y" * 33)


@pytest.mark.parametrize("how", ["gone", "cut", "longer", "changed"])
def test_a_damaged_object_is_not_exported(studied: Any, how: str) -> None:
    store = opened(studied)
    (record,) = (r for r in store.records.values() if r["label"] == "page")
    hurt(store.object_path(next(iter(record["objects"]))), how)
    with pytest.raises(StoreError, match=r"is gone|has changed|cannot"):
        exported(studied)
    assert [p.name for p in studied.folder.iterdir() if "tar" in p.name] == []


def test_a_disk_without_room_is_told_and_nothing_is_left(studied: Any) -> None:
    store = opened(studied)
    with pytest.raises(StoreError, match=r"cannot write /dev/full/study\.tar"):
        export(store, list(store.records), [], Path("/dev/full/study.tar"))


def test_many_nodes_made_at_once_are_written_as_lines_of_some_length() -> None:
    entries = [(f"k{n}", (b"{}", b"r - - {" + b"x" * 300_000 + b"}")) for n in range(10)]
    groups = list(together(entries))
    assert [entry for _, group in groups for entry in group] == entries
    assert max(sum(len(rest) for _, (_, rest) in group) for _, group in groups) < 2 * 2**20
    assert len(groups) == 3


# -- archives of an enemy --------------------------------------------------------------------------


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT)


class Archive:
    """An archive that is put together by hand."""

    def __init__(self) -> None:
        self.contents = [b"one", b"two two"]
        self.objects = {hashlib.sha256(c).hexdigest(): len(c) for c in self.contents}
        self.made: dict[str, Any] = {
            "run": "r", "at": "2026-01-02T03:04:05Z", "use": "probes/value", "device": "cpu",
            "threads": 1, "host": "h", "pid": 1, "python": "3.11", "versions": {}, "code": {},
        }  # fmt: skip
        self.record: dict[str, Any] = {
            "key": "k", "recipe": "r", "label": "l", "cell": {}, "parameters": {}, "seed": None,
            "inputs": {}, "outputs": {"type": "Model", "use": "u", "parameters": {}},
            "objects": self.objects, "seconds": 0.1, "log": "",
        }  # fmt: skip
        text = made_of(self.made)
        self.lines = line_of(text, [("k", entry_of(text, self.record))])
        self.manifest: dict[str, Any] = {"format": 1, "objects": self.objects}
        self.extra: list[tuple[bytes, bytes]] = []  # header and content, after all others
        self.between: list[tuple[bytes, bytes]] = []  # after the listing
        self.names = [f"objects/{d[:2]}/{d}" for d in self.objects]

    def members(self) -> list[tuple[bytes, bytes]]:
        text = json.dumps({"records": len(self.lines), **self.manifest}).encode()
        parts = [("manifest.json", text), ("records.log", self.lines)]
        objects = list(zip(self.names, self.contents, strict=True))
        listing = [(header(name, len(content)), content) for name, content in parts]
        rest = [(header(name, len(content)), content) for name, content in objects]
        return [*listing, *self.between, *rest, *self.extra]

    def write(self, folder: Path, members: list[tuple[bytes, bytes]] | None = None) -> Path:
        folder.mkdir(exist_ok=True)
        content = b"".join(
            head + body + bytes(-len(body) % 512) for head, body in members or self.members()
        )
        (folder / "a.tar").write_bytes(content + bytes(1024))
        return folder / "a.tar"


def test_an_archive_by_hand_is_taken_in(tmp_path: Path) -> None:
    """So that what the following ones are refused for is what is wrong with them."""
    found = taken(Archive().write(tmp_path), tmp_path)
    assert found == Imported(1, 0, 2, 0, 10)
    store = Store(tmp_path / ".store")
    store.refresh()
    assert store.get("k") is not None
    assert [store.read(d).read_bytes() for d in Archive().objects] == [b"one", b"two two"]


HOSTILE = [
    ("../../etc/passwd", tarfile.REGTYPE, "is no name of"),
    ("/etc/passwd", tarfile.REGTYPE, "is no name of"),
    ("objects/../../evil", tarfile.REGTYPE, "is no name of"),
    ("objects/aa/" + "b" * 64, tarfile.REGTYPE, "is no name of"),
    ("objects/bb/" + "B" * 64, tarfile.REGTYPE, "is no name of"),
    ("objects/bb/" + "b" * 64, tarfile.REGTYPE, "is not listed"),
    ("objects/bb/" + "b" * 64 + "\n", tarfile.REGTYPE, "is no name of"),
    ("records.log", tarfile.REGTYPE, "is not listed"),
    ("manifest.json", tarfile.REGTYPE, "is not listed"),
    ("objects", tarfile.DIRTYPE, "is a folder"),
    ("objects/bb/" + "b" * 64, tarfile.SYMTYPE, "is a symbolic link"),
    ("objects/bb/" + "b" * 64, tarfile.LNKTYPE, "is a hard link"),
    ("objects/bb/" + "b" * 64, tarfile.CHRTYPE, "is a device"),
    ("objects/bb/" + "b" * 64, tarfile.FIFOTYPE, "is a pipe"),
    ("././@PaxHeader", tarfile.XHDTYPE, "is an extended header"),
    ("././@LongLink", tarfile.GNUTYPE_LONGNAME, "is a long name"),
    ("x", tarfile.GNUTYPE_SPARSE, "is a sparse file"),
    ("x", b"\x80", "is no plain file"),
]


@pytest.mark.parametrize(("name", "kind", "message"), HOSTILE)
@pytest.mark.parametrize("place", ["between", "extra"])
def test_a_member_that_export_does_not_write_is_named_and_nothing_is_written(
    tmp_path: Path, name: str, kind: bytes, message: str, place: str
) -> None:
    archive = Archive()
    getattr(archive, place).append((header(name, 0, kind, "/etc/passwd"), b""))
    file = archive.write(tmp_path / "in")
    with pytest.raises(StoreError, match=message) as caught:
        taken(file, tmp_path / "out")
    assert repr(name)[1:-1] in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["records.log", "objects/00/" + "0" * 64])
def test_an_archive_begins_with_its_listing(tmp_path: Path, name: str) -> None:
    first = [(header(name, 3), b"abc")]
    file = Archive().write(tmp_path / "in", [*first, *Archive().members()])
    with pytest.raises(StoreError, match=r"stands where manifest\.json should"):
        taken(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


MANIFESTS: list[tuple[Any, str]] = [
    ({"format": 2}, "is of format '2', and this version reads 1"),
    ({"format": None}, "is of format 'None'"),
    ({"objects": []}, "cannot be understood"),
    ({"objects": {"../x": 1}}, "does not list digests and sizes"),
    ({"objects": {"0" * 64: -1}}, "does not list digests and sizes"),
    ({"objects": {"0" * 64: True}}, "does not list digests and sizes"),
    ({"objects": {"0" * 64: 1.5}}, "does not list digests and sizes"),
    ({"objects": {"0" * 64: 10**50}}, "does not list digests and sizes"),
    ({"objects": {"0" * 64: 2**59}}, "are free below"),
    ({"objects": {}}, "is not listed in|needs objects"),
    ({"records": "many"}, "does not list digests and sizes"),
    ({"records": 3}, r"records\.log has not the size"),
]


@pytest.mark.parametrize(("change", "message"), MANIFESTS)
def test_a_listing_that_is_wrong_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    archive = Archive()
    archive.manifest |= change
    file = archive.write(tmp_path / "in")
    with pytest.raises(StoreError, match=message):
        taken(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"nul", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_a_manifest_that_is_no_table_is_refused(tmp_path: Path, text: bytes) -> None:
    members = Archive().members()
    members[0] = (header("manifest.json", len(text)), text)
    with pytest.raises(StoreError, match="cannot be understood"):
        taken(Archive().write(tmp_path, members), tmp_path)


def test_content_that_is_not_what_its_name_says_is_named_and_brings_no_node(
    tmp_path: Path,
) -> None:
    archive = Archive()
    archive.contents[1] = b"eno eno"
    file = archive.write(tmp_path / "in")
    with pytest.raises(StoreError, match=f"{archive.names[1]} has other content"):
        taken(file, tmp_path / "out")
    assert content_of(tmp_path / "out").keys() == {archive.names[0][-64:]}
    assert not list((tmp_path / "out" / ".store" / "aside").iterdir())
    assert taken(Archive().write(tmp_path / "in"), tmp_path / "out").nodes == 1


@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_or_doubled_or_longer_object_is_refused(tmp_path: Path, number: int) -> None:
    whole = Archive().members()
    lacking = [*whole[:2], whole[2 + number]]
    twice = [*whole, whole[2 + number]]
    grown = list(whole)
    grown[2 + number] = (header(Archive().names[number], 9), b"123456789")
    for members, message in (
        (lacking, "is missing; the archive is not whole"),
        (twice, "is not listed"),
        (grown, "has 9 bytes, and "),
    ):
        file = Archive().write(tmp_path / "in", members)
        with pytest.raises(StoreError, match=message):
            taken(file, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_records_that_need_more_than_the_archive_has_or_say_nonsense_are_refused(
    tmp_path: Path,
) -> None:
    archive = Archive()
    text = made_of(archive.made)
    for change, message in (
        ({"objects": {"0" * 64: 3}}, "which is not in it"),
        ({"key": "../../x"}, r"line 1 of records\.log is damaged"),
        ({"log": 3}, "log is missing or of a wrong type"),
    ):
        record = {**archive.record, **change}
        archive.lines = line_of(text, [(record["key"], entry_of(text, record))])
        with pytest.raises(StoreError, match=message):
            taken(archive.write(tmp_path / "in"), tmp_path / "out")
    archive.lines = Archive().lines[:-9] + Archive().lines[-8:]
    with pytest.raises(StoreError, match=r"line 1 of records\.log is damaged"):
        taken(archive.write(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("name", ["study.tar", "study.tar.gz"])
def test_an_archive_that_was_cut_is_refused(
    studied: Any, tmp_path: Path, share: float, name: str
) -> None:
    whole = exported(studied, name)
    content = whole.read_bytes()
    length = len(content.rstrip(b"\0")) if name == "study.tar" else len(content)
    file = tmp_path / name
    file.write_bytes(content[: int(share * length)])
    with pytest.raises(StoreError, match=r"damaged or cut|ends before|missing"):
        taken(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_flipped_bytes_bring_nothing_wrong(studied: Any, tmp_path: Path) -> None:
    file = exported(studied)
    whole = file.read_bytes()
    right = content_of(studied.artifacts)
    refused = 0
    for number, position in enumerate(range(100, len(whole.rstrip(b"\0")), 397)):
        changed = bytearray(whole)
        changed[position] ^= 1 << number % 8
        file.write_bytes(bytes(changed))
        out = tmp_path / f"{number}"
        try:
            taken(file, out)
        except StoreError:
            refused += 1
        assert content_of(out).items() <= right.items()
    assert refused > 20


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Sixty-four megabytes of zeros in as many kilobytes, that the listing says nothing of."""
    text = json.dumps({"format": 1, "records": 0, "objects": {}}).encode()
    plain = header("manifest.json", len(text)) + text + bytes(-len(text) % 512)
    bomb = plain + header("records.log", 2**26) + bytes(2**26)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bomb))
    with pytest.raises(StoreError, match=r"records\.log has not the size"):
        taken(tmp_path / "a.tar.gz", tmp_path / "out")
    huge = header("manifest.json", 2**40) + bytes(2**20)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(huge))
    with pytest.raises(StoreError, match="which is too much to read"):
        taken(tmp_path / "a.tar.gz", tmp_path / "out")


def test_what_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(number: int) -> Any:
        return lambda path: shutil._ntuple_diskusage(0, 0, number)  # type: ignore[attr-defined]

    monkeypatch.setattr(unpacking.shutil, "disk_usage", free(2**24 + 100))
    with pytest.raises(StoreError, match="free some space or choose another --artifacts folder"):
        taken(Archive().write(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(unpacking.shutil, "disk_usage", free(2**24 + 10_000))
    assert taken(Archive().write(tmp_path / "in"), tmp_path / "out").nodes == 1


def test_what_is_there_is_kept_and_what_is_damaged_there_is_mended(tmp_path: Path) -> None:
    file = Archive().write(tmp_path / "in")
    taken(file, tmp_path)
    store = Store(tmp_path / ".store")
    first, second = (store.object_path(digest) for digest in Archive().objects)
    before = first.stat().st_ino
    second.chmod(0o644)
    second.write_bytes(b"eno eno")
    assert taken(file, tmp_path) == Imported(0, 1, 1, 1, 7)
    assert first.stat().st_ino == before
    assert second.read_bytes() == b"two two"


@pytest.mark.parametrize("how", ["pipe", "folder", "link", "none"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.tar"
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "link":
        path.symlink_to("/dev/zero")
    with pytest.raises(StoreError, match="cannot read"):
        taken(path, tmp_path)


def test_an_export_tells_what_it_wrote(studied: Any) -> None:
    store = opened(studied)
    file = studied.folder / "study.tar"
    assert export(store, list(store.records), [], file) == Exported(13, 7, file.stat().st_size)
