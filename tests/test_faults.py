"""Full, read-only, forbidden and damaged stores, wild clocks, no memory: told or made up for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.storage.store import Store

PROBE = '''"""A probe of a test."""
from __future__ import annotations
from typing import ClassVar
from pydantic import Field
from runner.plugin import Probe
from runner.types import Table
from ..maths.tally import note


class Heavy(Probe):
    """Uses much memory once, or is killed for it, as the file `once` says."""
    columns: ClassVar[dict[str, str]] = {"v": "a number"}
    k: int = Field(1, description="which")

    def run(self) -> Table:
        import os, resource, signal, time
        from pathlib import Path
        note(f"heavy {self.k}")
        once = Path(os.environ["TINY_CALLS"]).with_name(f"once-{self.k}")
        how = once.read_text() if once.exists() else ""
        once.unlink(missing_ok=True)
        if how == "raised":
            raise MemoryError
        if how == "limited":
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (2**31, before[1]))
            try:
                bytearray(2**34)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return Table({"v": [1.0 / self.k]})
'''
SPEC = """
title = "t"
[axes]
k = [1, 2, 3, 4, 5, 6]
[data.points]
use = "points"
slope = "$k"
[probes.power]
use = "power"
data = "@points.train"
[probes.draw]
use = "draw"
seed = "$k"
count = 800
[renderers.page]
use = "page"
table = "@draw"
path = "p.txt"
[expect.finite]
table = "@power"
check = "max(power) < 1e9"
"""
NODES = 20


@pytest.fixture
def study(world: Any) -> Any:
    world.spec(SPEC)
    return world


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return a function that mounts a small disk, or changes the one that is there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")

    def mount(options: str) -> Path:
        again = "remount," if folder.is_mount() else ""
        command = ["mount", "-t", "tmpfs", "-o", f"{again}{options}", "tmpfs", folder]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("this machine does not let tests mount a small disk")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", folder], check=True)


def contents(artifacts: Path) -> dict[str, Any]:
    """Return what each node came to, by key, all of it read; and the view."""
    store = Store(artifacts / ".store")
    store.refresh()
    for record in store.records.values():
        for digest in record["objects"]:
            store.read(digest)
    found = {r["key"]: [r["label"], r["outputs"], r["objects"]] for r in store.records.values()}
    return {**found, "view": (artifacts / "study" / "p.txt").read_bytes()}


def left_over(artifacts: Path) -> list[str]:
    names = ("aside", "alive", "claims", "progress", "scratch")
    folders = [artifacts / ".store" / name for name in names]
    views = [p for p in (artifacts / "study").rglob("*") if p.name.startswith(".")]
    return [str(p) for p in [*views, *(p for folder in folders for p in folder.glob("*"))]]


@pytest.fixture
def calm(study: Any) -> dict[str, Any]:
    assert study.cli("run", "study.toml", "-n", 1, "--artifacts", "calm").code == 0
    study.calls()
    return contents(study.folder / "calm")


# -- disks -----------------------------------------------------------------------------------------


def fill(
    world: Any, disk: Callable[..., Path], calm: dict[str, Any], kib: int, workers: int
) -> int:
    """Run on a disk of a size, then with more space; return the first exit code."""
    folder = disk(f"size={kib}k")
    name = folder / "a"
    first = world.cli("run", "study.toml", "-n", workers, "--artifacts", name)
    said = first.out + first.err
    assert first.code in (0, 1), said
    assert "Traceback" not in said
    assert (first.code == 0) == ("free some space" not in said), said
    stored = Store(name / ".store")
    stored.refresh()
    labels = {stored.records[key]["label"] for key in stored.records if stored.has(key)}
    assert stored.damaged == []
    world.calls()
    disk("size=8m")
    then = world.cli("run", "study.toml", "-n", 1, "--artifacts", name)
    assert then.code == 0, said + then.out + then.err
    statuses = json.loads((name / "study" / "run.json").read_text("utf-8"))["nodes"]
    assert {n["node"] for n in statuses if n["status"] == "cached"} == labels
    assert contents(name) == calm
    assert left_over(name) == []
    shutil.rmtree(name)
    return first.code


def test_a_disk_that_fills_is_told_and_with_more_space_the_run_goes_on(
    study: Any, disk: Callable[..., Path], calm: dict[str, Any]
) -> None:
    codes = [fill(study, disk, calm, kib, 1) for kib in (8, 48, 100, 140, 400)]
    assert codes == [1, 1, 1, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_at_any_moment(
    study: Any, disk: Callable[..., Path], calm: dict[str, Any], workers: int
) -> None:
    sizes = range(4, 420, 8 if workers == 1 else 32)
    codes = [fill(study, disk, calm, kib, workers) for kib in sizes]
    assert codes == sorted(codes, reverse=True)
    assert codes[0] == 1
    assert codes[-1] == 0


def test_a_disk_without_room_for_more_files_is_told(
    study: Any, disk: Callable[..., Path], calm: dict[str, Any]
) -> None:
    folder = disk("size=8m,nr_inodes=30")
    done = study.cli("run", "study.toml", "-n", 1, "--artifacts", folder / "a")
    assert done.code == 1
    assert "free some space" in done.out + done.err
    disk("size=8m,nr_inodes=1000")
    assert study.cli("run", "study.toml", "-n", 1, "--artifacts", folder / "a").code == 0
    assert contents(folder / "a") == calm
    assert left_over(folder / "a") == []


@pytest.mark.parametrize(("limit", "code"), [("1e9", 0), ("1e-9", 1)])
def test_a_read_only_disk_still_tells_its_verdicts(
    study: Any, disk: Callable[..., Path], limit: str, code: int
) -> None:
    text = f'[hypotheses.low]\ntable = "@power"\ncheck = "max(power) < {limit}"\n'
    text += f'[expect.near]\ntable = "@power"\ncheck = "min(power) < {limit}"\n'
    text += '[hypotheses.rising]\ntable = "@power"\ncheck = "max(power) > 0"\nrequires = ["near"]\n'
    study.spec(SPEC + text)
    name = disk("size=8m") / "a"
    command = ("run", "study.toml", "-n", 1, "--strict", "--artifacts", name)
    assert study.cli(*command).code == code
    disk("ro")
    study.calls()
    done = study.cli(*command)
    assert done.code == code
    assert study.calls() == []
    assert f"hypothesis low: {'supported' if code == 0 else 'refuted'}" in done.out
    assert "warning: cannot write" in done.err
    assert "read-only; choose another --artifacts folder" in done.err
    cached = "23 cached" if code == 0 else "21 cached, 1 failed, 1 not run"
    assert f"{cached} in" in done.out
    assert ("expectation near does not hold" in done.out) == (code == 1)
    disk("rw")


AS_NOBODY = """
import importlib, os, pkgutil, runner
for module in pkgutil.walk_packages(runner.__path__, "runner."):  # others may not read the files
    if not module.name.endswith(("__main__", "dask_worker", "dask_pool")):
        importlib.import_module(module.name)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from runner.__main__ import main
