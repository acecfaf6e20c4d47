"""Runs a study again and again, each time killed at another point; then finishes what it left.

`python kill_at.py ORDER` with ORDER a JSON table: `who` is killed ("run", "group" or "worker"), or
how a call fails instead of killing ("ENOSPC" or another error's name, "interrupt"),
`workers`, `points`, `start` (a folder of artifacts to begin with, or empty), `name` (of the folders
to make). A whole number is a call that changes a file: 0 kills nobody and counts them. Another
number is seconds since the first node began. Processes are forked from one that has imported
everything: a round takes a fraction of a start. Prints a line of JSON for each point.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

CALLS = {
    "write", "fsync", "link", "unlink", "remove", "replace", "rename", "mkdir", "rmdir",
    "truncate", "utime", "chmod", "close", "sendfile",
}  # fmt: skip
FILES = (io.FileIO, io.BufferedWriter, io.TextIOWrapper)


class Killer:
    """Counts the calls of this thread that change files; kills, or fails, at one of them."""

    def __init__(self, point: int, who: str = "run", once: Path | None = None) -> None:
        self.point = point
        self.who = who
        self.once = once  # made by whoever kills: only one does
        self.count = 0

    def arm(self) -> None:
        sys.setprofile(self.look)

    def look(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called.__name__ not in CALLS or not self.changes(called):
            return
        self.step()
        if called.__name__ == "write" and frame.f_code.co_qualname == "Logs.append":
            rest = frame.f_locals["rest"]
            self.step(lambda: os.write(called.__self__.fileno(), rest[: len(rest) // 2]))

    def changes(self, called: Any) -> bool:
        owner = getattr(called, "__self__", None)
        if owner in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            return False
        if isinstance(owner, FILES):
            return called.__name__ != "close" or owner.writable()
        return getattr(owner, "__name__", "") == "posix" and called.__name__ != "close"

    def step(self, first: Callable[[], object] = lambda: None) -> None:
        """Count a call, or a part of one, which is done first where that is the point."""
        self.count += 1
        if self.count != self.point:
            return
        if self.once is not None:
            try:
                os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
        first()
        if self.who == "interrupt":
            raise KeyboardInterrupt
        if hasattr(errno, self.who):
            number = getattr(errno, self.who)
            raise OSError(number, os.strerror(number))
        if self.who == "group":
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def arm_worker() -> None:
    """Kill this process at the call that the environment names, unless it is the run itself."""
    if "KILL_AT" in os.environ and os.environ["KILL_NOT"] != str(os.getpid()):
        Killer(int(os.environ["KILL_AT"]), once=Path(os.environ["KILL_ONCE"])).arm()


def forked(artifacts: str, calls: Path, workers: int, killer: Killer | None) -> int:
    """Run the study in a child with a process group of its own; return the child's id."""
    calls.touch()
    warnings.simplefilter("ignore")  # that threads are not forked: there are none that matter
    if child := os.fork():
        return child
    os.setpgid(0, 0)
    os.environ["TINY_CALLS"] = str(calls)
    os.environ["KILL_NOT"] = str(os.getpid())
    code = 70
    try:
        with calls.with_suffix(".out").open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        from runner.commands.cli import cli

        if killer is not None:
            killer.arm()
        cli(["run", "study.toml", "-n", str(workers), "--artifacts", artifacts])
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # told like any other failure of a run
        traceback.print_exc()
    finally:
        sys.setprofile(None)
        if killer is not None and killer.point == 0:
            calls.with_suffix(".count").write_text(str(killer.count))
        sys.stdout.flush()
        os._exit(code)


def ended(child: int) -> int:
    """Return the exit code of a child, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def disturbed(order: dict[str, Any], point: float, name: str, calls: Path) -> int:
    """Run the study and kill as ordered; return the run's exit code."""
    who, workers = order["who"], order["workers"]
    if isinstance(point, float):
        child = forked(name, calls, workers, None)
        kill_later(who, child, calls, point)
        return ended(child)
    if who == "worker":
        os.environ["KILL_AT"] = str(point)
        os.environ["KILL_ONCE"] = str(Path(f"{name}-once").absolute())
        try:
            return ended(forked(name, calls, workers, None))
        finally:
            del os.environ["KILL_AT"]
    return ended(forked(name, calls, workers, Killer(point, who)))


def kill_later(who: str, child: int, calls: Path, seconds: float) -> None:
    """Kill some time after the first node has begun; nothing is done where it came to its end."""
    deadline = time.monotonic() + 30
    while not calls.stat().st_size and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(seconds)
    for victim in [child] if who != "worker" else pids(calls) - {child}:
        with suppress(ProcessLookupError):
            (os.killpg if who == "group" else os.kill)(victim, signal.SIGKILL)
            return


def main() -> None:
    for module in (
        "commands.cli", "commands.session", "storage.codec", "telling.page", "telling.markdown",
        "telling.account", "computing.loky_pool",
    ):  # fmt: skip
        importlib.import_module(f"runner.{module}")
    for module in ("h5py", "pandas", "pyarrow.parquet", "loky"):
        importlib.import_module(module)
    order = json.loads(sys.argv[1])
    for number, point in enumerate(order["points"]):
        name = f"{order['name']}{number}"
        first, then = (Path(f"{name}-{part}.txt").absolute() for part in ("first", "then"))
        if order["start"]:
            shutil.copytree(order["start"], name)
        code = disturbed(order, point, name, first)
        wait_for_death(first)
        if Path(f"{name}/.store/records").is_dir():
            shutil.copytree(f"{name}/.store/records", f"{name}-killed/.store/records")
        told = {"name": name, "point": point, "killed": code}
        told["finished"] = ended(forked(name, then, 1, None))
        print(json.dumps(told), flush=True)


def pids(calls: Path) -> set[int]:
    """Return the processes that noted their ids."""
    words = (line.split()[0] for line in calls.read_text("utf-8").splitlines())
    return {int(word) for word in words if word.isdigit()}


def wait_for_death(calls: Path) -> None:
    """Wait until the workers of a killed run, who noted their ids, are gone."""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids(calls)):
        if time.monotonic() > deadline:
            raise TimeoutError("a worker outlives its run")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
