"""What happens on a Dask worker: it is looked over once for each run, then computes parcels.

The worker's process computes one parcel at a time, however many threads Dask gives it, and stops
in the middle of one as soon as the run that asked for it is over.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runner.computing.compute import THREAD_VARIABLES
from runner.computing.executors import PoolError, close_here
from runner.computing.work import Done, Fresh, Gathered, Source, Stacked, Work
from runner.key import digest
from runner.planning.code import CodeReader
from runner.registry import Registry

LIBRARIES = ("torch", "numpy", "pandas", "scipy")  # other versions may give other numbers
_LOOK = 0.25  # seconds between looks at whether a parcel is still wanted


class NotAdmitted(Exception):  # noqa: N818  # what happened: the worker was restarted unseen
    """A worker was handed a parcel of a run that has not looked it over."""


class _RunEnded(BaseException):
    """Raised inside a parcel that nobody waits for any more."""


def engine_digest() -> str:
    """Return the digest of the part of this package that a worker runs."""
    return digest(CodeReader({"runner": Path(__file__).parents[1]}).reach(__name__))


_ENGINE = engine_digest()  # as it was imported: files may change while a worker lives
_admitted: set[str] = set()  # tokens of runs
_checked: set[tuple[str, str]] = set()  # run and module whose code was found to be the run's
_busy = threading.Lock()


@dataclass(frozen=True)
class Passport:
    """What a worker must agree with."""

    run: str
    seen: str  # path of a file in the store's folder
    words: str  # that file's text
    paths: tuple[str, ...]  # folders that hold the project's plugin packages
    packages: tuple[str, ...]  # their names
    engine: str = _ENGINE
    python: tuple[int, int] = sys.version_info[:2]
    own: bool = False  # whether the runner started the worker, on its own machine
    patience: float = 10.0  # seconds for a new file to be seen through a network file system


@dataclass(frozen=True)
class Admission:
    """What a worker says of itself. It may compute when `wrong` is empty."""

    wrong: str
    libraries: Mapping[str, str]


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that numbers depend on, of those installed."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


async def admit(passport: Passport) -> Admission:
    """Look this worker over and prepare it for the parcels of a run."""
    wrong = _differs(passport) or await _unseen(passport)
    if not wrong:
        if passport.own and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner
        if not {"torch", "numpy"} & set(sys.modules):  # they read these when they are imported
            os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        sys.path[:] = [*passport.paths, *(p for p in sys.path if p not in passport.paths)]
        _forget(passport.packages)
        _admitted.add(passport.run)
    return Admission(wrong, libraries())


def _differs(passport: Passport) -> str:
    here = sys.version_info[:2]
    if here != passport.python:
        theirs, ours = (".".join(map(str, v)) for v in (here, passport.python))
        return f"runs Python {theirs}, the runner {ours}; start it from the same environment"
    if passport.engine != _ENGINE and not passport.own:  # its own are started from its own files
        return (
            "runs another version of runner, or one that was changed since the worker was "
            "started; restart it, from the same installation as the runner's"
        )
    return ""


async def _unseen(passport: Passport) -> str:
    """Return what is wrong with this worker's view of the store's folder."""
    file = Path(passport.seen)
    deadline = time.monotonic() + passport.patience
    while not file.is_file():
        if time.monotonic() > deadline:
            return (
                f"does not see the store: there is no {file} on {socket.gethostname()}; put "
                "--artifacts on a file system that runner and workers share, at the same path"
            )
        await asyncio.sleep(0.2)
    if file.read_text("utf-8") != passport.words:
        return f"sees another store at {file.parent}; mount the runner's at the same path"
    mark = file.with_name(f"{socket.gethostname()}-{os.getpid()}.mark")
    try:
        mark.touch()
        mark.unlink()
    except OSError as error:
        return f"may not write to the store ({error.strerror}): {file.parent}; give it the right"
    return ""


def _forget(packages: Iterable[str]) -> None:
    """Unload plugin packages: a worker that served earlier runs may hold what was edited since."""
    tops = set(packages)
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]
    importlib.invalidate_caches()


def compute_there(payload: bytes, run: str) -> list[Done]:
    """Compute a parcel on this worker.

    Raises: NotAdmitted; PoolError when the plugins' code is not what the run was planned with.
    """
    while not _busy.acquire(timeout=_LOOK):  # never for ever: an exception must get through
        pass
    try:
        if run not in _admitted:
            raise NotAdmitted
        with _only_while_wanted():
            compute, parcel, place, code = pickle.loads(payload)  # sent by the runner, not stored
            _check_code(place.registry, code, run)
            done: list[Done] = compute(parcel, place)
            return done
    finally:
        if run not in _admitted:
            close_here()
        _busy.release()


def dismiss(run: str) -> None:
    """Let go of what this worker holds open for a run that is over."""
    _admitted.discard(run)
    if _busy.acquire(blocking=False):  # else the parcel does it as it ends
        try:
            close_here()
        finally:
            _busy.release()


# -- code ------------------------------------------------------------------------------------------


def modules_of(works: Iterable[Work]) -> set[str]:
    """Return the modules of the works' plugins and of those whose values they make on the way."""
    found: set[str] = set()
    for work in works:
        module = type(work.plugin).__module__
        if not module.startswith("runner."):  # the engine's own is compared as a whole
            found.add(module)
        for source in work.ports.values():
            found |= modules_of(_fresh(source))
    return found


