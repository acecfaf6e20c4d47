"""A remote can withhold, it cannot deceive; what goes wrong with it costs a warning at most."""

from __future__ import annotations

import hashlib
import json
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

from runner.errors import StoreError, UsageError
from runner.sharing.patience import RefusedError, UnreachableError
from runner.sharing.remote import Remote
from runner.storage.store import Store

LINES = b'abc {"records":[1]}\ndef {"records":[2]}\n'


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.sharing.patience.FIRST_WAIT", 0.01)


@dataclass(frozen=True)
class Side:
    """A local store before a remote."""

    folder: Path
    remote: Remote

    def at(self, digest: str) -> Path:
        return self.folder / "objects" / digest[:2] / digest

    def put(self, content: bytes) -> dict[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        self.at(digest).parent.mkdir(parents=True, exist_ok=True)
        self.at(digest).write_bytes(content)
        return {digest: len(content)}

    def send(self, *contents: bytes, lines: bytes = LINES) -> dict[str, int]:
        objects = {d: s for content in contents for d, s in self.put(content).items()}
        assert self.remote.upload(objects, self.at) == set()
        self.remote.append(lines)
        return objects

    def fetch(self, objects: dict[str, int]) -> set[str]:
        lacking = self.remote.fetch(objects, self.at)
        assert not list((self.folder / "aside").glob("*")), "left aside"
        for digest in objects:
            assert self.at(digest).exists() == (digest not in lacking)
        return lacking

    def lines(self) -> list[bytes]:
        return list(self.remote.pull())


def side_at(folder: Path, url: str, options: Any) -> Side:
    """Return a local store as a new process would open it."""
    return Side(folder, Remote(url, folder, Store(folder).aside, options))


@pytest.fixture
def side(tmp_path: Path, bucket: Any) -> Callable[..., Side]:
    """Return what makes a new local store before the S3 bucket, or before another URL."""

    def make(url: str = "", options: Any = None) -> Side:
        folder = tmp_path / uuid.uuid4().hex
        options = bucket.faulty if options is None else options
        return side_at(folder, url or bucket.url, options)

    return make


@pytest.fixture(params=["s3", "file", "memory"])
def pair(
    request: pytest.FixtureRequest, side: Callable[..., Side], tmp_path: Path, bucket: Any
) -> tuple[Side, Side]:
    """Return two local stores before one remote, of each kind."""
    url = {
        "s3": bucket.url,
        "file": f"file://{tmp_path}/team/store/",
        "memory": f"memory://{uuid.uuid4().hex}/store",
    }[request.param]
    options = bucket.faulty if request.param == "s3" else {}
    return side(url, options), side(url, options)


def objects_at(bucket: Any) -> dict[str, int]:
    found = bucket.files().find(f"{bucket.name}/team/store/objects", detail=True)
    return {name.rsplit("/", 1)[1]: entry["size"] for name, entry in found.items()}


def segments_at(bucket: Any) -> list[str]:
    return sorted(bucket.files().find(f"{bucket.name}/team/store/records"))


# -- what one sends another receives ---------------------------------------------------------------


def test_what_one_store_sends_another_receives(pair: tuple[Side, Side]) -> None:
    ours, theirs = pair
    objects = ours.send(b"", b"small", b"large" * 50_000)
    assert theirs.lines() == LINES.splitlines()
    assert theirs.fetch(objects) == set()
    for digest in objects:
        assert theirs.at(digest).read_bytes() == ours.at(digest).read_bytes()
        assert theirs.at(digest).stat().st_mode & 0o777 == 0o444
    assert ours.remote.take_warnings() == theirs.remote.take_warnings() == []


def test_what_was_sent_or_yielded_is_not_yielded_again(pair: tuple[Side, Side]) -> None:
    ours, theirs = pair
    ours.send()
    assert ours.lines() == []
    theirs.lines()
    ours.send(lines=b"ghi 3\n")
    assert theirs.lines() == [b"ghi 3"]


def test_content_in_many_pieces_arrives_whole(
    pair: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.sharing.transport.CHUNK", 1000)
    monkeypatch.setattr("runner.sharing.remote.CHUNK", 1000)
    ours, theirs = pair
    contents = [bytes([n % 251]) * n for n in (999, 1000, 1001, 3000)]
    objects = ours.send(*contents)
    assert theirs.fetch(objects) == set()
    assert sorted(theirs.at(d).read_bytes() for d in objects) == sorted(contents)


def test_no_part_of_an_upload_lies_where_readers_look(pair: tuple[Side, Side]) -> None:
    ours, _ = pair
    ours.send(b"x" * 100_000)
    transport = ours.remote._transport
    assert transport.sizes("aside") == {}
    assert len(transport.sizes("records")) == 1


# -- cost ------------------------------------------------------------------------------------------


def test_a_second_pull_costs_one_listing(side: Callable[..., Side], bucket: Any) -> None:
    ours, theirs = side(), side()
    for n in range(5):
        ours.send(lines=b"line %d\n" % n)
    assert len(theirs.lines()) == 5
    bucket.proxy.requests.clear()
    assert theirs.lines() == []
    assert len(side_at(theirs.folder, bucket.url, bucket.faulty).lines()) == 5
    assert [method for method, _ in bucket.proxy.requests] == ["GET", "GET"]
    assert all("list-type" in path for _, path in bucket.proxy.requests)


def test_an_object_is_sent_once(side: Callable[..., Side], bucket: Any) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"x" * 100_000, b"small")
    ours.send(b"x" * 100_000, b"small")
    assert len(bucket.proxy.asked("PUT", "objects/")) == 2
    theirs.put(b"x" * 100_000)
    theirs.remote.upload({d: s for d, s in objects.items() if s > 5}, theirs.at)
    assert len(bucket.proxy.asked("PUT", "objects/")) == 2, "large ones are asked for first"


def test_nothing_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.sharing.remote import Remote\n"
        "from runner.sharing.outbox import Outbox; import runner.sharing.pusher\n"
        f"remote = Remote('s3://bucket/prefix', Path({str(tmp_path)!r}), Path)\n"
        f"Outbox(remote, Path({str(tmp_path)!r}), Path).outstanding()\n"
        "print([n for n in ('fsspec', 's3fs', 'numpy', 'asyncio') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- objects come before the lines that need them --------------------------------------------------


def test_objects_are_there_before_the_segment(side: Callable[..., Side], bucket: Any) -> None:
    side().send(*(b"object %d" % n for n in range(40)))
    puts = [path for method, path in bucket.proxy.requests if method == "PUT"]
    assert len(puts) == 41
    assert ["records/" in path for path in puts].index(True) == 40


@pytest.mark.parametrize("damage", ["gone", "other content", "other length"])
def test_what_is_damaged_here_is_not_sent(
    side: Callable[..., Side], bucket: Any, damage: str
) -> None:
    ours = side()
    good, bad = ours.put(b"good"), ours.put(b"damaged")
    (digest,) = bad
    if damage == "gone":
        ours.at(digest).unlink()
    else:
        ours.at(digest).write_bytes(b"DAMAGED" if damage == "other content" else b"dam")
    assert ours.remote.upload({**good, **bad}, ours.at) == {digest}
    assert objects_at(bucket) == good


def test_what_is_gone_here_but_at_the_remote_counts_as_sent(side: Callable[..., Side]) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"shared")
    assert theirs.remote.upload(objects, theirs.at) == set()


