"""Claims: which process computes which node, on any file system, without locks.

Each owner keeps a sign of life, a file with its name that it touches again and again. A claim is a
hard link to it, which only one process can make under a node's key; where there are no links it is
a file made with O_EXCL, which costs the disk ten times as much. An owner in the same place (booted
machine and process namespace) is dead when its process is; one elsewhere when its sign is gone, or
has not changed for `SILENCE` seconds by the clock of whoever watches: clocks that differ or jump do
no harm. What dead owners claimed is free. Should two processes ever hold one claim, a node is
computed twice: the cost is time, never a wrong result.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from runner.storage.plain import files_below, open_plain

BEAT = 5.0  # seconds between signs of life
SILENCE = 120.0  # seconds without one after which an owner elsewhere counts as dead
_DASHES = 3  # in the name of an owner
_SIGN = 4096  # bytes of a sign of life that are read
UPKEEP = "gc"  # what is claimed by whoever removes from the store: nobody may begin then
REMOVING = 60.0  # seconds that a run waits for it
TORN = 10.0  # seconds after which a claim without an owner's name counts as abandoned


@dataclass
class Claims:
    """The claims of one process on the nodes of a store.

    `folder` holds `claims/` and `alive/`.
    """

    folder: Path
    owner: str = field(init=False)
    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)
    _life: threading.Event | None = None
    _sign: str = ""

    def __post_init__(self) -> None:
        self.owner = owner_name()

    def take(self, keys: Iterable[str]) -> set[str]:
        """Claim nodes; return the keys that this process now holds.

        Raises: OSError when the store cannot be written.
        """
        self.live()
        taken: set[str] = set()
        folder = str(self.folder / "claims")
        try:
            for key in keys:
                if self._take(f"{folder}/{key}"):
                    taken.add(key)
        except BaseException:
            self.give(taken)
            raise
        return taken

    def give(self, keys: Iterable[str]) -> None:
        """Give claims back."""
        folder = str(self.folder / "claims")
        for key in keys:
            with suppress(OSError):
                os.unlink(f"{folder}/{key}")  # noqa: PTH108

    def holder(self, key: str) -> str | None:
        """Return the living owner of a claim, None when the node is free."""
        path = self.folder / "claims" / key
        owner = _read(path)
        if owner is None:
            return None
        return None if self._dead(path, owner) else owner

    def told(self, owner: str) -> str:
        """Return who an owner is, for people: `process 17 on host`."""
        with suppress(OSError, ValueError, KeyError):
            with open_plain(self.folder / "alive" / owner) as stream:
                about = json.loads(stream.read(_SIGN).partition(b"\n")[2])
            return f"process {about['pid']} on {about['host']}"
        return "another process"

    def clean(self) -> None:
        """Remove what dead owners left."""
        for name in ("claims", "alive"):
            with suppress(OSError):
                for path in list((self.folder / name).iterdir()):
                    owner = _read(path) if name == "claims" else path.name
                    if owner is not None and self._dead(path, owner):
                        path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the sign of life; claims must have been given back."""
        if self._life is not None:
            self._life.set()
            self._life = None
            with suppress(OSError):
                (self.folder / "alive" / self.owner).unlink()

    # -- one claim -----------------------------------------------------------------------------

    def _take(self, path: str) -> bool:
        for _ in range(3):  # once, and again after each dead owner that stood in the way
            try:
                self._place(path)
            except FileExistsError:
                claim = Path(path)
                owner = _read(claim)
                if owner is None:
                    continue  # given back just now
                if not self._dead(claim, owner) or not self._bury(claim, owner):
                    return False
            else:
                return True
        return False

    def _place(self, path: str) -> None:
        """Make the file of a claim; FileExistsError when there is one."""
        try:
            os.link(self._sign, path)
        except FileExistsError:
            raise
        except OSError:  # too many links, or none on this file system
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                os.write(handle, f"{self.owner}\n".encode())
            except OSError:
                os.unlink(path)  # noqa: PTH108  # paths as objects cost more than the call
                raise
            finally:
                os.close(handle)

    def _bury(self, path: Path, owner: str) -> bool:
        """Take a dead owner's claim away; put it back if it is another's by now."""
        grave = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            path.rename(grave)
        except FileNotFoundError:
            return True  # someone else did
        theirs = _read(grave) != owner
        if theirs:
            with suppress(OSError):
                os.link(grave, path)  # unless a third one claims it already
        with suppress(OSError):
            grave.unlink()
        return not theirs

    # -- life and death ------------------------------------------------------------------------

    def live(self) -> None:
        """Give a sign of life from now on; what this process leaves lying is not an orphan's.

        Raises: OSError when the store cannot be written.
        """
        if self._life is not None:
            return
        for name in ("claims", "alive"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._sign = sign = str(self.folder / "alive" / self.owner)
        about = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
        try:
            Path(sign).write_text(f"{self.owner}\n{json.dumps(about)}\n", "utf-8")
            self._wait_for_upkeep()
        except BaseException:
            with suppress(OSError):
                os.unlink(sign)  # noqa: PTH108  # as below
            raise
        self._life = ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT):
                with suppress(OSError):  # a full disk still lets a file be touched
                    os.utime(sign)

        threading.Thread(target=beat, daemon=True, name="sign of life").start()

    def _wait_for_upkeep(self) -> None:
        """Wait while someone removes from the store: it looks for signs of life after its claim."""
        last = time.monotonic() + REMOVING
        while (owner := self.holder(UPKEEP)) is not None:
            if time.monotonic() > last:
                who = f"{self.told(owner)} is removing from the store"
                raise OSError(errno.EBUSY, f"{who}; run again when it has ended")
            time.sleep(0.1)

    def dead(self, owner: str) -> bool:
        """Return whether an owner has died or let go of all it had; a strange name never has."""
        if owner.count("-") != _DASHES:
            return False
        where, pid, born, _ = owner.split("-")
        if where == place() and _birth(os.getpid()):
            return not pid.isdigit() or _birth(int(pid)) != born
        stamp = _stamp(self.folder / "alive" / owner)
        return stamp is None or self._unchanged(owner, stamp, SILENCE)

    def sign_of(self, owner: str) -> object:
        """Return an owner's sign of life: another one each time that it gives one."""
        return _stamp(self.folder / "alive" / owner)

    def others(self) -> list[str]:
        """Return the owners but this one that give signs of life and are not known to be dead."""
        signs = [entry.name for entry in files_below(self.folder / "alive")]
        owners = [name for name in signs if name.count("-") == _DASHES and name != self.owner]
        return [owner for owner in owners if not self.dead(owner)]

    def _dead(self, path: Path, owner: str) -> bool:
        """Return whether the owner that a claim names is dead; a claim may still lack the name."""
        if owner.count("-") != _DASHES:
            return self._unchanged(f"torn {path.name}", _stamp(path), TORN)
        return self.dead(owner)

    def _unchanged(self, name: str, stamp: object, limit: float) -> bool:
        """Return whether a stamp has been the same for `limit` seconds of watching it."""
        now = time.monotonic()
        before = self._seen.get(name)
        if before is None or before[0] != stamp:
            self._seen[name] = (stamp, now)
            return False
        return now - before[1] > limit


def owner_name() -> str:
    """Return a name for this process that tells whether it is still alive."""
    pid = os.getpid()
    return f"{place()}-{pid}-{_birth(pid) or 0}-{uuid.uuid4().hex[:8]}"


def _read(path: Path) -> str | None:
    """Return the owner that a claim names, None when there is no such claim."""
    try:
        with open_plain(path) as stream:
            return stream.read(_SIGN).decode("utf-8", errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return None


def _stamp(path: Path) -> object:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _birth(pid: int) -> str:
    """Return when a process of this machine began, empty when it is gone or there is no telling.

    Its number alone would not do: the system gives numbers of dead processes to new ones.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


@cache
def place() -> str:
    """Return the name of this booted machine and process namespace: where process numbers count."""
    import hashlib

    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]
