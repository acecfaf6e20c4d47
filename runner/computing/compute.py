"""One parcel of nodes, computed where it lands: inputs read, plugin run, results stored.

This is all that a worker does. It is handed pure data and returns records, never arrays.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import platform
import socket
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runner.computing.parcels import identified
from runner.computing.work import Done, Fresh, Gathered, Parcel, Source, Stacked, Stored, Work
from runner.errors import Failure, PluginError, RunnerError, StoreError, StoreFullError
from runner.language.check import Check
from runner.planning.tables import Piece, together
from runner.plugin import signature
from runner.registry import Registry
from runner.storage.codec import Reader, Writer
from runner.storage.records import Record, made_of
from runner.storage.store import Store, write_error
from runner.types import Arrays, Circumstance, Json, Seed, Table, Verdict

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
REMEMBERED = 64  # input values kept between parcels
LOG_LIMIT = 20_000  # characters of a node's output kept in its record
SYNC_AFTER = 0.05  # seconds; nodes that finish within it become durable together
FULL = StoreFullError.__name__
Made = tuple[Record, Done]  # a result as it will be stored, and what is told of it
Outcome = tuple[Work, Made | Done]  # a `Done` alone is a failure


@dataclass
class Workshop:
    """Where parcels are computed: a store, a registry and recently read inputs."""

    store: Store
    registry: Registry
    run: str
    progress_file: Path | None = None
    _memory: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    _made: dict[str, Json] = field(default_factory=dict)

    def compute(self, parcel: Parcel) -> list[Done]:
        """Compute a parcel's nodes and store them; report each one's outcome.

        Once the disk is full nothing more is begun; what was not is not reported.
        What another run stored by now is taken; what another run is computing is left to it.
        """
        _limit_threads(parcel.threads)
        done: dict[str, Done] = {}
        with self.store.claimed(work.key for work in parcel.works) as mine:
            self.store.refresh()
            for work in parcel.works:
                if self.store.has(work.key):
                    done[work.key] = as_done(self.store, work.key)
                elif work.key not in mine:
                    done[work.key] = Done(work.key, None)
            rest = tuple(work for work in parcel.works if work.key not in done)
            if rest:
                done |= self._computed(replace(parcel, works=rest))
        return [done[work.key] for work in parcel.works if work.key in done]

    def _computed(self, parcel: Parcel) -> dict[str, Done]:
        batch = _Batch(self.store, self._provenance(parcel))
        try:
            for work, value in self._fused(parcel) if parcel.fused else self._singly(parcel):
                batch.add(work, value)
                if batch.full:
                    break  # what was not begun is not run: there is no room for its result
        finally:  # an interrupt loses nothing that is finished
            batch.sync()
        return batch.done

    def _singly(self, parcel: Parcel) -> Iterator[Outcome]:
        for work in parcel.works:
            yield work, self._single(work, parcel.device, parcel.threads)

    def _single(self, work: Work, device: str, threads: int) -> Made | Done:
        started = time.perf_counter()
        log = io.StringIO()
        try:
            with _captured(log):
                value = self._run(work, device, threads)
        except (Exception, SystemExit) as error:
            if isinstance(error, StoreError):
                self._look_through(work)
            return _failed(work, error, time.perf_counter() - started, log.getvalue())
        return self._kept(work, value, time.perf_counter() - started, log.getvalue())

    def _fused(self, parcel: Parcel) -> Iterator[Outcome]:
        """Run one batch; when it fails, each node is tried alone, so that its mates survive."""
        started = time.perf_counter()
        log = io.StringIO()
        works = parcel.works
        try:
            with _captured(log):
                values = list(self._run_batch(parcel))
        except (Exception, SystemExit) as error:
            if len(works) == 1:
                seconds = time.perf_counter() - started
                yield works[0], _failed(works[0], error, seconds, log.getvalue())
            else:
                yield from self._singly(parcel)
            return
        share = (time.perf_counter() - started) / len(works)
        if len(values) != len(works):  # whose is whose cannot be known
            name = type(works[0].plugin).__name__
            wrong = PluginError(
                f"{name}.run_batch gave {len(values)} results for {len(works)} nodes; it must "
                "yield one for each, in their order"
            )
            for work in works:
                yield work, _failed(work, wrong, share, log.getvalue())
            return
        for work, value in zip(works, values, strict=True):
            yield work, self._kept(work, value, share, log.getvalue())

    def _kept(self, work: Work, value: Any, seconds: float, log: str) -> Made | Done:
        """Store a result; what cannot be stored is a failure of this node alone."""
        try:
            return self._stored(work, value, seconds, log)
        except Exception as error:
            return _failed(work, error, seconds, log)

    def drawn(self, work: Work, device: str = "cpu", threads: int = 1) -> Any:
        """Return what a node comes to, without storing it; None when it fails."""
        try:
            with _captured(io.StringIO()):
                return self._run(work, device, threads)
        except (Exception, SystemExit):
            return None

    # -- running -------------------------------------------------------------------------------

    def _run(self, work: Work, device: str, threads: int) -> Any:
        plugin = work.plugin
        ports = {name: self._value(source, device, threads) for name, source in work.ports.items()}
        if not isinstance(plugin, Check):
            ports |= self._injected(work, device, threads)
        return plugin.run(**ports)

    def _run_batch(self, parcel: Parcel) -> Iterator[Any]:
        first = parcel.works[0]
        cls = type(first.plugin)
        ports: dict[str, Any] = {}
        for name in first.ports:
            if name in cls.varies:
                ports[name] = [
                    self._value(w.ports[name], parcel.device, parcel.threads) for w in parcel.works
                ]
            else:
                ports[name] = self._value(first.ports[name], parcel.device, parcel.threads)
        ports |= self._injected(first, parcel.device, parcel.threads, len(parcel.works))
        run_batch = cls.run_batch  # type: ignore[attr-defined]  # the planner saw that it is there
        results: Iterator[Any] = run_batch([work.plugin for work in parcel.works], **ports)
        return results

    def _injected(self, work: Work, device: str, threads: int, count: int = 1) -> dict[str, Any]:
        found = signature(type(work.plugin))
        injected: dict[str, Any] = {}
        if (port := found.port_of(Seed)) is not None:
            injected[port] = Seed(work.seed or 0)
        if (port := found.port_of(Circumstance)) is not None:
            scratch = self.store.scratch(work.key)
            label = work.label if count == 1 else f"{work.label} and {count - 1} more"
            progress = _Progress(self.progress_file, label)
            injected[port] = Circumstance(device, threads, scratch, progress)
        return injected

    # -- inputs --------------------------------------------------------------------------------

    def _value(self, source: Source, device: str, threads: int) -> Any:
        match source:
            case Stored(key, description, output, checkpoint):
                reader = Reader(self.store, self.registry)
                return self._remember(
                    (key, output, checkpoint), lambda: reader.load(description, output, checkpoint)
                )
            case Fresh(work, output, checkpoint):
                value = self._remember((work.key,), lambda: self._fresh(work, device, threads))
                return _selected(value, output, checkpoint)
            case Gathered(parts, where, derive):
                pieces = [
                    Piece(step, axes, [(c, self._value(s, device, threads)) for c, s in members])
                    for step, axes, members in parts
                ]
                return together(pieces, where, derive)
            case Stacked(axes, members):
                return _stacked(axes, [(c, self._value(s, device, threads)) for c, s in members])

    def _fresh(self, work: Work, device: str, threads: int) -> Any:
        value = self._run(work, device, threads)
        self.store.drop_scratch(work.key)
        return value

    def _remember(self, name: Any, make: Any) -> Any:
        if name in self._memory:
            self._memory.move_to_end(name)
            return self._memory[name]
        value = make()
        self._memory[name] = value
        if len(self._memory) > REMEMBERED:
            self._memory.popitem(last=False)
        return value

    def _look_through(self, work: Work) -> None:
        """Set aside all damaged inputs of a node, so that one more run makes them all anew."""
        for key in {key for source in work.ports.values() for key in _stored(source)}:
            for digest in self.store.records.objects(key) or ():
                with contextlib.suppress(StoreError):
                    self.store.read(digest)

    # -- results -------------------------------------------------------------------------------

    def _stored(self, work: Work, value: Any, seconds: float, log: str) -> Made | Done:
        if isinstance(value, Verdict) and work.must_hold and not value.holds:
            failure = Failure("expectation", f"{value.check}: {value.detail}")
            return Done(work.key, None, failure, value, log, seconds)
        _check_columns(work, value)
        writer = Writer(self.store)
        outputs = (
            {"": Verdict}
            if isinstance(work.plugin, Check)
            else signature(type(work.plugin)).outputs
        )
        _check_kinds(work, value, outputs)
        if "" in outputs:
            description = writer.describe(value)
        else:
            parts = {name: writer.describe(getattr(value, name)) for name in outputs}
            description = {"type": "Outputs", "outputs": parts}
        record = identified(work) | {
            "outputs": description,
            "objects": writer.objects,
            "seconds": round(seconds, 4),
            "log": log[-LOG_LIMIT:],
        }
        verdict = value if isinstance(value, Verdict) else None
        return record, Done(work.key, None, None, verdict, log, seconds)

    def _provenance(self, parcel: Parcel) -> bytes:
        if not self._made:
            self._made = {
                "run": self.run,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "python": platform.python_version(),
                "versions": {name: _version(name) for name in ("runner", "torch", "numpy")},
            }
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about: dict[str, Json] = {
            "at": now, "use": parcel.use, "code": dict(parcel.code),
            "device": parcel.device, "threads": parcel.threads,
        }  # fmt: skip
        return made_of(self._made | about)


class _Batch:
    """Finished nodes: each is written at once; they become durable together where they come fast.

    Waiting for the disk takes longer than many a node does.
    """

    def __init__(self, store: Store, made: bytes) -> None:
        self.store = store
        self.made = made
        self.done: dict[str, Done] = {}
        self.waiting: list[str] = []  # keys of what is written and not yet durable
        self.last = time.monotonic()
        self.full = False  # whether the disk is

    def add(self, work: Work, value: Made | Done) -> None:
        """Take what became of a node."""
        if isinstance(value, Done):
            self.done[work.key] = value
            failure = value.failure
            self.full = self.full or (failure is not None and failure.kind == FULL)
            self.store.drop_scratch(work.key, only_empty=True)
            return
        record, done = value
        try:
            self.store.write(self.made, [record])
        except StoreError as error:
            self.done[work.key] = replace(done, failure=self._failure(error))
            return
        self.done[work.key] = replace(done, entry=self.store.records.entry(work.key))
        self.waiting.append(work.key)
        if time.monotonic() - self.last > SYNC_AFTER:
            self.sync()

    def sync(self) -> None:
        """Make what is written durable; what cannot be has failed."""
        keys, self.waiting = self.waiting, []
        if keys:
            try:
                self.store.sync()
            except StoreError as error:
                for key in keys:
                    self.done[key] = replace(
                        self.done[key], entry=None, failure=self._failure(error)
                    )
                return
            for key in keys:
                self.store.drop_scratch(key)
        self.last = time.monotonic()

    def _failure(self, error: StoreError) -> Failure:
        self.full = self.full or isinstance(error, StoreFullError)
        return Failure(type(error).__name__, str(error))


def as_done(store: Store, key: str) -> Done:
    """Return what became of a node that is stored already."""
    record = store.records[key]
    return Done(
        key, store.records.entry(key), verdict=verdict_of(record), log=record["log"],
        seconds=record["seconds"], run=record["made"]["run"],
    )  # fmt: skip


def verdict_of(record: Record) -> Verdict | None:
    """Return the verdict that a record holds, if it is one of a check."""
    described = record["outputs"]
    if described["type"] != "Verdict":
        return None
    return Verdict(
        described["holds"], described["check"], described["detail"], described["worst"],
        described["judged"],
    )  # fmt: skip


def _stored(source: Source) -> Iterator[str]:
    """Yield the keys of the stored nodes that a port reads."""
    match source:
        case Stored(key=key):
            yield key
        case Fresh(work=work):
            for port in work.ports.values():
                yield from _stored(port)
        case Gathered(parts=parts):
            for _, _, members in parts:
                for _, member in members:
                    yield from _stored(member)
        case Stacked(members=members):
            for _, member in members:
                yield from _stored(member)


def _selected(value: Any, output: str, checkpoint: Any) -> Any:
    from runner.types import Dataset, Trained

    if isinstance(value, Dataset) and output:
        return value[output]
    if isinstance(value, Trained) and output == "history":
        return value.history
    if isinstance(value, Trained) and checkpoint is not None:
        named = {"best": value.best, "last": value.last}
        return named[checkpoint] if checkpoint in named else value.checkpoints[int(checkpoint)]
    return getattr(value, output) if output else value


def _check_kinds(work: Work, value: Any, outputs: Mapping[str, type]) -> None:
    for name, kind in outputs.items():
        given = getattr(value, name, None) if name else value
        if not isinstance(given, kind):
            what = f"output {name!r}" if name else "result"
            raise TypeError(
                f"{type(work.plugin).__name__} declares a {kind.__name__} as its {what}, "
                f"but gave a {type(given).__name__}"
            )


def _check_columns(work: Work, value: Any) -> None:
    declared = set(type(work.plugin).columns)
    if isinstance(value, Table) and declared and set(value.columns) != declared:
        extra, lacking = set(value.columns) - declared, declared - set(value.columns)
        raise ValueError(
            f"{type(work.plugin).__name__} declares other columns than it gives: "
            f"undeclared {sorted(extra)}, not given {sorted(lacking)}"
        )


def _stacked(axes: tuple[str, ...], members: list[tuple[tuple[Any, ...], Arrays]]) -> Arrays:
    """Return arrays with the gathered cells along a new first dimension, and their coordinates."""
    import numpy as np

    first = members[0][1]
    arrays = {
        name: np.stack([np.asarray(value.arrays[name]) for _, value in members])
        for name in first.arrays
    }
    dimensions = {name: ("cell", *names) for name, names in first.dimensions.items()}
    for position, axis in enumerate(axes):
        labels = [coordinates[position] for coordinates, _ in members]
        arrays[axis] = np.asarray(labels)
        dimensions[axis] = ("cell",)
    return Arrays(arrays, dimensions)


def _failed(work: Work, error: BaseException, seconds: float, log: str) -> Done:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = write_error(Path(error.filename or "the node's own files"), error)
    kind = type(error).__name__
    trace = "" if isinstance(error, RunnerError) else traceback.format_exc()
    return Done(work.key, None, Failure(kind, str(error), trace), None, log, seconds)


@contextlib.contextmanager
def _captured(log: io.StringIO) -> Iterator[None]:
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield


def _limit_threads(threads: int) -> None:
    if any(os.environ.get(name) != str(threads) for name in THREAD_VARIABLES):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))  # torch heeds MKL's too
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


class _Progress:
    """Writes how far a node is to a small file that the runner reads, a few times a second."""

    def __init__(self, file: Path | None, label: str) -> None:
        self.file = file
        self.label = label
        self.last = 0.0

    def __call__(self, done: float, total: float, unit: str) -> None:
        now = time.monotonic()
        if self.file is None or now - self.last < 0.3:
            return
        self.last = now
        text = json.dumps({"label": self.label, "done": done, "total": total, "unit": unit})
        with contextlib.suppress(OSError):  # progress is advisory: a full disk shows elsewhere
            aside = self.file.with_suffix(".tmp")
            aside.write_text(text, "utf-8")
            aside.replace(self.file)
