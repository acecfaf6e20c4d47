"""What became of a node: a result as its record, or a failure in words."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.computing.parcels import identified
from runner.computing.work import Done, Work
from runner.errors import Failure, RunnerError
from runner.language.check import Check
from runner.plugin import signature
from runner.storage.codec import Writer
from runner.storage.records import Record
from runner.storage.store import Store, write_error
from runner.types import Table, Verdict

LOG_LIMIT = 20_000  # characters of a node's output kept in its record
Made = tuple[Record, Done]  # a result as it will be stored, and what is told of it


def recorded(store: Store, work: Work, value: Any, seconds: float, log: str) -> Made | Done:
    """Return the record of a result, its objects stored, or the failure that it is.

    Raises: StoreError; TypeError or ValueError when the plugin gave what it does not declare.
    """
    if isinstance(value, Verdict) and work.must_hold and not value.holds:
        failure = Failure("expectation", f"{value.check}: {value.detail}")
        return Done(work.key, None, failure, value, log, seconds)
    _check_columns(work, value)
    writer = Writer(store)
    outputs = (
        {"": Verdict} if isinstance(work.plugin, Check) else signature(type(work.plugin)).outputs
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


def failed(work: Work, error: BaseException, seconds: float, log: str) -> Done:
    """Return what is told of a node that raised; a user's error needs no traceback."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = write_error(Path(error.filename or "the node's own files"), error)
    kind = type(error).__name__
    trace = "" if isinstance(error, RunnerError) else traceback.format_exc()
    return Done(work.key, None, Failure(kind, str(error), trace), None, log, seconds)


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