main()
"""


def test_a_store_of_someone_else_is_read_and_never_a_traceback(study: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user takes root")
    folder = Path(tempfile.mkdtemp(prefix="runner-test-"))  # where others may go
    try:
        folder.chmod(0o755)
        shutil.copytree(study.folder, folder / "w")
        (folder / "w").chmod(0o755)
        command = [sys.executable, "-c", AS_NOBODY, "run", "study.toml", "-n", "1"]

        def run() -> Any:
            return subprocess.run(
                command, cwd=folder / "w", env=study.env(), capture_output=True, text=True,
                check=False, timeout=60,
            )  # fmt: skip

        done = run()
        if "No module named" in done.stderr:
            pytest.skip("others may not read this project")
        assert done.returncode == 1
        assert "no right to write; give it, or choose another --artifacts folder" in done.stderr
        own = [sys.executable, "-m", "runner", "run", "study.toml", "-n", "1"]
        subprocess.run(own, cwd=folder / "w", env=study.env(), check=True, capture_output=True)
        done = run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning: cannot write" in done.stderr
        assert f"{NODES} cached" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        (folder / "w" / "artifacts" / ".store" / "records").chmod(0o700)
        done = run()
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stdout + done.stderr
        assert "check its rights" in done.stderr
    finally:
        shutil.rmtree(folder)


# -- damage ----------------------------------------------------------------------------------------


@pytest.fixture
def ran(study: Any, calm: dict[str, Any]) -> Any:
    shutil.copytree(study.folder / "calm", study.artifacts)
    return study


def damage(path: Path, how: str) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 1
    path.unlink()
    if how != "gone":
        path.write_bytes(content[: len(content) // 2] if how == "cut" else bytes(content))


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damaged_objects_are_computed_anew_and_no_result_is_wrong(
    ran: Any, calm: dict[str, Any], how: str
) -> None:
    """A cut or missing one is a miss; a flipped one is found when it is read."""
    objects = sorted(p for p in (ran.artifacts / ".store" / "objects").rglob("*") if p.is_file())
    for path in objects:
        damage(path, how)
    text = SPEC.replace('use = "power"', 'use = "power"\noffset = 1.0')  # reads all of them
    ran.spec(text, "study.toml")
    for _ in range(2 if how == "flipped" else 0):  # what is read, then what that was made from
        done = ran.cli("run", "study.toml", "-n", 1)
        assert done.code == 1
        assert "Traceback" not in done.out + done.err
        assert "run again to compute it anew" in done.out
    done = ran.cli("run", "study.toml", "-n", 1)
    assert done.code == 0, done.out + done.err
    ran.spec(SPEC)
    done = ran.cli("run", "study.toml", "-n", 1)
    assert done.code == 0
    found = contents(ran.artifacts)
    assert found | calm == found
    assert left_over(ran.artifacts) == []


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damaged_logs_lose_what_is_damaged_and_nothing_else(
    ran: Any, calm: dict[str, Any], how: str
) -> None:
    (log,) = (ran.artifacts / ".store" / "records").glob("*.log")
    damage(log, how)
    done = ran.cli("run", "study.toml", "-n", 1)
    assert done.code == 0
    assert ("a damaged line" in done.err) == (how == "flipped")
    assert contents(ran.artifacts) == calm
    assert left_over(ran.artifacts) == []
    assert 1 <= sum(1 for status in ran.statuses().values() if status == "passed") <= NODES


def test_damage_while_a_run_goes_on_is_never_a_wrong_result(
    study: Any, calm: dict[str, Any]
) -> None:
    """Objects are flipped, cut and removed as fast as they come; then the run is let go on."""
    stop = threading.Event()
    hurt = []

    def vandal() -> None:
        ways = ["flipped", "cut", "gone"]
        while not stop.wait(0.002):
            for path in (study.artifacts / ".store" / "objects").glob("*/*"):
                if path.name not in hurt and len(hurt) < 8:
                    try:
                        damage(path, ways[len(hurt) % 3])
                    except OSError:
                        continue
                    hurt.append(path.name)

    thread = threading.Thread(target=vandal)
    thread.start()
    try:
        for _ in range(12):
            done = study.cli("run", "study.toml", "-n", 1)
            assert "Traceback" not in done.out + done.err
            assert done.code in (0, 1)
            if done.code == 0 and len(hurt) >= 8:
                break
    finally:
        stop.set()
        thread.join()
    assert study.cli("store", "verify", "--artifacts", "artifacts").code in (0, 1)
    done = study.cli("run", "study.toml", "-n", 1)
    assert done.code == 0, done.out + done.err
    assert contents(study.artifacts) == calm
    assert left_over(study.artifacts) == []


# -- clocks ----------------------------------------------------------------------------------------

CLOCK = """
import sys, time
real, real_ns = time.time, time.time_ns
offset = [float(sys.argv.pop(1))]
def jumped():
    offset[0] = -offset[0]  # back and forth at every look
    return max(1.0, real() + offset[0])
