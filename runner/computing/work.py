"""What a worker is handed and what it gives back: pure data, no arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import Failure
from runner.plugin import Plugin
from runner.storage.records import Entry
from runner.types import Json, Verdict


@dataclass(frozen=True)
class Stored:
    """A value in the store, by its node's key and its description there."""

    key: str
    description: Json
    output: str = ""
    checkpoint: Any = None


@dataclass(frozen=True)
class Fresh:
    """A value of a node that is never stored: computed where it is needed."""

    work: Work
    output: str = ""
    checkpoint: Any = None


@dataclass(frozen=True)
class Gathered:
    """A table put together from the tables of many nodes."""

    parts: tuple[tuple[str, tuple[str, ...], tuple[tuple[tuple[Any, ...], Source], ...]], ...]
    where: Mapping[str, Any]
    derive: Mapping[str, str]


@dataclass(frozen=True)
class Stacked:
    """Arrays of many nodes stacked along the axes they differ in."""

    axes: tuple[str, ...]
    members: tuple[tuple[tuple[Any, ...], Source], ...]


Source = Stored | Fresh | Gathered | Stacked


@dataclass(frozen=True)
class Work:
    """A node as a worker sees it."""

    label: str
    key: str
    recipe: str
    plugin: Plugin
    ports: Mapping[str, Source]
    seed: int | None
    cell: Mapping[str, Any]
    content: str = ""  # key by the content of the inputs, empty where there are none
    must_hold: bool = False  # an expectation: a verdict that does not hold is a failure


@dataclass(frozen=True)
class Parcel:
    """Nodes computed together; `fused` ones by one `run_batch` call."""

    works: tuple[Work, ...]
    fused: bool
    code: Mapping[str, str]
    use: str
    threads: int
    device: str


@dataclass(frozen=True)
class Done:
    """What became of one node: its record if it was stored, else its failure.

    Neither is there when another run computes the node at this moment.
    """

    key: str
    entry: Entry | None
    failure: Failure | None = None
    verdict: Verdict | None = None
    log: str = ""
    seconds: float = 0.0
    run: str = ""  # the run that computed it, where it was found in the store
