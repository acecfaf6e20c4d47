"""One parcel: inputs read, plugin run, results stored, each node's fate its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.storage.store import Store

HEAD = '''"""A plugin of a test."""
from __future__ import annotations
from collections.abc import Iterator, Sequence
from typing import ClassVar
from pydantic import Field
from runner.parameters import Real
from runner.plugin import Perturbation, Probe
from runner.types import Arrays, Circumstance, Dataset, Seed, Split, Table
from ..maths.tally import note
'''
BATCHED = (
    HEAD
    + '''
class Batched(Probe):
    """Many at once."""
    varies = ("k",)
    columns: ClassVar[dict[str, str]] = {"value": "k"}
    k: int = Field(0, description="a number")

    def run(self) -> Table:
        return next(self.run_batch([self]))

    @classmethod
    def run_batch(cls, nodes: Sequence[Batched]) -> Iterator[Table]:
        note(f"batch {[n.k for n in nodes]}")
        BODY
'''
)
SPEC = """
title = "t"
[axes]
k = [1, 2, 3]
[probes.batched]
use = "batched"
k = "$k"
"""
SINGLE = (
    HEAD
    + '''
class Single(Probe):
    """One alone."""
    columns: ClassVar[dict[str, str]] = {"value": "a number"}

    def run(self, ARGUMENTS) -> Table:
        BODY
'''
)


def records(world: Any) -> dict[str, Any]:
    """Return the records of a world's store by label."""
    store = Store(world.artifacts / ".store")
    store.refresh()
    return {record["label"]: record for record in store.records.values()}


def manifest(world: Any, name: str = "study") -> dict[str, Any]:
    """Return each node's entry in run.json by label."""
    text = (world.artifacts / name / "run.json").read_text("utf-8")
    return {entry["node"]: entry for entry in json.loads(text)["nodes"]}


def batched(world: Any, body: str) -> Any:
    world.plugin("probes/batched", BATCHED.replace("BODY", body))
    return world.cli("run", world.spec(SPEC), "-n", 1)


def single(world: Any, body: str, arguments: str = "", more: str = "") -> Any:
    source = SINGLE.replace("BODY", body).replace("ARGUMENTS", arguments)
    world.plugin("probes/single", source)
    text = f'title = "t"\nseed = 7\n[probes.single]\nuse = "single"\n{more}'
    return world.cli("run", world.spec(text), "-n", 1)


# -- batches -------------------------------------------------------------------------------------


def test_a_batch_is_one_call_and_its_nodes_are_stored_one_by_one(world: Any) -> None:
    done = batched(world, 'for n in nodes:\n            yield Table({"value": [n.k]})')
    assert done.code == 0
    assert world.calls() == ["batch [1, 2, 3]"]
    found = records(world)
    assert {label: r["outputs"]["columns"]["value"]["values"] for label, r in found.items()} == {
        f"batched[k={k}]": [k] for k in (1, 2, 3)
    }
    assert [r["parameters"] for r in found.values()] == [{"k": 1}, {"k": 2}, {"k": 3}]


def test_a_node_that_raises_fails_with_its_own_words_and_its_mates_are_stored(world: Any) -> None:
    body = """for n in nodes:
            if n.k == 2:
                raise ValueError(f"k is {n.k}")
            yield Table({"value": [n.k]})"""
    done = batched(world, body)
    assert done.code == 1
    assert "batched[k=2] failed" in done.out
    assert "ValueError: k is 2" in done.out
    assert set(records(world)) == {"batched[k=1]", "batched[k=3]"}
    assert world.calls() == ["batch [1, 2, 3]", "batch [1]", "batch [2]", "batch [3]"]
    world.cli("run", world.spec(SPEC), "-n", 1)
    assert world.calls() == ["batch [2]"]


SEEDED = (
    HEAD
    + '''
class Seeded(Probe):
    """Draws for many at once."""
    varies: ClassVar[tuple[str, ...]] = VARIES
    columns: ClassVar[dict[str, str]] = {"value": "the seed"}

    def run(self, seed: Seed) -> Table:
        return next(self.run_batch([self], [seed] if "seed" in self.varies else seed))

    @classmethod
    def run_batch(cls, nodes, seed) -> Iterator[Table]:
        seeds = seed if isinstance(seed, list) else [seed] * len(nodes)
        note(f"batch {[int(one) for one in seeds]}")
        for one in seeds:
            yield Table({"value": [int(one)]})
'''
)


