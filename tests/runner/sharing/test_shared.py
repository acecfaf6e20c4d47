"""Two machines with one shared store: what one made, the other takes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

STUDY = """
title = "t"
seed = 1
[axes]
slope = [1.0, 2.0]
factor = [1.0, 3.0]
[data.points]
use = "points"
slope = "$slope"
[models.net]
use = "line"
[trainers.fit]
use = "descent"
model = "@net"
data = "@points"
[perturbations.scaled]
use = "scaled"
model = "@fit"
factor = "$factor"
[probes.size]
use = "size"
model = "@scaled"
[renderers.page]
use = "page"
table = "@size"
path = "sizes.txt"
"""
LIGHT = ("size", "page")
FAR = "points", "descent"


def made(world: Any) -> set[str]:
    """Return which plugins were called since the last time, the never stored one left out."""
    return {line.split()[0] for line in world.calls()} - {"scaled"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    (tmp_path / "team").mkdir()
    return f"file://{tmp_path}/team"


def run(world: Any, url: str, machine: str, *arguments: Any) -> Any:
    done = world.cli(
        "run", "study.toml", "-n", 1, "--store", url, "--artifacts", machine, *arguments
    )
    assert done.code == 0, done.out + done.err
    return done


def test_what_one_machine_made_another_one_does_not_make(study: Any, url: str) -> None:
    run(study, url, "one")
    assert made(study) == {*FAR, *LIGHT}
    done = run(study, url, "two")
    assert made(study) == set()
    assert "9 cached" in done.out
    pages = [(study.folder / m / "study" / "sizes.txt").read_bytes() for m in ("one", "two")]
    assert pages[0] == pages[1]


def test_only_what_is_read_is_fetched(study: Any, url: str) -> None:
    run(study, url, "one")
    run(study, url, "two")
    objects = list((study.folder / "two" / ".store" / "objects").glob("*/*"))
    assert len(objects) == 1  # the page
    made(study)
    run(study, url, "two", "--set", "axes.factor=[1.0, 3.0, 5.0]")
    assert made(study) == {"size", "page"}
    run(study, "none", "two", "-k", "size")  # what was brought needs the shared store no more
    assert made(study) == set()


def test_what_cannot_be_had_is_made_again(study: Any, url: str, tmp_path: Path) -> None:
    run(study, url, "one")
    made(study)
    for path in (tmp_path / "team" / "objects").glob("*/*"):
        path.unlink()
    run(study, url, "two", "--set", "axes.factor=[1.0, 3.0, 5.0]")
    assert {"descent", "size", "page"} <= made(study)


def test_content_that_was_changed_on_the_way_is_not_taken(
    study: Any, url: str, tmp_path: Path
) -> None:
    run(study, url, "one")
    made(study)
    for path in (tmp_path / "team" / "objects").glob("*/*"):
        path.chmod(0o644)
        path.write_bytes(b"x" * path.stat().st_size)
    done = run(study, url, "two")
    assert "warning: " in done.err
    assert made(study) == {"page"}  # the one node whose content is needed
    one, two = ((study.folder / m / "study" / "sizes.txt").read_bytes() for m in ("one", "two"))
    assert one == two


def test_without_its_remote_a_run_goes_on_and_its_results_are_sent_later(
    study: Any, tmp_path: Path
) -> None:
    url = f"file://{tmp_path}/later"
    (tmp_path / "later").write_text("a file where a folder should be")
    done = run(study, url, "one")
    assert "warning: " in done.err
    assert made(study) == {*FAR, *LIGHT}
    (tmp_path / "later").unlink()
    run(study, url, "one")
    run(study, url, "two")
    assert made(study) == set()


def test_the_project_names_the_shared_store_and_the_command_line_may_say_none(
    study: Any, url: str
) -> None:
    file = study.folder / "pyproject.toml"
    file.write_text(file.read_text("utf-8") + f'store = "{url}"\n', "utf-8")
    assert study.cli("run", "study.toml", "-n", 1, "--artifacts", "one").code == 0
    made(study)
    assert study.cli("run", "study.toml", "-n", 1, "--artifacts", "two").code == 0
    assert made(study) == set()
    run(study, "none", "three")
    assert made(study) == {*FAR, *LIGHT}


def test_the_plan_counts_what_the_shared_store_has(study: Any, url: str) -> None:
    run(study, url, "one")
    done = study.cli("plan", "study.toml", "--store", url, "--artifacts", "two")
    assert "9 cached, 0 to run" in done.out
    assert "0 cached" in study.cli("plan", "study.toml", "--artifacts", "two").out


@pytest.mark.parametrize("text", ["nonsense", "nosuch://x/y", ""])
def test_what_is_no_url_is_told(study: Any, text: str) -> None:
    done = study.cli("run", "study.toml", "--store", text)
    assert done.code in (1, 2) or "warning" in done.err
    assert "Traceback" not in done.out + done.err


def test_a_store_that_was_lost_here_is_filled_from_the_shared_one(study: Any, url: str) -> None:
    run(study, url, "one")
    made(study)
    shutil.rmtree(study.folder / "one")
    run(study, url, "one")
    assert made(study) == set()
