"""What was asked for goes, what a node needs stays, at whatever moment the process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StoreError
from runner.storage import claims, collecting
from runner.storage.claims import UPKEEP, Claims, place
from runner.storage.collecting import Criteria, Sweep, collect, survey, told
from runner.storage.store import Record, Store

ROOT = Path(__file__).parents[3]
NOW = 1_800_000_000.0
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / ".store")
    yield made
    made.close()


def add(store: Store, key: str, *contents: bytes, days: float = 0) -> str:
    """Store a node made some days before NOW, in a log of its own; return its last object."""
    objects = dict(store.put(content) for content in contents)
    made = {
        "run": "r", "use": "probes/value", "device": "cpu", "threads": 1, "host": "h", "pid": 1,
        "python": "3.11", "versions": {}, "code": {},
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - days * DAY)),
    }  # fmt: skip
    record: Record = {
        "key": key, "recipe": "r", "label": f"value[k={key}]", "cell": {}, "parameters": {},
        "seed": None, "inputs": {}, "outputs": {"type": "Model", "use": key, "parameters": {}},
        "objects": objects, "seconds": 0.1, "log": "",
    }  # fmt: skip
    store.commit(made, [record])
    store.close()
    return next(reversed(objects), "")


def again(store: Store) -> Store:
    fresh = Store(store.folder)
    fresh.refresh()
    return fresh


def look(store: Store, criteria: Criteria, *reached: str) -> Sweep:
    return survey(again(store), criteria, lambda: frozenset(reached), NOW)


def sweep(store: Store, criteria: Criteria, *reached: str) -> Sweep:
    return collect(again(store), criteria, lambda: frozenset(reached), lambda note: None)


def objects(store: Store) -> set[str]:
    return {path.name for path in (store.folder / "objects").glob("*/*")}


def logs(store: Store) -> int:
    return len(list((store.folder / "records").iterdir()))


def age(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


# -- which nodes -----------------------------------------------------------------------------------


def test_without_options_no_node_goes(store: Store) -> None:
    add(store, "a", b"1", days=1000)
    found = sweep(store, Criteria())
    assert (found.nodes, found.size) == ([], 0)
    assert set(again(store).records) == {"a"}


def test_what_specs_do_not_reach_goes_and_what_others_share_stays(store: Store) -> None:
    shared = add(store, "a", b"alone", b"shared")
    add(store, "b", b"shared")
    found = sweep(store, Criteria(unreachable=True), "b")
    assert found.nodes == ["a"]
    assert found.steps == {"value (probes/value)": 1}
    assert list(found.objects.values()) == [len(b"alone")]
    assert objects(store) == {shared}
    assert again(store).get("b") is not None
    assert again(store).get("a") is None


def test_all_criteria_must_hold(store: Store) -> None:
    add(store, "old", b"x" * 100, days=40)
    add(store, "reached", b"y" * 100, days=40)
    add(store, "young", b"z" * 100, days=20)
    add(store, "small", b"s", days=40)
    criteria = Criteria(unreachable=True, older_than=30 * DAY, larger_than=50)
    assert look(store, criteria, "reached").nodes == ["old"]
    assert set(look(store, Criteria(older_than=30 * DAY)).nodes) == {"old", "reached", "small"}
    assert set(look(store, Criteria(larger_than=50)).nodes) == {"old", "reached", "young"}


def test_the_oldest_go_until_the_rest_fits(store: Store) -> None:
    for day in (3, 1, 2):
        add(store, f"d{day}", bytes([day]) * 10_000, days=day)
    total = sum(p.stat().st_size for p in store.folder.rglob("*") if p.is_file())
    assert look(store, Criteria(to_size=total)).nodes == []
    assert look(store, Criteria(to_size=total - 1)).nodes == ["d3"]
    assert look(store, Criteria(to_size=total - 10_001)).nodes == ["d3", "d2"]
    assert look(store, Criteria(to_size=0)).nodes == ["d3", "d2", "d1"]
    assert look(store, Criteria(to_size=0, older_than=1.5 * DAY)).nodes == ["d3", "d2"]


def test_a_node_of_the_future_or_of_no_date_is_never_old(store: Store) -> None:
    """A clock may have jumped."""
    add(store, "future", b"1", days=-1000)
    add(store, "known", b"2", days=1000)
    log = max((store.folder / "records").iterdir())
    seen = again(store)
    record = {**seen.records["known"], "key": "undated"}
    store.commit({**record["made"], "at": "yesterday"}, [record])
    store.close()
    assert log.exists()
    assert look(store, Criteria(older_than=1.0)).nodes == ["known"]


# -- what no node needs ----------------------------------------------------------------------------


def test_an_object_of_no_record_goes_once_it_is_an_hour_old(store: Store) -> None:
    kept = add(store, "a", b"content")
    fresh, _ = store.put(b"fresh")
    old, _ = store.put(b"old")
    store.close()
    age(store.object_path(kept), 9e6)
    age(store.object_path(old), collecting.FRESH + 60)
    found = sweep(store, Criteria())
    assert list(found.orphans) == [old]
    assert found.fresh == 1
    assert objects(store) == {kept, fresh}


def test_scratch_goes_where_its_node_is_stored_or_reached_by_no_spec(store: Store) -> None:
    add(store, "stored")
    for key in ("stored", "needed", "abandoned"):
        (store.scratch(key) / "state").write_bytes(b"12345")
    unknown = survey(again(store), Criteria(), None, NOW)
    assert [path.name for path in unknown.scratch] == ["stored"]
    assert unknown.unknown == 2
    found = sweep(store, Criteria(), "needed", "stored")
    assert {path.name: size for path, size in found.scratch.items()} == {
        "abandoned": 5, "stored": 5,
    }  # fmt: skip
    assert [path.name for path in (store.folder / "scratch").iterdir()] == ["needed"]


def test_what_specs_reach_is_not_asked_where_it_does_not_matter(store: Store) -> None:
    def fail() -> frozenset[str]:
        raise AssertionError("asked")

    add(store, "a", b"1")
    survey(again(store), Criteria(older_than=1.0), fail, NOW)
    with pytest.raises(AssertionError, match="asked"):
        survey(again(store), Criteria(unreachable=True), fail, NOW)


def test_files_of_killed_runs_go_and_damaged_ones_when_asked(store: Store) -> None:
    aside = store.aside().parent
    store.close()
    dead = subprocess.Popen(["true"])
    dead.wait()
    (aside / f"{place()}-{dead.pid}-1-abc-x").write_bytes(b"123")
    (aside / "strange").touch()
    (aside / "old").touch()
    age(aside / "old", collecting.FRESH + 60)
    (store.folder / "damaged").mkdir()
    (store.folder / "damaged" / "f").write_bytes(b"1234567")
    found = sweep(store, Criteria())
    assert sum(found.left.values()) == 3
    assert [path.name for path in aside.iterdir()] == ["strange"]
    assert (store.folder / "damaged" / "f").exists()
    assert sweep(store, Criteria(damaged=True)).size == 7
    assert not (store.folder / "damaged" / "f").exists()


def test_views_stay_and_it_is_said_that_they_take_the_room(store: Store, tmp_path: Path) -> None:
    digest = add(store, "a", b"picture")
    view = tmp_path / "view.png"
    os.link(store.object_path(digest), view)
    found = sweep(store, Criteria(unreachable=True))
    assert view.read_bytes() == b"picture"
    assert found.viewed == 7
    assert "  7 B of it stays on the disk, as views" in list(told(found, "", True))


# -- logs ------------------------------------------------------------------------------------------


def test_many_logs_become_one_with_the_same_records(store: Store) -> None:
    for number in range(5):
        add(store, f"k{number}", b"%d" % number)
    reader = again(store)
    before = dict(reader.records)
    found = sweep(store, Criteria())
    assert len(found.logs) == 5
    assert logs(store) == 1
    assert dict(again(store).records) == before
    assert list(again(store).records) == list(before)
    reader.refresh()
    assert dict(reader.records) == before
    assert reader.damaged == []
    assert sweep(store, Criteria()).logs == []  # once is enough


def test_a_reader_that_meets_logs_going_away_looks_again(store: Store) -> None:
    for number in range(4):
        add(store, f"k{number}", b"%d" % number)
    reader = Store(store.folder)
    listed = reader.logs.listed()
    sweep(store, Criteria())
    real, calls = reader.logs.listed, []

    def first_the_old_ones() -> Any:
        calls.append(1)
        return listed if len(calls) == 1 else real()

    reader.logs.listed = first_the_old_ones  # type: ignore[method-assign]
    reader.refresh()
    assert set(reader.records) == {"k0", "k1", "k2", "k3"}


def test_lines_stay_as_they_are_where_nothing_of_them_goes(store: Store) -> None:
    """What was sent to a shared store is known by its lines."""
    add(store, "a", b"1")
    add(store, "b", b"2")
    before = sorted(log.read_bytes() for log in (store.folder / "records").iterdir())
    sweep(store, Criteria())
    (log,) = (store.folder / "records").iterdir()
    assert sorted(log.read_bytes().splitlines(keepends=True)) == before


def test_damaged_lines_are_kept_aside(store: Store) -> None:
    add(store, "a", b"1")
    (log,) = (store.folder / "records").iterdir()
    with log.open("ab") as stream:
        stream.write(b"garbage\n")
    sweep(store, Criteria())
    assert again(store).damaged == []
    assert (store.folder / "damaged" / log.name).read_bytes() == b"garbage\n"


# -- alone -----------------------------------------------------------------------------------------


def test_nothing_goes_while_a_process_here_is_at_work(store: Store) -> None:
    add(store, "a", b"1")
    code = (
        "import sys; from pathlib import Path; from runner.storage.claims import Claims\n"
        "Claims(Path(sys.argv[1])).live(); print(flush=True); sys.stdin.read()"
    )
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", code, store.folder]
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        process.stdout.readline()
        with pytest.raises(StoreError, match=f"process {process.pid} on .* is at work"):
            sweep(store, Criteria(unreachable=True))
        assert again(store).get("a") is not None
        assert look(store, Criteria(unreachable=True)).nodes == ["a"]  # telling needs nobody away
        process.kill()
    assert sweep(store, Criteria(unreachable=True)).nodes == ["a"]


def elsewhere(store: Store) -> Path:
    sign = store.folder / "alive" / "elsewhere-1-1-abc"
    sign.parent.mkdir(parents=True, exist_ok=True)
    sign.write_text('elsewhere-1-1-abc\n{"host": "far", "pid": 7}\n', "utf-8")
    return sign


def test_a_process_elsewhere_that_stays_silent_is_waited_for_and_no_longer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SILENCE", 1.0)
    add(store, "a", b"1")
    elsewhere(store)
    notes: list[str] = []
    found = collect(again(store), Criteria(unreachable=True), frozenset, notes.append)
    assert found.nodes == ["a"]
    assert "whether process 7 on far is still at work" in notes[0]


def test_a_process_elsewhere_that_gives_a_sign_is_at_work(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "a", b"1")
    sign = elsewhere(store)
    monkeypatch.setattr(time, "sleep", lambda seconds: os.utime(sign))
    with pytest.raises(StoreError, match="process 7 on far is at work"):
        sweep(store, Criteria(unreachable=True))
    assert again(store).get("a") is not None
    assert not list((store.folder / "claims").iterdir())


def test_whoever_begins_meanwhile_waits_until_it_is_over(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.storage.store import Store\n"
        "s = Store(Path(sys.argv[1])); s.put(b'x'); print('written', flush=True)"
    )
    with store.claimed([UPKEEP]):
        process = subprocess.Popen(
            [sys.executable, "-c", code, store.folder], cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(300):
            if store.claims.others():
                break
            time.sleep(0.02)
        assert store.claims.others()
        time.sleep(0.3)
        assert objects(store) == set()
    out, _ = process.communicate(timeout=20)
    assert out == b"written\n"


def test_the_claim_of_a_dead_one_stops_nobody(store: Store) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (store.folder / "claims").mkdir(parents=True)
    (store.folder / "claims" / UPKEEP).write_text(f"{place()}-{dead.pid}-1-abc\n", "utf-8")
    other = Claims(store.folder)
    other.live()
    other.close()
    assert sweep(store, Criteria()).size == 0


# -- killed ----------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from runner.storage.collecting import Criteria, collect
from runner.storage.store import Store

left = int(sys.argv[2])
def counted(real):
    def act(self, *args, **kwargs):
        global left
        if ".store/records" in str(self) or ".store/objects" in str(self) or "/aside" in str(self):
            left -= 1
            if left < 0:
                os._exit(9)
        return real(self, *args, **kwargs)
    return act
Path.unlink, Path.replace = counted(Path.unlink), counted(Path.replace)
collect(Store(Path(sys.argv[1])), Criteria(unreachable=True), lambda: frozenset({"b", "d"}), print)
"""


