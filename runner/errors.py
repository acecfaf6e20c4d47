"""Every error a user can cause, and how near misses are worded."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Where = tuple[str | int, ...]  # keys and list positions from the root of a TOML file


class RunnerError(Exception):
    """Base of all errors that are shown without a traceback."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a spec: where it stands, what was given, what would do."""

    where: Where
    message: str
    file: Path | None = None  # None: the spec itself
    at: str = "value"  # "key", "value" or "table": which token to point at
    line: int | None = None  # 1-based, known at once for syntax errors only
    column: int | None = None


class SpecError(RunnerError):
    """One or more problems in a spec, all of them, to be shown at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(p.message for p in self.problems))


class PluginError(RunnerError):
    """A plugin file breaks the plugin contract; the message names the file."""


class StoreError(RunnerError):
    """The store cannot be read or written; the message names the path and the cure."""


class StoreFullError(StoreError):
    """There is no space left for the store: nothing more can be kept, so nothing more is begun."""


class StoreReadOnlyError(StoreError):
    """The store may not be written: what it holds can still be shown."""


class UsageError(RunnerError):
    """The command line asks for something that is not there."""


@dataclass(frozen=True)
class Failure:
    """A node that failed: what is kept for the report and for the next run."""

    kind: str
    message: str
    traceback: str = field(default="", repr=False)


def given(value: object) -> str:
    """Return a value of a spec as it may be written there, cut where it is long."""
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def near(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "..."?` for the closest known word, else an empty string."""
    known = sorted(set(known))
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[close[0]]}"?' if close else ""


def listed(names: Iterable[object], most: int = 8) -> str:
    """Return names joined for a message, cut after `most`."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more if texts else "none"