@pytest.mark.parametrize(
    ("varies", "calls"), [('("seed",)', ["batch [4, 5]"]), ("()", ["batch [4]", "batch [5]"])]
)
def test_seeds_share_a_batch_where_the_plugin_says_so(
    world: Any, varies: str, calls: list[str]
) -> None:
    world.plugin("probes/seeded", SEEDED.replace("VARIES", varies))
    text = 'title = "t"\naxes.s = [4, 5]\n[probes.seeded]\nuse = "seeded"\nseed = "$s"\n'
    assert world.cli("run", world.spec(text), "-n", 1).code == 0
    assert world.calls() == calls
    found = {
        label: r["outputs"]["columns"]["value"]["values"] for label, r in records(world).items()
    }
    assert found == {"seeded[s=4]": [4], "seeded[s=5]": [5]}


@pytest.mark.parametrize("body", ["yield from [Table({'value': [n.k]}) for n in nodes[1:]]",
                                  "yield from [Table({'value': [n.k]}) for n in [*nodes] * 2]",
                                  "yield from ()"])  # fmt: skip
def test_another_number_of_results_fails_the_whole_batch(world: Any, body: str) -> None:
    """Nobody can know whose result is whose, so none may be stored."""
    done = batched(world, body)
    assert done.code == 1
    assert "results for 3 nodes; it must yield one for each" in done.out
    assert records(world) == {}
    assert len(world.calls()) == 1


def test_undeclared_columns_fail_their_node_alone(world: Any) -> None:
    body = """for n in nodes:
            yield Table({"value": [n.k]} | ({"extra": [1]} if n.k == 3 else {}))"""
    done = batched(world, body)
    assert done.code == 1
    assert "undeclared ['extra'], not given []" in done.out
    assert set(records(world)) == {"batched[k=1]", "batched[k=2]"}
    assert len(world.calls()) == 1


def test_a_result_that_cannot_be_stored_fails_its_node_alone(world: Any) -> None:
    body = """for n in nodes:
            yield Table({"value": [n.k if n.k != 1 else None]})"""
    done = batched(world, body)
    assert done.code == 1
    assert "column 'value' may not hold NoneType" in done.out
    assert set(records(world)) == {"batched[k=2]", "batched[k=3]"}
    assert len(world.calls()) == 1


def test_a_full_disk_is_not_answered_by_computing_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    body = 'for n in nodes:\n            yield Table({"value": list(range(n.k, 999))})'
    done = batched(world, body)
    assert done.code == 1
    assert "StoreFullError: cannot write" in done.out
    assert "the disk is full; free some space and run again" in done.out
    assert len(world.calls()) == 1
    monkeypatch.undo()
    monkeypatch.setenv("TINY_CALLS", str(world.folder / "calls.txt"))
    assert batched(world, body).code == 0


# -- one node ------------------------------------------------------------------------------------


def test_what_a_plugin_prints_and_warns_is_kept_and_not_shown(world: Any) -> None:
    body = """import sys, warnings
        print("to out")
        print("to err", file=sys.stderr)
        return Table({"value": [1]})"""
    done = single(world, body)
    assert done.code == 0
    assert "to out" not in done.out + done.err
    assert records(world)["single"]["log"] == "to out\nto err\n"


def test_a_failure_keeps_its_traceback_and_log_in_a_file(world: Any) -> None:
    done = single(world, 'print("before")\n        raise ZeroDivisionError("by zero")')
    assert done.code == 1
    assert "ZeroDivisionError: by zero" in done.out
    text = (world.artifacts / "study" / "failed" / "single.txt").read_text("utf-8")
    assert "probes/single.py" in text
    assert "before" in text
    assert records(world) == {}
    assert single(world, 'return Table({"value": [1]})').code == 0
    assert not (world.artifacts / "study" / "failed" / "single.txt").exists()