def _fresh(source: Source) -> Iterator[Work]:
    match source:
        case Fresh(work=work):
            yield work
        case Gathered(parts=parts):
            for _, _, members in parts:
                for _, member in members:
                    yield from _fresh(member)
        case Stacked(members=members):
            for _, member in members:
                yield from _fresh(member)


def _check_code(registry: Registry, code: Mapping[str, Mapping[str, str]], run: str) -> None:
    new = {module for module in code if (run, module) not in _checked}
    reader = CodeReader(registry.packages(new)) if new else None
    for module in sorted(new):
        here = reader.reach(module) if reader else {}
        files = sorted({*here, *code[module]})
        if other := [file for file in files if here.get(file) != code[module].get(file)]:
            raise PoolError(
                f"a Dask worker on {socket.gethostname()} has other code than this run was "
                f"planned with: {', '.join(other[:5])} (another checkout, or edited since); bring "
                "both to the same code and run again, nothing done is lost"
            )
        _checked.add((run, module))


# -- ending early ----------------------------------------------------------------------------------


@contextmanager
def _only_while_wanted() -> Iterator[None]:
    """Interrupt what is inside when Dask has called off the call that this thread runs.

    Dask itself lets a call that was cancelled run to its end: hours, for a long node.
    """
    wanted = _wanted()
    thread, over, guard = threading.get_ident(), threading.Event(), threading.Lock()
    fired = False

    def look() -> None:
        nonlocal fired
        while not over.wait(_LOOK):
            if wanted():
                continue
            with guard:
                if not over.is_set():
                    fired = True
                    _raise_in(thread)
            return

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    except _RunEnded:
        fired = False  # it has arrived
        raise RuntimeError("called off: the run that asked for this is over") from None
    finally:
        with guard:
            over.set()
        while fired:  # on its way: let it arrive here and nowhere else
            try:
                time.sleep(0.01)
            except _RunEnded:
                fired = False


def _wanted() -> Callable[[], bool]:
    """Return what tells whether the call of this thread is still wanted."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        call = worker.state.tasks.get(key)
        ending = worker.status.name in ("closing", "closed", "failed")
        return not ending and call is not None and call.state == "executing"

    return wanted


def _raise_in(thread: int) -> None:
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_exception(ctypes.c_ulong(thread), ctypes.py_object(_RunEnded))
