"""From a spec to its views: what lies in the artifacts after a run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SPEC = """
title = "Two values"
[axes]
k = [1, 2]
[probes.value]
use = "value"
k = "$k"
[renderers.page]
use = "page"
table = "@value"
per = ["k"]
path = "pages/k{k}.txt"
formats = [".md"]
"""
PAGES = ["k1.md", "k1.txt", "k2.md", "k2.txt"]


def pages(world: Any) -> list[str]:
    return sorted(p.name for p in (world.artifacts / "study" / "pages").iterdir())


def test_views_stand_where_the_spec_says_in_every_format(world: Any) -> None:
    done = world.cli("run", world.spec(SPEC), "-n", 1)
    assert done.code == 0
    assert pages(world) == PAGES
    assert "4 views in artifacts/study/" in done.out
    text = (world.artifacts / "study/pages/k2.txt").read_text("utf-8")
    assert text == (world.artifacts / "study/pages/k2.md").read_text("utf-8")


def test_views_that_were_deleted_or_overwritten_are_put_back(world: Any) -> None:
    spec = world.spec(SPEC)
    world.cli("run", spec, "-n", 1)
    folder = world.artifacts / "study/pages"
    right = (folder / "k1.txt").read_bytes()
    (folder / "k1.txt").unlink()
    (folder / "k1.txt").write_text("mine", "utf-8")
    (folder / "k2.md").unlink()
    world.calls()
    assert world.cli("run", spec, "-n", 1).code == 0
    assert world.calls() == []
    assert (folder / "k1.txt").read_bytes() == right
    assert pages(world) == PAGES


def test_a_view_written_into_is_noticed_and_drawn_again(world: Any) -> None:
    """A view is a link to the stored bytes: whoever writes into it damages the object."""
    spec = world.spec(SPEC)
    world.cli("run", spec, "-n", 1)
    view = world.artifacts / "study/pages/k1.txt"
    right = view.read_bytes()
    view.chmod(0o644)
    view.write_bytes(b"X" + right[1:])
    first = world.cli("run", spec, "-n", 1)
    assert first.code == 1
    assert "has changed since it was written" in first.out
    assert world.cli("run", spec, "-n", 1).code == 0
    assert view.read_bytes() == right


def test_views_of_the_last_run_that_are_no_more_are_removed(world: Any) -> None:
    world.cli("run", world.spec(SPEC), "-n", 1)
    (world.artifacts / "study/pages/notes.txt").write_text("mine", "utf-8")
    world.cli("run", world.spec(SPEC.replace("k = [1, 2]", "k = [2]")), "-n", 1)
    assert pages(world) == ["k2.md", "k2.txt", "notes.txt"]


@pytest.mark.parametrize("old", ["../../victim.txt", "/none", "pages/../../../victim.txt"])
def test_a_forged_manifest_cannot_have_other_files_removed(world: Any, old: str) -> None:
    world.cli("run", world.spec(SPEC), "-n", 1)
    victim = world.folder / "victim.txt"
    victim.write_text("keep", "utf-8")
    data = world.manifest()
    (world.artifacts / "study/run.json").write_text(json.dumps(data | {"views": [old]}), "utf-8")
    assert world.cli("run", world.spec(SPEC), "-n", 1).code == 0
    assert victim.read_text("utf-8") == "keep"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"views": 3}', '{"views": [3]}'])
def test_a_damaged_manifest_is_written_anew(world: Any, text: str) -> None:
    world.cli("run", world.spec(SPEC), "-n", 1)
    (world.artifacts / "study/run.json").write_text(text, "utf-8")
    assert world.cli("run", world.spec(SPEC), "-n", 1).code == 0
    assert len(world.manifest()["nodes"]) == 4


def test_a_view_folder_that_leads_elsewhere_is_refused(world: Any) -> None:
    outside = world.folder / "outside"
    outside.mkdir()
    (world.artifacts / "study").mkdir(parents=True)
    (world.artifacts / "study/pages").symlink_to(outside)
    done = world.cli("run", world.spec(SPEC), "-n", 1)
    assert done.code == 1
    assert "is a link out of" in done.err
    assert list(outside.iterdir()) == []


def test_the_manifest_tells_of_every_node_and_of_the_circumstances(world: Any) -> None:
    spec = world.spec(SPEC)
    world.cli("run", spec, "-n", 1, "--set", "probes.value.a=0.5")
    data = world.manifest()
    assert {n["node"]: n["status"] for n in data["nodes"]} == {
        "value[k=1]": "passed", "value[k=2]": "passed",
        "page[k=1]": "passed", "page[k=2]": "passed",
    }  # fmt: skip
    assert (data["workers"], data["device"], data["interrupted"]) == (1, "cpu", False)
    assert data["title"] == "Two values"
    assert data["resolved"]["probes"]["value"]["a"] == 0.5
    assert sorted(data["views"]) == [f"pages/{name}" for name in PAGES]
    world.cli("run", spec, "-n", 1, "--set", "probes.value.a=0.5")
    assert {n["status"] for n in world.manifest()["nodes"]} == {"cached"}


def test_planning_and_validating_write_nothing(world: Any) -> None:
    spec = world.spec(SPEC)
    assert world.cli("plan", spec).code == 0
    assert world.cli("validate", spec).code == 0
    assert not world.artifacts.exists()


@pytest.fixture
def small_disk(world: Any) -> Iterator[Path]:
    folder = world.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let tests mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_is_told_and_what_was_done_is_kept(world: Any, small_disk: Path) -> None:
    text = """