def test_a_very_long_log_is_cut_to_its_end(world: Any) -> None:
    single(world, 'print("x" * 100_000 + "end")\n        return Table({"value": [1]})')
    log = records(world)["single"]["log"]
    assert len(log) == 20_000
    assert log.endswith("end\n")


@pytest.mark.parametrize("body", ["import sys; sys.exit(3)", "raise SystemExit(0)", "exit()"])
def test_a_plugin_that_exits_fails_and_does_not_end_the_run(world: Any, body: str) -> None:
    assert single(world, body).code == 1
    assert manifest(world)["single"]["status"] == "failed"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "gave a NoneType"),
        ("return 3", "gave a int"),
        ("return Arrays({}, {})", "declares a Table as its result, but gave a Arrays"),
        ('return Table({"value": [1], "b": [1, 2]})', "declares other columns"),
        ('return Table({"other": [1]})', "undeclared ['other'], not given ['value']"),
    ],
)
def test_a_result_of_another_kind_than_declared_is_a_failure(
    world: Any, body: str, words: str
) -> None:
    done = single(world, body)
    assert done.code == 1
    assert words in done.out
    assert records(world) == {}


def test_a_seed_reaches_the_plugin_and_the_record(world: Any) -> None:
    body = 'return Table({"value": [int(seed), seed.integer("a")]})'
    assert single(world, body, "seed: Seed").code == 0
    record = records(world)["single"]
    assert record["seed"] == 7
    assert record["outputs"]["columns"]["value"]["values"][0] == 7


def test_draws_depend_on_seed_and_stream_and_not_on_order_or_mates(world: Any) -> None:
    text = """
title = "t"
[axes]
s = [1, 2, 3]
scale = [1.0, 2.0]
[probes.draw]
use = "draw"
seed = "$s"
scale = "$scale"
"""
    world.cli("run", world.spec(text), "-n", 1)
    first = {label: r["outputs"] for label, r in records(world).items()}
    one = text.replace("[1, 2, 3]", "[3]").replace("[1.0, 2.0]", "[2.0]")
    world.cli("run", world.spec(one, "one.toml"), "-n", 1, "--artifacts", "other")
    store = Store(world.folder / "other" / ".store")
    store.refresh()
    (record,) = store.records.values()
    assert record["outputs"] == first["draw[s=3,scale=2]"]
    drawn = {label: o["columns"]["drawn"]["values"] for label, o in first.items()}
    assert drawn["draw[s=1,scale=2]"] == [2 * x for x in drawn["draw[s=1,scale=1]"]]
    assert drawn["draw[s=1,scale=1]"] != drawn["draw[s=2,scale=1]"]


def test_scratch_lasts_while_a_node_fails_and_goes_when_it_is_stored(world: Any) -> None:
    body = """state = here.scratch / "state"
        note("resumed" if state.exists() else "begun")
        if not state.exists():
            state.write_text("x")
            raise ValueError("once")
        return Table({"value": [1]})"""
    assert single(world, body, "here: Circumstance").code == 1
    assert single(world, body, "here: Circumstance").code == 0
    assert world.calls() == ["begun", "resumed"]
    assert list((world.artifacts / ".store" / "scratch").iterdir()) == []


def test_a_failed_node_leaves_no_empty_scratch(world: Any) -> None:
    single(world, "raise ValueError", "here: Circumstance")
    assert list((world.artifacts / ".store" / "scratch").iterdir()) == []


def test_a_step_that_is_never_stored_is_computed_where_needed_and_leaves_nothing(
    world: Any,
) -> None:
    source = (
        HEAD
        + '''
class Loud(Perturbation):
    """Cheap."""
    persist = False
    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    def run(self, data: Dataset, here: Circumstance) -> Dataset:
        note("loud")
        (here.scratch / "s").write_text("x")
        return data
'''
    )
    world.plugin("perturbations/loud", source)
    text = """
title = "t"
[axes]
e = [1.0, 2.0]
[data.points]
use = "points"
[perturbations.loud]
use = "loud"
data = "@points"
[probes.power]
use = "power"
data = "@loud.train"
exponent = "$e"
"""
    assert world.cli("run", world.spec(text), "-n", 1).code == 0
    assert world.calls() == ["points 1 0", "loud", "power of 2"]
    assert set(records(world)) == {"points", "power[e=1]", "power[e=2]"}
    assert list((world.artifacts / ".store" / "scratch").iterdir()) == []
    assert world.cli("run", world.spec(text), "-n", 1).code == 0
    assert world.calls() == []


