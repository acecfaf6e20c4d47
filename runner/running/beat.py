"""A sign of life while this process computes, for the loop waits then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from runner.computing.parcels import Group

EVERY = 0.25  # seconds

Tell = Callable[[Mapping[str, Group]], None]


class Beat:
    """Tells now and then, from a thread of its own, which groups are being computed here.

    It never tells while the loop does anything else than compute: what it calls needs no locks.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._groups: Mapping[str, Group] = {}
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def during(self, groups: Mapping[str, Group]) -> Iterator[None]:
        """Tell of these groups until they are computed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._go, name="beat", daemon=True)
            self._thread.start()
        with self._turn:
            self._groups = groups
        try:
            yield
        finally:
            with self._turn:
                self._groups = {}

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _go(self) -> None:
        while not self._ended.wait(EVERY):
            with self._turn:
                if self._groups:
                    self._tell(self._groups)