title = "t"
[axes]
s = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
[probes.draw]
use = "draw"
seed = "$s"
count = 3000
[renderers.page]
use = "page"
table = "@draw"
path = "p.txt"
"""
    spec = world.spec(text)
    done = world.cli("run", spec, "-n", 1, "--artifacts", small_disk / "a")
    assert done.code == 1
    assert "the disk is full; free some space" in done.out + done.err or (
        "No space left on device; free some space" in done.err
    )
    first = [call for call in world.calls() if call.startswith("draw")]
    assert 1 < len(first) < 10  # once there is no room, nothing more is begun
    assert "not run" in done.out
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    done = world.cli("run", spec, "-n", 1, "--artifacts", small_disk / "a")
    assert done.code == 0, done.out + done.err
    again = world.calls()
    assert "page p.txt" in again
    assert sum(call.startswith("draw") for call in again) == 10 - (len(first) - 1)
    store = small_disk / "a" / ".store"
    assert list((store / "aside").iterdir()) == []
    assert not (store / "damaged").exists()


def test_a_disk_that_is_full_from_the_start_is_told_of(world: Any, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 128 * 1024)
    done = world.cli("run", world.spec(SPEC), "-n", 1, "--artifacts", small_disk / "a")
    assert done.code == 1
    assert "Traceback" not in done.out + done.err
    assert "space" in done.out + done.err


def test_a_read_only_disk_is_told_of_and_still_read(world: Any, small_disk: Path) -> None:
    spec = world.spec(SPEC)
    assert world.cli("run", spec, "-n", 1, "--artifacts", small_disk / "a").code == 0
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert world.cli("plan", spec, "--artifacts", small_disk / "a").code == 0
    for arguments, code in ((["--set", "probes.value.a=1.0"], 1), ([], 0)):
        done = world.cli("run", spec, "-n", 1, "--artifacts", small_disk / "a", *arguments)
        assert done.code == code
        assert "Traceback" not in done.out + done.err
        assert "read-only" in (done.out + done.err).casefold()
        assert "choose another --artifacts folder" in done.out + done.err
        assert ("warning: cannot write" in done.err) == (code == 0)
    done = world.cli("run", spec, "-n", 1, "--artifacts", small_disk / "b")
    assert done.code == 1
    assert "choose another --artifacts folder" in done.err


def test_the_folder_of_the_store_may_not_be_a_file(world: Any) -> None:
    (world.folder / "artifacts").write_text("mine", "utf-8")
    done = world.cli("run", world.spec(SPEC), "-n", 1)
    assert done.code == 1
    assert os.strerror(errno.ENOTDIR) in done.err or os.strerror(errno.EEXIST) in done.err
