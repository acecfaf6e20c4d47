"""Wall time and memory of a command with all its descendants, read from /proc."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from store_peers.contestant import Contestant

_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY = 0.02  # seconds between two looks at the tree's memory


class OverLimitError(Exception):
    """A command took longer than it may."""


class Cost(NamedTuple):
    """What one command cost: seconds of wall time and of CPU time, peak memory in MiB."""

    seconds: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.cpu:.2f} s CPU, {self.memory:.0f} MiB)"


def run(one: Contestant, first: bool, cells: int, folder: Path, limit: float) -> Cost:
    """Run a contestant's command in a folder, which it has laid out for this number of cells.

    Memory is the largest sum of resident sizes over the process tree, seen every 20 ms (pages
    that processes share count for each), or one process's own peak where that is larger.

    Raises: OverLimitError; SystemExit when it fails or its output lacks the proof.
    """
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environ |= {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    if one.modules is not None:
        environ["PYTHONPATH"] = str(one.modules)
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            one.command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        peak = _Peak(process.pid)
        peak.start()
        alarm = threading.Timer(limit, _kill, [process.pid])
        alarm.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            seconds = time.perf_counter() - started
            alarm.cancel()
            _kill(process.pid)
            peak.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if seconds >= limit:
        raise OverLimitError
    if process.returncode or not re.search(one.proof(first, cells), text):
        shown = " ".join(one.command)
        raise SystemExit(f"{shown} in {folder}: status {process.returncode}\n{text[-3000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, max(peak.memory, usage.ru_maxrss / 1024))


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


class _Peak(threading.Thread):
    """Watches how much memory a process and its descendants hold together."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.memory = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_EVERY):
            self.memory = max(self.memory, sum(map(_resident, _tree(self.root))) / 2**20)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(root: int) -> list[int]:
    members = [root]
    for process in members:  # grows while it is walked: breadth first
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                members += map(int, (thread / "children").read_text().split())
    return members


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):  # it has ended
        return 0