# -- a remote is not trusted -----------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"evil", b"goo", b"longer", b""])
def test_wrong_content_is_named_never_placed_and_replaced_by_the_next_upload(
    side: Callable[..., Side], bucket: Any, content: bytes
) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"good")
    (digest,) = objects
    bucket.files().pipe_file(f"{bucket.name}/team/store/objects/{digest[:2]}/{digest}", content)
    assert theirs.fetch(objects) == {digest}
    (warning,) = theirs.remote.take_warnings()
    assert digest in warning
    assert digest in theirs.remote.reasons[digest]
    theirs.put(b"good")  # computed anew
    theirs.remote.upload(objects, theirs.at)
    assert side().fetch(objects) == set()


def test_large_wrong_content_of_the_right_length_is_replaced(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"x" * 100_000)
    (digest,) = objects
    path = f"{bucket.name}/team/store/objects/{digest[:2]}/{digest}"
    bucket.files().pipe_file(path, b"y" * 100_000)
    assert theirs.fetch(objects) == {digest}
    theirs.put(b"x" * 100_000)
    theirs.remote.upload(objects, theirs.at)
    assert bucket.files().cat_file(path) == b"x" * 100_000


def test_what_is_not_there_has_a_reason(side: Callable[..., Side]) -> None:
    ours, digest = side(), "0" * 64
    assert ours.fetch({digest: 5}) == {digest}
    assert "cannot read objects/00/000" in ours.remote.reasons[digest]
    assert ours.remote.take_warnings() == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a" * 63, "A" * 64, "a" * 63 + "/", "a" * 64 + "\n", ""]
)
def test_what_is_no_digest_is_never_asked_for(
    side: Callable[..., Side], bucket: Any, name: str
) -> None:
    ours = side()

    def nowhere(digest: str) -> Path:
        pytest.fail(f"{digest!r} was to be placed")

    assert ours.remote.fetch({name: 5}, nowhere) == {name}
    assert bucket.proxy.requests == []