def test_killed_at_any_moment_it_loses_no_node_that_stays(tmp_path: Path) -> None:
    def kill(number: int) -> int:
        store = Store(tmp_path / f"{number}" / ".store")
        for key in "abcd":
            add(store, key, key.encode(), b"shared")
        command = [sys.executable, "-c", KILLED, str(store.folder), str(number)]
        code = subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode
        seen = again(store)
        assert seen.damaged == []
        assert all(seen.get(key) is not None for key in "bd")
        for digest in objects(store):
            seen.read(digest)
        sweep(store, Criteria(unreachable=True), "b", "d")
        after = again(store)
        assert set(after.records) == {"b", "d"}
        for path in (store.folder / "objects").glob("*/*"):
            age(path, collecting.FRESH + 60)
        sweep(store, Criteria())
        assert len(objects(store)) == 3
        assert logs(store) == 1
        return code

    codes = [kill(number) for number in range(8)]
    assert codes == [9] * 7 + [0]  # a rename, four logs, two objects; then all is done


# -- the command -----------------------------------------------------------------------------------


def test_the_command_tells_what_would_go_and_removes_it_when_told_to(studied: Any) -> None:
    narrower = (
        (studied.folder / "study.toml").read_text("utf-8").replace("[1, 2, 3]\n[d", "[1]\n[d")
    )
    studied.spec(narrower)
    first = studied.run_cli("store", "gc", "study.toml", "--unreachable", "--profile", "wide")
    assert first.out.startswith("3 nodes not reached by study.toml: 33 B")  # what gathers all k
    studied.spec(narrower.replace("[1, 2, 3, 4]", "[1]"))
    first = studied.run_cli("store", "gc", "--unreachable", "study.toml")
    assert first.code == 0, first.err
    lines = first.out.splitlines()
    assert lines[0] == "7 nodes not reached by study.toml: 668 B"
    assert {"  2 of matrix (probes/matrix)", "  1 of page (renderers/page)"} <= set(lines)
    assert lines[-1].endswith("in all; nothing was removed: --yes does it")
    second = studied.run_cli("store", "gc", "--unreachable", "study.toml", "--yes")
    assert second.out.splitlines()[-1] == "removed 668 B"
    assert (
        studied.run_cli("store", "gc", "--unreachable", "study.toml").out == "nothing to remove\n"
    )
    assert (studied.artifacts / "study" / "page.txt").is_file()
    done = studied.run_cli("run", "study.toml", "-n", 1)
    states = studied.statuses()
    assert done.code == 0
    assert {name for name, state in states.items() if state == "cached"} >= {
        "points", "fit", "early", "pair", "matrix[k=1]", "value[k=1]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--unreachable"], "there is no specs/ here: name the specs whose results stay"),
        (["--older-than", "soon"], "write it as 30d, 12h or 2w"),
        (["--unreachable", "wrong.toml", "--yes"], "what this spec reaches cannot be told"),
        (["--unreachable", "study.toml", "--profile", "huge"], "no spec has the profile huge"),
        (["--unreachable", "gone.toml"], "gone.toml"),
    ],
)
def test_what_is_wrong_is_told_before_anything_goes(
    studied: Any, options: list[str], message: str
) -> None:
    studied.spec('title = "t"\n[probes.a]\nuse = "nothing"\n', "wrong.toml")
    before = sorted(studied.artifacts.rglob("*"))
    done = studied.run_cli("store", "gc", *options)
    assert done.code == 2
    assert message in done.err
    after = [p for p in sorted(studied.artifacts.rglob("*")) if p.name != "code.json"]
    assert after == before
