"""`runner store gc`: what no node needs, and what the criteria name, goes; the logs become one.

Records go before their objects: killed at any moment, this leaves objects that no record names,
which the next time removes.
"""

from __future__ import annotations

import calendar
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.storage.alone import alone
from runner.storage.merging import lines_of, rewrite
from runner.storage.plain import files_below
from runner.storage.store import Store, write_error
from runner.storage.upkeep import bytes_of, size_text, step_of

FRESH = 3600.0  # seconds by the clock of the file system in which nothing of unknown owner goes
_MOST = 10  # steps that are named
Reached = Callable[[], frozenset[str]] | None  # keys that specs reach, asked only where it matters


@dataclass(frozen=True)
class Criteria:
    """Which nodes go: those for which all that is given holds; none where nothing is given."""

    unreachable: bool = False
    older_than: float | None = None  # seconds
    larger_than: int | None = None  # bytes of a node's objects
    to_size: int | None = None  # bytes; the oldest go, until objects and logs take no more
    damaged: bool = False  # also what was set aside as damaged

    @property
    def any(self) -> bool:
        """Whether any node may go."""
        given = (self.older_than, self.larger_than, self.to_size)
        return self.unreachable or any(value is not None for value in given)


@dataclass
class Sweep:
    """What goes, with sizes in bytes."""

    nodes: list[str] = field(default_factory=list)  # keys
    steps: Counter[str] = field(default_factory=Counter)
    objects: dict[str, int] = field(default_factory=dict)  # of these nodes and of no other
    orphans: dict[str, int] = field(default_factory=dict)
    fresh: int = 0  # orphans that stay for now
    unknown: int = 0  # scratch folders that stay, as no spec was named
    scratch: dict[Path, int] = field(default_factory=dict)
    left: dict[Path, int] = field(default_factory=dict)  # by killed runs
    damaged: dict[Path, int] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)  # that become one
    viewed: int = 0  # bytes that stay on the disk, as views

    @property
    def size(self) -> int:
        """Bytes in all."""
        parts = (self.objects, self.orphans, self.scratch, self.left, self.damaged)
        return sum(sum(part.values()) for part in parts)


def survey(store: Store, criteria: Criteria, reached: Reached, now: float) -> Sweep:
    """Return what would go; `now` is the time from which ages of nodes are counted.

    Raises: StoreError when the store cannot be read; whatever `reached` raises.
    """
    store.refresh()
    sweep = Sweep()
    there = {Path(e.path): bytes_of(e) for e in files_below(store.folder / "objects")}
    sizes = {path.name: size for path, size in there.items()}
    uses = Counter(d for key in store.records for d in store.records.objects(key) or ())
    clock = _clock(store)
    for path, size in there.items():
        if path.name not in uses:
            if _since(path, clock) > FRESH:
                sweep.orphans[path.name] = size
            else:
                sweep.fresh += 1
    logs = [Path(path) for _, path in store.logs.listed()]
    room = sum(sizes.values()) - sum(sweep.orphans.values()) + sum(map(_length, logs))
    for key in _candidates(store, criteria, reached, now) if criteria.any else ():
        if criteria.to_size is not None and room <= criteria.to_size:
            break
        sweep.nodes.append(key)
        sweep.steps[step_of(store, key)] += 1
        for digest in store.records.objects(key) or ():
            uses[digest] -= 1
            if not uses[digest] and digest in sizes:
                sweep.objects[digest] = sizes[digest]
                room -= sizes[digest]
    sweep.viewed = sum(
        size for path, size in there.items()
        if path.name in sweep.objects and path.lstat().st_nlink > 1
    )  # fmt: skip
    gone = set(sweep.nodes)
    sweep.scratch, sweep.unknown = _scratch(store, gone, reached)
    sweep.left = _left(store, clock)
    if criteria.damaged:
        sweep.damaged = {Path(e.path): bytes_of(e) for e in files_below(store.folder / "damaged")}
    if len(logs) > 1 or gone or any(x.entries is None for log in logs for x in lines_of(log)):
        sweep.logs = logs
    return sweep


def collect(
    store: Store, criteria: Criteria, reached: Reached, note: Callable[[str], None]
) -> Sweep:
    """Remove what `survey` finds, alone in the store; return what went.

    Raises: StoreError when another process is at work, or the store cannot be read or written;
    whatever `reached` raises. Nothing has gone then, or what went was whole.
    """
    survey(store, criteria, reached, time.time())  # what is wrong shows before anyone has to wait
    with alone(store, note):
        sweep = survey(store, criteria, reached, time.time())
        gone = set(sweep.nodes)
        if sweep.logs:
            rewrite(store, sweep.logs, lambda *record: record[2] in gone)
        try:
            for digest in (*sweep.objects, *sweep.orphans):
                store.object_path(digest).unlink(missing_ok=True)
            for path in (*sweep.scratch, *sweep.left, *sweep.damaged):
                _remove(path)
        except OSError as error:
            raise write_error(store.folder, error) from error
    return sweep