def test_a_damaged_segment_is_left_out_with_one_warning_and_read_once_it_is_right(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    ours.send(lines=b"first 1\n")
    ours.send(lines=b"second 2\n")
    name = segments_at(bucket)[0]
    files = bucket.files()
    whole = files.cat_file(name)
    for damage in (whole[:3], whole.replace(b" ", b"_"), whole + whole):
        files.pipe_file(name, damage)
        assert len(theirs.lines()) == (1 if damage == whole[:3] else 0)
    warnings = theirs.remote.take_warnings()
    assert all(name.rsplit("/", 1)[1] in warning for warning in warnings)
    files.pipe_file(name, whole)
    assert theirs.lines() == [whole.strip()]


def test_files_that_are_no_segments_are_left_alone(side: Callable[..., Side], bucket: Any) -> None:
    ours, theirs = side(), side()
    ours.send()
    name = segments_at(bucket)[0].rsplit("/", 1)[1]
    for other in ("notes.txt", f"x{name}", f"{name}.part", "..log", name.upper()):
        bucket.files().pipe_file(f"{bucket.name}/team/store/records/{other}", b"evil 1\n")
    assert theirs.lines() == LINES.splitlines()
    assert [p.name for p in (theirs.remote.folder / "segments").iterdir()] == [name]


def test_segments_and_lines_have_a_most(
    side: Callable[..., Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = side(), side()
    ours.send(lines=b"x" * 500 + b"\nfine 1\n")
    ours.send(lines=b"y" * 2000 + b"\n")
    monkeypatch.setattr("runner.sharing.segments.LINE_MOST", 400)
    monkeypatch.setattr("runner.sharing.segments.SEGMENT_MOST", 1000)
    assert theirs.lines() == [b"fine 1"]
    long_line, long_segment = sorted(theirs.remote.take_warnings(), key=lambda w: "bytes" in w)
    assert "too long a line" in long_line
    assert "2001 bytes are more than a segment may have" in long_segment


def test_a_local_segment_that_was_damaged_is_brought_again(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    ours.send()
    theirs.lines()
    (kept,) = (theirs.remote.folder / "segments").iterdir()
    kept.chmod(0o644)
    kept.write_bytes(b"changed 1\n")
    again = side_at(theirs.folder, bucket.url, bucket.faulty)
    assert again.lines() == LINES.splitlines()


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "503", "drop", "hang", "cut"])
def test_a_request_that_fails_is_made_again(
    side: Callable[..., Side], bucket: Any, fault: str
) -> None:
    if fault == "hang":
        bucket.faulty["config_kwargs"] = {"read_timeout": 0.3, "retries": {"total_max_attempts": 1}}
    ours, theirs = side(), side()
    for method, pattern in [
        ("PUT", "objects/"), ("PUT", "records/"), ("GET", "list-type"), ("GET", "records/"),
        ("GET", "objects/"),
    ]:  # fmt: skip
        bucket.proxy.fail(method, pattern, fault, 1 if fault == "hang" else 2)
    objects = ours.send(b"content" * 1000)
    assert theirs.lines() == LINES.splitlines()
    assert theirs.fetch(objects) == set()
    assert ours.remote.take_warnings() == theirs.remote.take_warnings() == []


def test_bytes_spoilt_on_their_way_are_asked_for_again(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"content")
    bucket.proxy.fail("GET", "objects/|records/", "spoil")
    assert theirs.fetch(objects) == set()
    bucket.proxy.fail("GET", "records/2", "spoil")
    assert theirs.lines() == LINES.splitlines()


def test_an_upload_cut_in_the_middle_leaves_nothing_and_is_made_again(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours = side()
    objects = ours.put(b"x" * 300_000)
    bucket.proxy.fail("PUT", "objects/", "cut upload", 10_000)
    with pytest.raises(UnreachableError, match="cannot write objects/"):
        ours.remote.upload(objects, ours.at)
    assert objects_at(bucket) == {}
    fresh = side_at(ours.folder, bucket.url, bucket.faulty).remote
    bucket.proxy.faults.clear()
    bucket.proxy.fail("PUT", "objects/", "cut upload", 2)
    assert fresh.upload(objects, ours.at) == set()
    assert objects_at(bucket) == objects


def test_without_a_remote_the_lines_pulled_earlier_still_serve(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"content")
    theirs.lines()
    bucket.proxy.fail(".*", "", "drop", 10_000)
    later = side_at(theirs.folder, bucket.url, bucket.faulty)
    assert later.lines() == LINES.splitlines()
    (warning,) = later.remote.take_warnings()
    assert "cannot list records/" in warning
    assert later.fetch(objects) == set(objects)


def test_a_remote_that_does_not_answer_is_not_asked_again_and_again(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours = side()
    bucket.proxy.fail(".*", "", "500", 10_000)
    ours.lines()
    asked = len(bucket.proxy.requests)
    assert asked == 5
    assert ours.fetch({f"{n:064x}": 5 for n in range(100)})
    with pytest.raises(UnreachableError):
        ours.send(b"x")
    assert len(bucket.proxy.requests) == asked


def test_one_object_that_cannot_be_had_does_not_keep_the_others(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    objects = ours.send(*(b"object %d" % n for n in range(20)))
    bad = sorted(objects)[7]
    theirs.lines()
    bucket.proxy.fail("GET", bad, "500", 10_000)
    assert theirs.fetch(objects) == {bad}
    assert "attempt 5" in theirs.remote.reasons[bad]


def test_a_remote_for_reading_only_serves_and_refuses(
    side: Callable[..., Side], bucket: Any
) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"content")
    bucket.proxy.fail("PUT|POST|DELETE", "", "403", 10_000)
    assert theirs.lines() == LINES.splitlines()
    assert theirs.fetch(objects) == set()
    bucket.proxy.requests.clear()
    with pytest.raises(RefusedError, match=r"cannot write objects/.*PermissionError"):
        theirs.send(b"more")
    assert len(bucket.proxy.requests) == 1, "a refusal is an answer"


def test_a_bucket_that_is_not_there_is_refused(side: Callable[..., Side], bucket: Any) -> None:
    nowhere = side("s3://no-such-bucket-here/x")
    assert nowhere.lines() == []
    with pytest.raises(RefusedError, match=r"(?i)s3://no-such-bucket-here/x: cannot write.*bucket"):
        nowhere.send(b"x")


def test_a_local_disk_that_cannot_be_written_is_an_error(side: Callable[..., Side]) -> None:
    ours, theirs = side(), side()
    objects = ours.send(b"content")
    theirs.folder.mkdir()
    (theirs.folder / "objects").write_text("a file where a folder belongs")
    with pytest.raises(StoreError, match=r"cannot write .*objects"):
        theirs.remote.fetch(objects, theirs.at)


def test_an_upload_stops_when_told(side: Callable[..., Side], bucket: Any) -> None:
    ours, stop = side(), threading.Event()
    objects = ours.put(b"content")
    stop.set()
    with pytest.raises(UnreachableError, match="stopped"):
        ours.remote.upload(objects, ours.at, stop)
    assert bucket.proxy.requests == []


def test_a_process_killed_while_fetching_leaves_no_part_of_an_object(
    side: Callable[..., Side], tmp_path: Path
) -> None:
    url = f"file://{tmp_path}/shared"
    ours, theirs = side(url, {}), side(url, {})
    objects = ours.send(*(bytes([n]) * 200_000 for n in range(60)))
    code = (
        "import json, sys; from pathlib import Path; from runner.sharing.remote import Remote\n"
        "from runner.storage.store import Store; from runner.sharing import parallel, transport\n"
        "transport.CHUNK = 20_000; parallel.THREADS = 2\n"
        "store = Store(Path(sys.argv[1]))\n"
        "remote = Remote(sys.argv[2], store.folder, store.aside)\n"
        "remote.fetch(json.loads(sys.argv[3]), store.object_path)"
    )
    for few in (1, 20, 40):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.folder), url, json.dumps(objects)]
        )
        end = time.monotonic() + 30
        while len(list(theirs.folder.glob("objects/*/*"))) < few and time.monotonic() < end:
            time.sleep(0.001)
        process.kill()
        process.wait()
        there = list(theirs.folder.glob("objects/*/*"))
        assert len(there) >= few
        for path in there:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    Store(theirs.folder).clean()
    assert theirs.fetch(objects) == set()


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["/shared/store", "store", "", "s3:/x", "zip://a::s3://b/c.zip"])
def test_what_is_no_url_is_refused_with_an_example(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"give one such as (s3|file)://"):
        Remote(url, tmp_path, Store(tmp_path).aside)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    remote = side_at(tmp_path, "nosuch://me:s%40cret@host/folder?sig=t0ken", {}).remote
    assert remote.shown == "nosuch://me:***@host/folder?***"
    assert list(remote.pull()) == []
    (warning,) = remote.take_warnings()
    assert "nosuch" in warning
    for secret in ("s%40cret", "s@cret", "t0ken"):
        assert secret not in warning
        assert secret not in str(remote.folder)


