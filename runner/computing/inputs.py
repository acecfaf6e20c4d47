"""What a node reads: stored values, values made on the way, gathered tables, stacked arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from runner.computing.recent import Recent
from runner.computing.work import Fresh, Gathered, Source, Stacked, Stored, Work
from runner.errors import StoreError
from runner.planning.tables import Piece, together
from runner.registry import Registry
from runner.storage.codec import Reader
from runner.storage.store import Store
from runner.types import Arrays


@dataclass
class Inputs:
    """Reads the ports of nodes and remembers recent values. `run` computes what is not stored."""

    store: Store
    registry: Registry
    run: Callable[[Work, str, int], Any]
    _recent: Recent = field(default_factory=Recent)

    def value(self, source: Source, device: str, threads: int) -> Any:
        """Return what a port receives.

        Raises: StoreError; what the plugin raises where its value is made on the way.
        """
        match source:
            case Stored(key, description, output, checkpoint):
                reader = Reader(self.store, self.registry)
                return self._recent.get(
                    (key, output, checkpoint), lambda: reader.load(description, output, checkpoint)
                )
            case Fresh(work, output, checkpoint):
                value = self._recent.get((work.key,), lambda: self._fresh(work, device, threads))
                return _selected(value, output, checkpoint)
            case Gathered(parts, where, derive):
                pieces = [
                    Piece(step, axes, [(c, self.value(s, device, threads)) for c, s in members])
                    for step, axes, members in parts
                ]
                return together(pieces, where, derive)
            case Stacked(axes, members):
                return _stacked(axes, [(c, self.value(s, device, threads)) for c, s in members])

    def _fresh(self, work: Work, device: str, threads: int) -> Any:
        value = self.run(work, device, threads)
        self.store.drop_scratch(work.key)
        return value

    def look_through(self, work: Work) -> None:
        """Set aside all damaged inputs of a node, so that one more run makes them all anew."""
        for key in {key for source in work.ports.values() for key in _stored(source)}:
            for digest in self.store.records.objects(key) or ():
                with contextlib.suppress(StoreError):
                    self.store.read(digest)


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
