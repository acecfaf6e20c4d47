"""Finished nodes, written at once and made durable together."""

from __future__ import annotations

import time
from dataclasses import replace

from runner.computing.results import Made
from runner.computing.work import Done, Work
from runner.errors import Failure, StoreError, StoreFullError
from runner.storage.store import Store

SYNC_AFTER = 0.05  # seconds; nodes that finish within it become durable together
FULL = StoreFullError.__name__


class Batch:
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
            self.done[work.key] = self._lost(done, error)
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
                    self.done[key] = self._lost(self.done[key], error)
                return
            for key in keys:
                self.store.drop_scratch(key)
        self.last = time.monotonic()

    def _lost(self, done: Done, error: StoreError) -> Done:
        """Return what is told of a result that could not be kept: why, and no verdict of it."""
        self.full = self.full or isinstance(error, StoreFullError)
        failure = Failure(type(error).__name__, str(error))
        return replace(done, entry=None, failure=failure, verdict=None)