time.time = jumped
time.time_ns = lambda: int(jumped() * 1e9)
from runner.__main__ import main
main()
"""


@pytest.mark.parametrize("years", [60, 0.001])
def test_a_clock_that_jumps_changes_nothing(study: Any, calm: dict[str, Any], years: float) -> None:
    def run() -> Any:
        command = [sys.executable, "-c", CLOCK, str(years * 3.15e7), "run", "study.toml", "-n", "1"]
        return subprocess.run(
            command, cwd=study.folder, env=study.env(), capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip

    runs = [run(), run()]
    for done in runs:
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{NODES} cached" in runs[1].stdout
    assert contents(study.artifacts) == calm
    assert left_over(study.artifacts) == []


@pytest.mark.parametrize("date", [0, 4_102_444_800])
def test_files_of_1970_and_of_2100_are_as_good_as_any(ran: Any, date: int) -> None:
    for path in [*ran.artifacts.rglob("*"), *ran.plugins.rglob("*.py"), ran.folder / "study.toml"]:
        os.utime(path, (date, date))
    done = ran.cli("run", "study.toml", "-n", 1)
    assert done.code == 0
    assert f"{NODES} cached" in done.out
    ran.edit("probes/power", "node.base * mean", "2 * node.base * mean")
    os.utime(ran.plugins / "probes" / "power.py", (date, date))
    assert "stale" in ran.cli("plan", "study.toml").out  # it is the content that counts


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "workers"),
    [("raised", 1), ("limited", 1), ("limited", 2), ("killed", 2)],
)
def test_a_node_without_memory_costs_itself_at_most(world: Any, how: str, workers: int) -> None:
    world.plugin("probes/heavy", PROBE)
    world.spec('title = "t"\n[axes]\nk = [1, 2, 3, 4]\n[probes.heavy]\nuse = "heavy"\nk = "$k"\n')
    (world.folder / "once-3").write_text(how)
    done = world.run_cli("run", "study.toml", "-n", workers)
    if how == "killed":  # as the system does: it is tried again
        assert done.code == 0, done.out + done.err
    else:
        assert done.code == 1
        assert "heavy[k=3] failed after" in done.out
        assert "MemoryError" in done.out
        assert list(world.statuses().values()).count("passed") == 3
    finished = 3 if how != "killed" else 4
    world.calls()
    done = world.cli("run", "study.toml", "-n", 1)
    assert done.code == 0
    assert world.calls() == ["heavy 3"] * (4 - finished)