def test_a_record_says_how_it_came_to_be(world: Any) -> None:
    single(world, 'return Table({"value": [1]})')
    record = records(world)["single"]
    made = record["made"]
    assert made["use"] == "probes/single"
    assert made["device"] == "cpu"
    assert made["threads"] == 1
    assert made["versions"]["torch"]
    assert f"{world.package}/probes/single.py" in made["code"]
    assert f"{world.package}/maths/tally.py" in made["code"]
    assert record["label"] == "single"


def test_inputs_are_named_by_key_in_the_record(world: Any) -> None:
    text = """
title = "t"
[axes]
k = [1, 2]
[probes.value]
use = "value"
k = "$k"
[probes.average]
use = "average"
table = "@value"
over = ["k"]
"""
    assert world.cli("run", world.spec(text), "-n", 1).code == 0
    found = records(world)
    keys = [found[f"value[k={k}]"]["key"] for k in (1, 2)]
    assert found["average"]["inputs"] == {"table": keys}
    assert found["average"]["outputs"]["columns"]["average"]["values"] == [1.5]


def test_arrays_gathered_are_stacked_with_their_coordinates(world: Any) -> None:
    text = """
title = "t"
[axes]
s = [1.0, 2.0, 3.0]
[probes.matrix]
use = "matrix"
scale = "$s"
[probes.total]
use = "total"
arrays = "@matrix"
over = ["s"]
"""
    assert world.cli("run", world.spec(text), "-n", 1).code == 0
    columns = records(world)["total"]["outputs"]["columns"]
    assert columns["total"]["values"] == [12.0]
    assert columns["dimensions"]["values"] == [3]


@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_a_damaged_input_is_an_error_or_a_miss_and_then_mended(world: Any, how: str) -> None:
    """Whatever happened to the data on disk, the number is right or there is none."""
    text = """
title = "t"
[data.points]
use = "points"
[probes.power]
use = "power"
data = "@points.train"
exponent = 2.0
"""
    spec = world.spec(text)
    assert world.cli("run", spec, "-n", 1).code == 0
    right = records(world)["power"]["outputs"]
    (digest,) = records(world)["points"]["objects"]
    path = Store(world.artifacts / ".store").object_path(digest)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(data) if how == "flip" else bytes(data[:-1]))
    for log in (world.artifacts / ".store" / "records").glob("*.log"):
        lines = [x for x in log.read_text().splitlines(True) if '"label":"power"' not in x]
        log.write_text("".join(lines))
    world.calls()
    first = world.cli("run", spec, "-n", 1)
    if how == "flip":
        assert first.code == 1
        assert "has changed since it was written" in first.out
        assert "run again to compute it anew" in first.out
        assert world.cli("run", spec, "-n", 1).code == 0
    else:
        assert first.code == 0
    assert records(world)["power"]["outputs"] == right
    assert sum(call.startswith("points") for call in world.calls()) == 1


def test_a_pickle_in_place_of_an_input_is_refused_and_never_run(world: Any, tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "trapped",)

    text = (
        'title = "t"\n[data.points]\nuse = "points"\n'
        '[probes.power]\nuse = "power"\ndata = "@points.train"\n'
    )
    only = text.split("[probes", maxsplit=1)[0]
    assert world.cli("run", world.spec(only), "-n", 1).code == 0
    store = Store(world.artifacts / ".store")
    forged, size = store.put(pickle.dumps(Trap()))
    record = records(world)["points"]
    (digest,) = record["objects"]
    record["outputs"]["content"] = forged
    store.commit(record["made"], [{**record, "objects": {forged: size}}])
    store.close()
    done = world.cli("run", world.spec(text), "-n", 1)
    assert done.code == 1
    assert "stored Dataset cannot be read" in done.out
    assert not (tmp_path / "trapped").exists()
    assert digest != forged
