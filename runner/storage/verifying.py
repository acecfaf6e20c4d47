"""`runner store verify`: every object read, every record looked through, what is bad set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import DirEntry
from pathlib import Path

from runner.errors import StoreError, listed
from runner.storage.described import DIGEST
from runner.storage.merging import lines_of, rewrite, set_aside
from runner.storage.plain import digest_of, files_below
from runner.storage.records import Entry, parsed, sizes
from runner.storage.store import Store, write_error
from runner.storage.upkeep import bytes_of

Watch = Callable[[int, int], None]  # bytes read so far, of how many


@dataclass(frozen=True)
class Found:
    """A record as it lies in a log; `wrong` says why it cannot be used, if so."""

    log: Path
    number: int
    key: str
    label: str
    objects: dict[str, int]
    wrong: str = ""


@dataclass
class Findings:
    """What verification found: how much was read, and a line for each thing that is bad."""

    nodes: int = 0
    objects: int = 0
    size: int = 0  # bytes of objects
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # keys of nodes that will be computed anew


def verify(store: Store, jobs: int, watch: Watch) -> Findings:
    """Read everything in a store; move what is bad to `damaged/` and remove nothing.

    A record that is bad, or whose objects are not whole, is set aside with its line, so that its
    node is computed anew. Logs that a living process may append to are left as they are.

    Raises: StoreError when the store cannot be read or written.
    """
    store.check_folders()
    findings = Findings()
    records: list[Found] = []
    damaged: dict[Path, list[int]] = {}
    for log in [Path(path) for _, path in store.logs.listed()]:
        _read_log(store, log, records, damaged, findings)
    whole, wrong = _objects(store, jobs, watch, findings)
    users: dict[str, list[Found]] = {}
    for record in records:
        for digest in record.objects:
            users.setdefault(digest, []).append(record)
    for digest, why in wrong.items():
        findings.problems.append(f"object {digest[:12]} {why}: {_named(users.get(digest, ()))}")
    gone: dict[str, list[Found]] = {}
    bad = {(r.log, r.number, r.key): r for r in records if r.wrong}
    for record in records:
        lacking = [d for d, size in record.objects.items() if whole.get(d) != size]
        if lacking:
            bad[record.log, record.number, record.key] = record
        for digest in lacking:
            if digest not in wrong:
                gone.setdefault(digest, []).append(record)
    for digest, owners in gone.items():
        findings.problems.append(f"object {digest[:12]} is missing or cut: {_named(owners)}")
    alive = {r.key for r in records if (r.log, r.number, r.key) not in bad}
    findings.lost = {record.key for record in bad.values()} - alive
    findings.nodes = len(alive)
    _set_aside(store, damaged, bad, findings)
    return findings


def _read_log(
    store: Store,
    log: Path,
    records: list[Found],
    damaged: dict[Path, list[int]],
    findings: Findings,
) -> None:
    name = f"records/{log.name}"
    end = 0
    try:
        for line in lines_of(log):
            end += len(line.raw) + 1
            if line.entries is None:
                damaged.setdefault(log, []).append(line.number)
                findings.problems.append(f"{name}:{line.number}: damaged line")
            for key, entry in line.entries or []:
                found = _found(log, line.number, key, entry)
                records.append(found)
                if found.wrong:
                    findings.problems.append(f"{name}:{line.number}: {found.wrong}")
        if end < log.stat().st_size:
            note = "ends amid a line: it is being written, or its run was killed there"
            findings.notes.append(f"{name} {note}; nothing that was finished is lost")
    except FileNotFoundError:
        return  # merged into another one meanwhile
    except OSError as error:
        quarantine = _moved(store, log)
        findings.problems.append(f"{name}: {error.strerror}; moved to {quarantine}")


def _found(log: Path, number: int, key: str, entry: Entry) -> Found:
    objects = sizes(entry[1].split(b" ", 3)[2])
    try:
        return Found(log, number, key, str(parsed(key, entry)["label"]), objects)
    except StoreError as error:
        return Found(log, number, key, key[:16], objects, str(error).partition(";")[0])


# -- objects ---------------------------------------------------------------------------------------


def _objects(
    store: Store, jobs: int, watch: Watch, findings: Findings
) -> tuple[dict[str, int], dict[str, str]]:
    """Read all objects; return digest -> size of the whole ones, and what is wrong with others."""
    whole: dict[str, int] = {}
    wrong: dict[str, str] = {}
    entries = list(files_below(store.folder / "objects"))
    total = sum(bytes_of(entry) for entry in entries)
    done = 0
    for entry, why in _looked_at(entries, jobs):
        done += bytes_of(entry)
        watch(done, total)
        path = Path(entry.path)
        if not why:
            whole[entry.name] = bytes_of(entry)
        elif why == "stray":
            quarantine = _moved(store, path)
            findings.problems.append(f"{entry.path} is no object; moved to {quarantine}")
        elif why == "changed":
            _moved(store, path)
            wrong[entry.name] = "has changed since it was written, set aside"
        elif why != "gone":
            wrong[entry.name] = f"cannot be read ({why})"
    findings.objects, findings.size = len(whole), sum(whole.values())
    return whole, wrong


def _looked_at(entries: Iterable[DirEntry[str]], jobs: int) -> Iterator[tuple[DirEntry[str], str]]:
    """Yield each object with what is wrong with it, empty when nothing is."""
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [(entry, pool.submit(_wrong, entry)) for entry in entries]
        for entry, future in futures:
            yield entry, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _wrong(entry: DirEntry[str]) -> str:
    at_home = Path(entry.path).parent.name == entry.name[:2]
    if not (DIGEST.fullmatch(entry.name) and at_home and entry.is_file(follow_symlinks=False)):
        return "stray"
    try:
        return "" if digest_of(entry.path) == entry.name else "changed"
    except FileNotFoundError:
        return "gone"
    except OSError as error:
        return error.strerror or "unreadable"


# -- setting aside -----------------------------------------------------------------------------


def _moved(store: Store, path: Path) -> Path:
    """Move a file among what is damaged."""
    quarantine = store.folder / "damaged" / path.name
    try:
        quarantine.parent.mkdir(parents=True, exist_ok=True)
        path.replace(quarantine)
    except FileNotFoundError:
        pass  # someone else did
    except OSError as error:
        raise write_error(quarantine, error) from error
    return quarantine


def _set_aside(
    store: Store,
    damaged: dict[Path, list[int]],
    bad: dict[tuple[Path, int, str], Found],
    findings: Findings,
) -> None:
    logs = sorted({*damaged, *(log for log, _, _ in bad)})
    if not logs:
        return
    others = store.claims.others()  # each has its own log, and opens no old one
    if others:
        who = listed(map(store.claims.told, others), 3)
        findings.notes.append(f"bad lines stay where they are while {who} may be at work")
        return
    spoilt = {(log, number) for log, number, _ in bad}
    try:
        for log in logs:  # records that cannot be used are kept as they lie in their lines
            set_aside(store, log.name, (x.raw for x in lines_of(log) if (log, x.number) in spoilt))
            rewrite(store, [log], lambda *record: record in bad)
    except OSError as error:
        raise write_error(store.folder / "damaged", error) from error
    store.close()


def _named(records: Iterable[Found]) -> str:
    labels = list(dict.fromkeys(record.label for record in records))
    return listed(labels, 3) if labels else "no node's"
