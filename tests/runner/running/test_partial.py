"""What a renderer that cannot be finished shows of what there is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.storage.store import Store

HEAD = """
title = "t"
[axes]
k = [1, 2, 3, 4]
e = [1.0, 2.0]
"""
FAILS = """
[probes.fails]
use = "fails"
k = "$k"
at = 3
"""
PAGE = """
[renderers.page]
use = "page"
table = "@fails"
path = "rows.txt"
"""


def rows(world: Any) -> list[str]:
    return (world.artifacts / "study" / "rows.txt").read_text("utf-8").splitlines()


def test_a_picture_whose_cells_failed_in_part_is_drawn_with_holes(world: Any) -> None:
    spec = world.spec(HEAD.replace("e = [1.0, 2.0]", "") + FAILS + PAGE)
    done = world.cli("run", spec, "-n", 1)
    assert done.code == 1
    assert rows(world)[1:] == ["k value", "1 1", "2 2", "4 4"]
    assert "drawn with holes: rows.txt (3 of 4 cells)" in done.out
    manifest = world.manifest()
    assert manifest["partial"] == {"rows.txt": "rows.txt (3 of 4 cells)"}
    assert manifest["views"] == ["rows.txt"]
    told = (world.artifacts / "study" / "report.md").read_text("utf-8")
    assert "Drawn with holes: rows.txt (3 of 4 cells)." in told


def test_a_picture_with_holes_is_stored_nowhere_and_gives_way_to_the_whole_one(world: Any) -> None:
    spec = world.spec(HEAD.replace("e = [1.0, 2.0]", "") + FAILS + PAGE)
    world.cli("run", spec, "-n", 1)
    store = Store(world.artifacts / ".store")
    store.refresh()
    assert {r["label"] for r in store.records.values()} == {f"fails[k={k}]" for k in (1, 2, 4)}
    done = world.cli("run", spec, "-n", 1, "--set", "probes.fails.at=9")
    assert done.code == 0
    assert rows(world)[1:] == ["k value", "1 1", "2 2", "3 3", "4 4"]
    assert world.manifest()["partial"] == {}
    assert "holes" not in done.out


def test_nothing_is_drawn_of_nothing(world: Any) -> None:
    text = HEAD.replace("e = [1.0, 2.0]", "").replace("[1, 2, 3, 4]", "[3]") + FAILS + PAGE
    done = world.cli("run", world.spec(text), "-n", 1)
    assert done.code == 1
    assert "holes" not in done.out
    assert not (world.artifacts / "study" / "rows.txt").exists()


JOINED = (
    HEAD
    + FAILS
    + """
[data.points]
use = "points"
seed = 1
[probes.power]
use = "power"
data = "@points.train"
exponent = "$e"
base = "$k"
[renderers.page]
use = "page"
table = ["@power", "@fails"]
path = "rows.txt"
show = ["k", "e", "value"]
"""
)


def test_of_tables_that_are_joined_only_the_cells_that_all_have_are_drawn(world: Any) -> None:
    done = world.cli("run", world.spec(JOINED), "-n", 1)
    assert done.code == 1
    assert rows(world)[2:] == [f"{k} {e} {k}" for k in (1, 2, 4) for e in (1, 2)]


def test_a_renderer_that_cannot_draw_what_there_is_is_passed_over(world: Any) -> None:
    world.edit("renderers/page", "rows = zip", "assert len(table) == 4\n        rows = zip")
    spec = world.spec(HEAD.replace("e = [1.0, 2.0]", "") + FAILS + PAGE)
    done = world.cli("run", spec, "-n", 1)
    assert done.code == 1
    assert "Traceback" not in done.out + done.err
    assert not (world.artifacts / "study" / "rows.txt").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_ends_at_its_time_limit_with_what_there_is_and_the_next_one_goes_on(
    world: Any, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    nap = "import os, time\n        time.sleep(float(os.environ.get('NAP', 0)))\n        note(f"
    world.edit("probes/fails", "note(f", nap)
    text = HEAD.replace("e = [1.0, 2.0]", "") + FAILS.replace("at = 3", "at = 99") + PAGE
    spec = world.spec(text.replace("[1, 2, 3, 4]", f"{list(range(12))}"))
    monkeypatch.setenv("NAP", "0.9")
    done = world.run_cli("run", spec, "-n", workers, "--time-limit", "4s")
    assert done.code == 3, done.out + done.err
    assert "the time limit of 4 s is reached; run the same command again to go on" in done.err
    assert "drawn with holes: rows.txt (" in done.out
    held = len(rows(world)) - 2
    assert 1 <= held < 12
    assert f"{held} passed" in done.out
    assert world.manifest()["timed_out"] is True
    monkeypatch.delenv("NAP")
    done = world.run_cli("run", spec, "-n", 2)
    assert done.code == 0
    assert f"{held} cached" in done.out
    assert len(rows(world)) - 2 == 12


def test_a_time_limit_that_is_not_reached_changes_nothing(world: Any) -> None:
    spec = world.spec(HEAD.replace("e = [1.0, 2.0]", "") + FAILS.replace("at = 3", "at = 9"))
    done = world.cli("run", spec, "-n", 1, "--time-limit", "1h")
    assert done.code == 0
    assert json.loads((world.artifacts / "study" / "run.json").read_text())["timed_out"] is False