# -- what goes -------------------------------------------------------------------------------------


def _candidates(store: Store, criteria: Criteria, reached: Reached, now: float) -> Iterator[str]:
    """Yield the keys for which all criteria hold, the oldest first."""
    keep = reached() if criteria.unreachable and reached else frozenset()
    dates: dict[bytes, float | None] = {}
    found = []
    for key in store.records:
        entry = store.records.entry(key)
        if entry is None or key in keep:
            continue
        if entry[0] not in dates:
            dates[entry[0]] = _date(entry[0])
        made = dates[entry[0]]
        if criteria.older_than is not None and (made is None or now - made < criteria.older_than):
            continue
        size = sum((store.records.objects(key) or {}).values())
        if criteria.larger_than is not None and size < criteria.larger_than:
            continue
        found.append((made if made is not None else now, key))
    found.sort(key=lambda item: item[0])
    return (key for _, key in found)


def _date(made: bytes) -> float | None:
    """Return when a node was made, in seconds; None when its record does not say."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        return calendar.timegm(time.strptime(json.loads(made)["at"], "%Y-%m-%dT%H:%M:%SZ"))
    return None


def _scratch(store: Store, gone: set[str], reached: Reached) -> tuple[dict[Path, int], int]:
    """Return the scratch of stored nodes and of unfinished ones that no spec reaches.

    The number is of those that stay because it is not known what specs reach.
    """
    paths = _listed(store.folder / "scratch")
    over = [path for path in paths if path.name in store.records and path.name not in gone]
    unfinished = [path for path in paths if path not in over]
    if unfinished and reached is None:
        return {path: _below(path) for path in over}, len(unfinished)
    keep = reached() if unfinished and reached else frozenset()
    over += [path for path in unfinished if path.name not in keep]
    return {path: _below(path) for path in over}, 0


def _left(store: Store, clock: float) -> dict[Path, int]:
    """Return what killed processes were writing."""
    found = {}
    for path in (*_listed(store.folder / "aside"), *_listed(store.folder / "progress")):
        owner = path.name.rpartition("-")[0]
        if owner == store.claims.owner:
            continue
        if store.claims.dead(owner) or _since(path, clock) > FRESH:
            found[path] = _below(path)
    return found


def _clock(store: Store) -> float:
    """Return the present by the clock that dates the files of the store."""
    sign = store.folder / "alive" / store.claims.owner
    with suppress(OSError):
        return sign.stat().st_mtime
    return time.time()


def _since(path: Path, clock: float) -> float:
    try:
        return clock - path.lstat().st_mtime
    except OSError:
        return 0.0


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _below(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(bytes_of(entry) for entry in files_below(path))
    return _length(path)


def _length(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# -- telling ---------------------------------------------------------------------------------------


def told(sweep: Sweep, why: str, done: bool) -> Iterator[str]:
    """Yield what goes or went, by reason; `why` says which nodes were asked for."""
    if sweep.nodes:
        nodes = "node" if len(sweep.nodes) == 1 else "nodes"
        size = size_text(sum(sweep.objects.values()))
        yield f"{len(sweep.nodes):,} {nodes}{why}: {size}"
        for step, count in sweep.steps.most_common(_MOST):
            yield f"  {count:,} of {step}"
        if len(sweep.steps) > _MOST:
            yield f"  and others of {len(sweep.steps) - _MOST} steps"
    if sweep.viewed:
        yield f"  {size_text(sweep.viewed)} of it stays on the disk, as views"
    for part, what in (
        (sweep.orphans, "objects that no record names"),
        (sweep.scratch, "scratch of nodes that are stored, or that no spec reaches"),
        (sweep.left, "files that killed runs left"),
        (sweep.damaged, "files set aside as damaged"),
    ):
        if part:
            yield f"{len(part):,} {what}: {size_text(sum(part.values()))}"
    if len(sweep.logs) > 1:
        yield f"{len(sweep.logs):,} logs {'became' if done else 'become'} one"
    if sweep.fresh:
        yield f"kept: {sweep.fresh:,} objects that no record names, less than an hour old"
    if sweep.unknown:
        yield f"kept: {sweep.unknown:,} scratch of unfinished nodes; name the specs they are of"
    if not (sweep.size or sweep.nodes or sweep.logs):
        yield "nothing to remove"
    elif done:
        yield f"removed {size_text(sweep.size)}"
    else:
        yield f"{size_text(sweep.size)} in all; nothing was removed: --yes does it"
