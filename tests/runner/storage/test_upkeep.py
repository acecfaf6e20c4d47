"""What takes room is told by spec and by step, each object once, nothing left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.errors import UsageError
from runner.storage.store import Store
from runner.storage.upkeep import age_of, size_of, size_text, table, usage


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("100MB", 10**8), ("1.5 kb", 1500), ("2GiB", 2**31), ("20 GB", 2e10)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert size_of(text) == size


def test_ages_are_read_as_people_write_them() -> None:
    assert [age_of(text) for text in ("30d", "12h", "2w", "90 m")] == [
        30 * 86400, 12 * 3600, 14 * 86400, 5400,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "x", "-3d", "3y", "1e3d", "nan", "3"])
def test_what_is_no_age_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 30d, 12h or 2w"):
        age_of(text)


@pytest.mark.parametrize("text", ["", "MB", "-3MB", "3 parsecs", "inf"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 100MB, 20GB or 4GiB"):
        size_of(text)


def test_sizes_are_told_with_three_digits() -> None:
    told = [size_text(n) for n in (0, 999, 1000, 12345, 999_600, 10**9, 5 * 10**12, 10**15)]
    assert told == ["0 B", "999 B", "1 kB", "12.3 kB", "1 MB", "1 GB", "5 TB", "1e+03 TB"]


def test_sums_by_spec_and_step_add_up_to_what_lies_there(studied: Any) -> None:
    store = Store(studied.artifacts / ".store")
    orphan, _ = store.put(b"x" * 100)
    store.close()
    scratch = store.scratch("f" * 64) / "state"
    scratch.write_bytes(b"y" * 50)
    found = usage(Store(store.folder))
    objects = [p.stat().st_size for p in (store.folder / "objects").glob("*/*")]
    assert found["objects"] == {"count": 8, "bytes": sum(objects)}
    assert found["unreachable"] == {"count": 1, "bytes": 100}
    assert found["scratch"] == {"count": 1, "bytes": 50}
    assert found["specs"] == {"study": {"nodes": 13, "objects": 7, "bytes": sum(objects) - 100}}
    shared = 635  # bytes; the matrix of k = 2 is also in the pair
    assert sum(step["bytes"] for step in found["steps"].values()) == sum(objects) - 100 + shared
    assert found["steps"]["matrix (probes/matrix)"]["nodes"] == 3
    files = [p.stat().st_size for p in store.folder.rglob("*") if p.is_file()]
    assert found["bytes"] == sum(files)
    assert orphan not in str(found)


def test_nodes_of_no_last_run_and_records_that_cannot_be_understood_are_counted(
    studied: Any,
) -> None:
    store = Store(studied.artifacts / ".store")
    store.refresh()
    record = next(iter(store.records.values()))
    store.commit(record["made"], [{**record, "key": "other"}, {**record, "key": "b", "log": 1}])
    store.close()
    found = usage(Store(store.folder))
    assert found["specs"]["of no spec's last run"]["nodes"] == 2
    assert found["steps"]["(records that cannot be understood)"]["nodes"] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": 3}', '{"nodes": [1], "rest": []}'])
def test_a_damaged_manifest_takes_no_nodes(studied: Any, text: str) -> None:
    (studied.artifacts / "study" / "run.json").write_text(text, "utf-8")
    found = usage(Store(studied.artifacts / ".store"))
    assert list(found["specs"]) == ["of no spec's last run"]


def test_many_steps_are_cut_and_the_cut_is_told(studied: Any) -> None:
    found = usage(Store(studied.artifacts / ".store"))
    one = {"nodes": 1, "objects": 1, "bytes": 10}
    found["steps"] = {f"s{n:03}": one for n in range(33)}
    lines = list(table(found))
    assert "  and 13 more" in lines


def test_the_command_prints_a_table_or_json(studied: Any) -> None:
    done = studied.run_cli("store", "du")
    assert done.code == 0
    assert "by step                       nodes  objects     size" in done.out.splitlines()
    assert "  points (data/points)            1        1  2.15 kB" in done.out.splitlines()
    found = json.loads(studied.run_cli("store", "du", "--json").out)
    assert found["steps"]["points (data/points)"] == {"nodes": 1, "objects": 1, "bytes": 2145}
