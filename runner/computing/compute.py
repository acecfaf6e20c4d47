"""One parcel of nodes, computed where it lands: inputs read, plugin run, results stored.

This is all that a worker does. It is handed pure data and returns records, never arrays.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runner.computing.batch import Batch
from runner.computing.inputs import Inputs
from runner.computing.results import Made, as_done, failed, recorded
from runner.computing.work import Done, Parcel, Work
from runner.errors import PluginError, StoreError
from runner.language.check import Check
from runner.plugin import signature
from runner.registry import Registry
from runner.storage.records import made_of
from runner.storage.store import Store
from runner.types import Circumstance, Json, Seed

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Outcome = tuple[Work, Made | Done]  # a `Done` alone is a failure


@dataclass
class Workshop:
    """Where parcels are computed: a store, a registry and recently read inputs."""

    store: Store
    registry: Registry
    run: str
    progress_file: Path | None = None
    _made: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inputs = Inputs(self.store, self.registry, self._run)

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
        batch = Batch(self.store, self._provenance(parcel))
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
                self._inputs.look_through(work)
            return failed(work, error, time.perf_counter() - started, log.getvalue())
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
                yield works[0], failed(works[0], error, seconds, log.getvalue())
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
                yield work, failed(work, wrong, share, log.getvalue())
            return
        for work, value in zip(works, values, strict=True):
            yield work, self._kept(work, value, share, log.getvalue())

    def _kept(self, work: Work, value: Any, seconds: float, log: str) -> Made | Done:
        """Store a result; what cannot be stored is a failure of this node alone."""
        try:
            return recorded(self.store, work, value, seconds, log)
        except Exception as error:
            return failed(work, error, seconds, log)

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
        ports = {
            name: self._inputs.value(source, device, threads) for name, source in work.ports.items()
        }
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
                    self._inputs.value(w.ports[name], parcel.device, parcel.threads)
                    for w in parcel.works
                ]
            else:
                ports[name] = self._inputs.value(first.ports[name], parcel.device, parcel.threads)
        ports |= self._injected(first, parcel.device, parcel.threads, len(parcel.works))
        if (port := signature(cls).port_of(Seed)) in cls.varies:
            ports[str(port)] = [Seed(work.seed or 0) for work in parcel.works]
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