def test_a_warning_is_told_once(tmp_path: Path) -> None:
    remote = side_at(tmp_path, "memory://x", {}).remote
    remote.warn("one")
    remote.warn("one")
    assert remote.take_warnings() == ["one"]
    remote.warn("one")
    remote.warn("two")
    assert remote.take_warnings() == ["two"]


# -- merging segments ------------------------------------------------------------------------------


def test_merged_segments_hold_the_same_lines(pair: tuple[Side, Side]) -> None:
    ours, theirs = pair
    for n in range(6):
        ours.send(lines=b"line %d\ncommon 0\n" % n)
    assert theirs.remote.compact() == 6
    transport = ours.remote._transport
    assert len(transport.sizes("records")) == 1
    assert sorted(theirs.lines()) == [b"common 0", *(b"line %d" % n for n in range(6))]
    assert ours.remote.compact() == 0


def test_a_reader_amid_merging_misses_nothing(pair: tuple[Side, Side]) -> None:
    ours, theirs = pair
    for n in range(4):
        ours.send(lines=b"line %d\n" % n)
    listed = theirs.remote._transport.sizes
    merged: list[int] = []

    def listed_before_merging(folder: str) -> dict[str, int]:
        sizes = listed(folder)
        if not merged:
            merged.append(ours.remote.compact())
        return sizes

    theirs.remote._transport.sizes = listed_before_merging  # type: ignore[method-assign]
    assert sorted(set(theirs.lines())) == [b"line %d" % n for n in range(4)]
    assert merged == [4]
    assert len(list((theirs.remote.folder / "segments").iterdir())) == 1


def test_a_merge_that_cannot_write_removes_nothing(side: Callable[..., Side], bucket: Any) -> None:
    ours = side()
    for n in range(3):
        ours.send(lines=b"line %d\n" % n)
    before = segments_at(bucket)
    bucket.proxy.fail("PUT", "records/", "403", 10_000)
    with pytest.raises(RefusedError):
        ours.remote.compact()
    assert segments_at(bucket) == before
