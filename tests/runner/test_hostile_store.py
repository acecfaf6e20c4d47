"""A store made by an enemy harms nothing: it ends in a clear error or in computing anew.

Whatever the files say, nothing runs, nothing outside the artifacts changes, nothing waits for ever.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import pickle
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.errors import RunnerError, StoreError
from runner.registry import Registry
from runner.storage.codec import Reader
from runner.storage.records import LINE_MOST, line_of, log_name
from runner.storage.store import Store

TYPES = ["points", "fit", "early", "matrix[k=1]", "pair", "value[k=1]", "page", "small", "growing"]
SLOW = 30  # seconds after which something is said to wait for ever


@pytest.fixture(autouse=True)
def _nothing_waits_for_ever() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"still at it after {SLOW} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SLOW)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def outside(studied: Any) -> Iterator[Path]:
    """Return a folder beside the artifacts; nothing in or around it may change."""
    folder = studied.folder / "outside"
    (folder / "failed").mkdir(parents=True)
    for name in ("2024-01-02-notes.txt", "failed/mine.txt", "secret.csv", "run.json"):
        (folder / name).write_text("mine,secret\n1,2\n", "utf-8")
    before = around(studied)
    yield folder
    assert around(studied) == before


def around(world: Any) -> dict[str, Any]:
    """Return all that lies in a world and not among its artifacts."""
    found: dict[str, Any] = {}
    for path in sorted(world.folder.rglob("*")):
        parts = path.relative_to(world.folder).parts
        if parts[0] not in ("artifacts", "calls.txt") and "__pycache__" not in parts:
            found["/".join(parts)] = path.read_bytes() if path.is_file() else path.is_symlink()
    return found


def opened(world: Any) -> Store:
    store = Store(world.artifacts / ".store")
    store.refresh()
    return store


def known(world: Any) -> dict[str, dict[str, Any]]:
    """Return label -> record."""
    return {record["label"]: record for record in opened(world).records.values()}


def forge(world: Any, record: Any, **fields: str) -> None:
    """Add a record as an enemy would, who can make checksums; `fields` are those of its line."""
    made = json.dumps(record.pop("made", None) if isinstance(record, dict) else None)
    body = {k: v for k, v in record.items() if k not in ("key", "recipe", "content", "objects")}
    objects = record.get("objects")
    if isinstance(objects, dict):
        objects = ",".join(f"{d}:{size}" for d, size in objects.items()) or "-"
    line = {
        "key": record.get("key"), "recipe": record.get("recipe"),
        "content": record.get("content") or "-", "objects": objects, "body": json.dumps(body),
        **fields,
    }  # fmt: skip
    rest = " ".join(str(line[name]) for name in ("recipe", "content", "objects", "body"))
    node = (str(line["key"]), (made.encode(), rest.encode("utf-8", "surrogatepass")))
    (world.artifacts / ".store" / "records" / log_name()).write_bytes(
        line_of(made.encode(), [node])
    )


def run(world: Any) -> Any:
    """Run the study in this process: an exception that no user should see fails the test."""
    return world.cli("run", "study.toml", "-n", 1)


def is_told(done: Any) -> bool:
    """Whether a command ended well, or with a message that says what is wrong."""
    if done.code == 0:
        return True
    return done.code in {1, 2} and ("error:" in done.err + done.out or "Error" in done.out)


def lost(world: Any, *labels: str) -> None:
    """Remove the record of nodes, so that they are computed anew from their inputs."""
    store = opened(world)
    keep = [(r["key"], store.records.entry(r["key"])) for n, r in known(world).items()
            if n not in labels]  # fmt: skip
    for path in store.logs.folder.iterdir():
        path.unlink()
    log = store.logs.folder / log_name()
    log.write_bytes(b"".join(line_of(entry[0], [(key, entry)]) for key, entry in keep if entry))


READERS = {"points": ["fit"], "fit": ["early"], "value[k=1]": ["page", "small"],
           "page": [], "matrix[k=1]": [], "pair": []}  # fmt: skip


# -- content that would like to run ----------------------------------------------------------------


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("label", ["points", "fit", "matrix[k=1]", "pair", "page"])
def test_a_pickle_in_place_of_any_object_never_runs(
    studied: Any, outside: Path, label: str
) -> None:
    """It has the right digest and the right size, as the enemy wrote the record too."""
    trap = outside / "trapped"
    record = known(studied)[label]
    text = json.dumps(record)
    store = opened(studied)
    for digest in record["objects"]:
        bad, size = store.put(pickle.dumps([Trap(trap), digest]))
        text = text.replace(digest, bad)
        changed = json.loads(text)
        changed["objects"][bad] = size
        text = json.dumps(changed)
    store.close()
    lost(studied, label, *READERS[label])
    forge(studied, json.loads(text))
    done = run(studied)
    assert is_told(done), done.out + done.err
    assert (done.code == 0) == (not READERS[label])  # who reads it fails, nobody else does
    assert not trap.exists()


def parquet(table: Any, **options: Any) -> bytes:
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def _bomb(name: str) -> bytes:
    import pyarrow as pa

    if name == "rows":
        zeros = pa.array(np.zeros(2**20))
        return parquet(pa.concat_tables([pa.table({"a": zeros, "b": zeros})] * 3))
    if name == "codec":
        return parquet(pa.table({"x": pa.array(["x" * 2**24])}), compression="zstd")
    tables: dict[str, Any] = {
        "nested": pa.table({"x": [[[1, 2], [3]]]}),
        "bytes": pa.table({"x": [b"abc"]}),
        "doubled": pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]),
        "missing": pa.table({"x": pa.array([1, None])}),
    }
    return parquet(tables[name])


@pytest.mark.parametrize("name", ["rows", "codec", "nested", "bytes", "doubled", "missing"])
def test_a_table_that_grows_or_holds_what_no_table_does_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.storage.parquet.EXPANDED", 2**24)
    content = _bomb(name)
    assert len(content) < 10**6
    store = Store(tmp_path / ".store")
    digest, _ = store.put(content)
    store.close()
    with pytest.raises(StoreError, match="stored Table cannot be read"):
        Reader(store, Registry([])).load({"type": "Table", "content": digest})


def test_a_long_word_that_occurs_often_is_held_once(tmp_path: Path) -> None:
    import pyarrow as pa

    word = "x" * 10**6
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(30_000, "i4")), pa.array([word]))
    store = Store(tmp_path / ".store")
    digest, size = store.put(parquet(pa.table({"x": words}), store_schema=False))
    store.close()
    assert size < 10**6
    table = Reader(store, Registry([])).load({"type": "Table", "content": digest})
    assert len({id(value) for value in table.columns["x"]}) == 1


def test_an_array_that_grows_is_refused(tmp_path: Path) -> None:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("x", (10**7,), "f8", chunks=(10**5,), compression="gzip", fillvalue=1)
    store = Store(tmp_path / ".store")
    digest, size = store.put(stream.getvalue())
    store.close()
    assert size < 10**5
    with pytest.raises(StoreError, match="more bytes in memory than in its file"):
        Reader(store, Registry([])).load({"type": "Arrays", "content": digest, "dimensions": {}})


HUGE = b'{"x":{"dtype":"F64","shape":[99999999999],"data_offsets":[0,8]}}'


@pytest.mark.parametrize("length", [0, 2, 100, 2**20, 2**40, 2**63, 2**64 - 1])
@pytest.mark.parametrize("head", [b"", b"{" * 10_000, b'{"a":' * 10_000, HUGE])
def test_weights_with_a_header_that_lies_are_refused(
    studied: Any, tmp_path: Path, length: int, head: bytes
) -> None:
    store = Store(tmp_path / ".store")
    digest, _ = store.put(length.to_bytes(8, "little") + head + bytes(8))
    store.close()
    described = {**known(studied)["fit"]["outputs"]["last"], "weights": digest}
    with pytest.raises(StoreError, match="stored Network cannot be read"):
        Reader(store, Registry.of(studied.folder)).load(described)


COLUMNS: list[Any] = [
    {"dtype": "V1000000000000", "values": [1]}, {"dtype": "U1000000000", "values": ["a"]},
    {"dtype": "object", "values": [[1], {}]}, {"dtype": "text", "values": [1, None]},
    {"dtype": "text", "values": [["a", "b"], ["c", "d"]]}, {"dtype": "float64", "values": [[1.0]]},
    {"dtype": "float64", "values": [{"float": "inf and on"}]}, {"dtype": "int8", "values": [300]},
    {"dtype": "float64", "values": ["1e5x"]}, {"dtype": "bool", "values": [None, {}]},
]  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_in_a_record_that_is_none_is_refused(tmp_path: Path, column: Any) -> None:
    reader = Reader(Store(tmp_path), Registry([]))
    with pytest.raises(StoreError, match="cannot be read"):
        reader.load({"type": "Table", "columns": {"x": column}})


@pytest.mark.parametrize("use", ["../../evil", "/evil", "os", "line.py", "", "a.b", "__init__"])
def test_an_architecture_is_a_plugin_and_nothing_else(
    studied: Any, outside: Path, use: str
) -> None:
    described = copy.deepcopy(known(studied)["fit"]["outputs"]["last"])
    described["architecture"]["use"] = use
    with pytest.raises(StoreError, match="cannot be read"):
        Reader(opened(studied), Registry.of(studied.folder)).load(described)


# -- names that lead elsewhere ---------------------------------------------------------------------

PATHS = ["../../outside/secret.csv", "../../../outside", "/etc/passwd", "..", ".", "a/b", "a\x00b",
         "~", "x" * 5000, "-", "", "\n", "key with blanks"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", ["key", "recipe", "content", "objects"])
def test_a_path_in_a_field_of_a_line_makes_no_record(
    studied: Any, outside: Path, field: str, path: str
) -> None:
    before = set(opened(studied).records)
    value = f"{path}:3" if field == "objects" else path
    forge(studied, dict(known(studied)["page"]), **{"key": "a" * 64, field: value})
    seen = opened(studied)
    harmless = (field, path) in {("content", "-"), ("recipe", "-"), ("key", "-")}
    assert set(seen.records) - before <= ({"a" * 64, "-"} if harmless else set())
    seen.clean()
    done = run(studied)
    assert done.code == 0, done.out + done.err
    assert studied.cli("store", "verify").code in {0, 1}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_place_of_a_digest_is_never_opened(
    studied: Any, outside: Path, path: str
) -> None:
    store = opened(studied)
    with pytest.raises((StoreError, OSError)):
        store.read(path)
    records = known(studied)
    for label in ("page", "points", "fit"):
        record = records[label]
        text = json.dumps(record["outputs"])
        for digest in record["objects"]:
            text = text.replace(digest, json.dumps(path)[1:-1])
        forge(studied, {**record, "outputs": json.loads(text)})
        with pytest.raises(StoreError, match="cannot be understood"):
            opened(studied).records[record["key"]]
        assert is_told(run(studied))


@pytest.mark.parametrize("suffix", ["", "txt", ".png", "/../../../outside/x", "\x00", "../x.txt"])
def test_the_views_of_a_stored_page_are_those_of_the_spec(
    studied: Any, outside: Path, suffix: str
) -> None:
    record = known(studied)["page"]
    (digest,) = record["objects"]
    forge(studied, {**record, "outputs": {"type": "Files", "contents": {suffix: digest}}})
    done = run(studied)
    assert done.code in {1, 2}
    assert "what is stored of page has no .txt: no run wrote it" in done.out + done.err


# -- files that are something else -----------------------------------------------------------------


def to_link(path: Path, outside: Path) -> None:
    target = outside / path.name
    path.rename(target)
    path.symlink_to(target)


def to_endless_link(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def to_pipe(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_folder(path: Path, outside: Path) -> None:
    path.unlink()
    path.mkdir()


TURNED = [to_link, to_endless_link, to_pipe, to_folder]


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("label", ["points", "page"])
def test_an_object_that_is_no_file_is_computed_anew(
    studied: Any, tmp_path: Path, turn: Callable[[Path, Path], None], label: str
) -> None:
    store = opened(studied)
    (digest,) = known(studied)[label]["objects"]
    turn(store.object_path(digest), tmp_path)
    with pytest.raises(StoreError, match="run again to compute it"):
        store.read(digest)
    done = run(studied)
    if turn is to_folder and done.code:  # a folder cannot be replaced by a file
        assert is_told(done)
        return
    assert done.code == 0, done.out + done.err
    assert studied.statuses()[label] == "passed"
    assert opened(studied).object_path(digest).is_symlink() is False
    if turn is to_link:
        assert hashlib.sha256((tmp_path / digest).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("command", ["run", "plan", "why", "verify", "du", "gc"])
def test_a_log_that_is_no_file_is_told_and_verify_moves_it_away(
    studied: Any, outside: Path, turn: Callable[[Path, Path], None], command: str
) -> None:
    turn(Path(studied.spec("", "artifacts/.store/records/x.log")), studied.artifacts)
    commands: dict[str, list[Any]] = {
        "run": ["run", "study.toml"], "plan": ["plan", "study.toml"],
        "why": ["why", "study.toml::page"], "gc": ["store", "gc", "--yes"],
    }  # fmt: skip
    done = studied.cli(*commands.get(command, ["store", command]))
    if command == "verify":
        assert "x.log: " in done.out
        assert (studied.artifacts / ".store" / "damaged" / "x.log").exists() or turn is to_link
        assert run(studied).code == 0
    else:
        assert done.code in {1, 2}
        assert "x.log: it is no plain file; remove it" in done.err


def test_a_line_without_end_is_not_read_into_memory(studied: Any) -> None:
    """The file claims a terabyte, all of it zeros that lie nowhere."""
    path = studied.artifacts / ".store" / "records" / "0.log"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    seen = opened(studied)
    assert len(seen.records) == 13
    assert seen.damaged == [str(path)]
    assert LINE_MOST < 2**30
    assert run(studied).code == 0
    done = studied.cli("store", "verify")
    assert "0.log:1: damaged line" in done.out


@pytest.mark.parametrize(
    "name", ["aside", "scratch", "claims", "alive", "progress", "records", "objects", "damaged"]
)
@pytest.mark.parametrize("command", [["run", "study.toml"], ["store", "gc", "--yes"]])
def test_a_folder_of_the_store_that_leads_out_is_refused(
    studied: Any, outside: Path, name: str, command: list[str]
) -> None:
    folder = studied.artifacts / ".store" / name
    if folder.exists():
        folder.rename(studied.artifacts / name)
    folder.symlink_to(outside)
    done = studied.cli(*command)
    assert done.code in {1, 2}
    assert f"{name} is a link; a store's own folders may not be links" in done.err + done.out


@pytest.mark.parametrize("how", ["pipe", "link", "folder", "noise"])
@pytest.mark.parametrize("where", ["claims", "alive"])
def test_claims_and_signs_of_nobody_stop_no_run(
    studied: Any, outside: Path, how: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.storage.claims.TORN", 0.5)
    folder = studied.artifacts / ".store" / where
    key = known(studied)["page"]["key"]
    lost(studied, "page")
    for name in (key, "gc", "elsewhere-1-2-abc"):
        path = folder / name
        if how == "pipe":
            os.mkfifo(path)
        elif how == "link":
            path.symlink_to("/dev/zero")
        elif how == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"\xff\x00" * 5000)
    done = run(studied)
    assert is_told(done), done.out + done.err


@pytest.mark.parametrize("name", ["failed", "runs"])
def test_a_folder_of_views_that_leads_out_is_refused(
    studied: Any, outside: Path, name: str
) -> None:
    folder = studied.artifacts / "study" / name
    if folder.exists():
        folder.rename(studied.artifacts / name)
    folder.symlink_to(outside)
    done = run(studied)
    assert done.code in {1, 2}
    assert f"{name} is a link; remove it" in done.err + done.out


# -- manifests -------------------------------------------------------------------------------------


def test_a_manifest_removes_and_shows_no_file_outside(studied: Any, outside: Path) -> None:
    file = studied.artifacts / "study" / "run.json"
    manifest = json.loads(file.read_text("utf-8"))
    (studied.artifacts / "study" / "out").symlink_to(outside)
    manifest["views"] = [
        "../../outside/secret.csv", str(outside / "secret.csv"), "out/secret.csv", ".", "..", "",
        "a\x00b", "x" * 5000, "page.txt", "failed", "\ud800",
    ]  # fmt: skip
    file.write_text(json.dumps(manifest), "utf-8")
    done = studied.cli("report", "study.toml")
    assert is_told(done)
    page = (studied.artifacts / "study" / "report.html").read_text("utf-8")
    assert "mine,secret" not in page
    assert "secret.csv" not in page
    assert run(studied).code == 0
    assert (studied.artifacts / "study" / "page.txt").is_file()


MARK = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_text_of_a_store_is_text_in_a_report(studied: Any) -> None:
    record = known(studied)["small"]
    hurt = {**record, "log": MARK, "label": f"small{MARK}"}
    hurt["outputs"] = {**record["outputs"], "detail": MARK, "check": MARK, "worst": {MARK: MARK}}
    forge(studied, hurt)
    file = studied.artifacts / "study" / "run.json"
    manifest = json.loads(file.read_text("utf-8"))
    manifest["question"] = manifest["title"] = MARK
    manifest["run"] = manifest["device"] = manifest["started"] = MARK
    manifest["wish"]["profile"] = MARK
    manifest["steps"][MARK] = {**manifest["steps"]["page"], "use": MARK, "axes": [MARK]}
    manifest["nodes"].append(
        {"node": f"{MARK}[x]", "key": MARK, "status": "failed", "seconds": 1, "failure": MARK}
    )
    manifest["resolved"][MARK] = {MARK: MARK}
    file.write_text(json.dumps(manifest), "utf-8")
    assert studied.cli("report", "study.toml").code == 0
    page = (studied.artifacts / "study" / "report.html").read_text("utf-8")
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert run(studied).code == 0
    page = (studied.artifacts / "study" / "report.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("text", ["\x1b]0;evil\x07", "\x1b[2J", "\x9b2J", "a\x00b"])
def test_text_that_would_move_the_terminal_makes_no_record(studied: Any, text: str) -> None:
    record = known(studied)["page"]
    for changed in (
        {**record, "label": text},
        {**record, "made": {**record["made"], "run": text}},
        {**record, "made": {**record["made"], "code": {"a.py": text}}},
    ):
        forge(studied, changed)
        with pytest.raises(StoreError, match=r"control characters|does not hold text"):
            opened(studied).records[record["key"]]


# -- anything at all -------------------------------------------------------------------------------

NASTY: list[Any] = [
    None, True, False, -1, 0, 2**63, 10**30, 1e308, -0.5, "", "x", "../../outside", "/etc/passwd",
    "\x00", "\x1b[2J", "\ud800", MARK, "a" * 64, [], {}, [[]], [{}], {"": {}}, {"type": "Outputs"},
    {"type": "Table"}, {"float": "nan"}, {"float": 3}, "Outputs", "Verdict", "nan", [1] * 50,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each part of a JSON value stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for name, one in items:
        yield (*path, name)
        yield from places(one, (*path, name))


def mutated(value: Any, draw: random.Random) -> Any:
    """Return a JSON value with one to three of its parts replaced, removed, renamed or added."""
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        found = list(places(value))
        if not found:
            return draw.choice(NASTY)
        *way, last = draw.choice(found)
        inside = value
        for name in way:
            inside = inside[name]
        how = draw.random()
        if how < 0.6:
            inside[last] = copy.deepcopy(draw.choice(NASTY))
        elif how < 0.8:
            del inside[last]
        elif isinstance(inside, dict):
            inside[str(draw.choice(NASTY))[:99]] = inside.pop(last)
        else:
            inside.append(copy.deepcopy(draw.choice(NASTY)))
    return value


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize("label", TYPES)
def test_a_record_changed_at_random_is_refused_or_read_and_never_crashes(
    studied: Any, outside: Path, label: str
) -> None:
    draw = random.Random(label)
    record = known(studied)[label]
    folder = studied.artifacts / ".store" / "records"
    (first,) = folder.iterdir()
    registry = Registry.of(studied.folder)
    refused = 0
    for _ in range(50):
        changed = mutated(record, draw)
        forge(studied, changed)
        store = opened(studied)
        for key in [k for k in store.records if k == record["key"] or k not in record]:
            try:
                found = store.get(key)
                if found is not None:
                    outputs = found["outputs"]
                    parts = outputs["outputs"] if outputs["type"] == "Outputs" else {"": outputs}
                    for described in parts.values():
                        Reader(store, registry).load(described)
                store.stale(record["recipe"])
            except RunnerError:
                refused += 1
        for log in folder.iterdir():
            if log != first:
                log.unlink()
    assert refused > 15


@pytest.mark.parametrize("seed", range(12))
def test_a_study_with_records_changed_at_random_runs_or_says_what_is_wrong(
    studied: Any, outside: Path, seed: int
) -> None:
    draw = random.Random(seed)
    records = known(studied)
    for label in draw.sample(sorted(records), 3):
        forge(studied, mutated(records[label], draw))
    lost_ones = draw.sample(["early", "page", "small", "fit"], 1)
    for label in lost_ones:
        forge(studied, {**records[label], "objects": {"f" * 64: 3}})
    for command in (["plan", "study.toml"], ["why", "study.toml::page"], ["store", "du"]):
        assert is_told(studied.cli(*command))
    done = run(studied)
    assert is_told(done), done.out + done.err
    studied.cli("store", "verify")
    if done.code == 0:
        assert is_told(run(studied))


@pytest.mark.parametrize("seed", range(16))
def test_a_manifest_changed_at_random_stops_no_run_and_no_report(
    studied: Any, outside: Path, seed: int
) -> None:
    draw = random.Random(seed)
    folder = studied.artifacts / "study"
    for file in (folder / "run.json", *(folder / "runs").glob("*.json")):
        manifest = mutated(json.loads(file.read_text("utf-8")), draw)
        file.write_text(json.dumps(manifest), "utf-8")
    for command in (["report", "study.toml"], ["log"], ["store", "du"]):
        assert is_told(studied.cli(*command))
    if seed % 8 == 0:
        assert is_told(run(studied))
        assert is_told(studied.cli("run", "study.toml", "--lf"))


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "\ufeff{}", nested(100_000), "[" * 10**6])
def test_json_that_is_no_table_or_nested_without_end_is_told(
    studied: Any, outside: Path, text: str
) -> None:
    for file in (studied.artifacts / "study").rglob("*.json"):
        file.write_text(text, "utf-8")
    record = known(studied)["page"]
    forge(studied, dict(record), body=text)
    forge(studied, dict(record), body="{" + text[1:] if text else "{")
    for command in (["report", "study.toml"], ["log"], ["store", "du"], ["plan", "study.toml"]):
        assert is_told(studied.cli(*command))
    assert is_told(run(studied))
    studied.cli("store", "verify")
    assert run(studied).code == 0
