"""Sends what a run commits while the run goes on; its faults are warnings, never the run's."""

from __future__ import annotations

import threading
import time

from runner.sharing.outbox import Outbox
from runner.sharing.patience import RefusedError, UnreachableError

PAUSE = 5.0  # seconds in which lines are gathered for the first segment
PAUSE_MOST = 60.0  # seconds; each segment takes twice as long to gather, so that they stay few
AFTER_FAILURE = 30.0  # seconds before a remote that did not answer is tried again


class Pusher:
    """A thread that empties an outbox. `pause` is in seconds, and doubles with every segment."""

    def __init__(self, outbox: Outbox, pause: float = PAUSE) -> None:
        self._outbox = outbox
        self._pause = pause
        self._new = threading.Event()
        self._closing = threading.Event()
        self._stop = threading.Event()
        self._refused = False
        self._thread = threading.Thread(target=self._work, name="pusher", daemon=True)
        self._thread.start()

    def offer(self) -> None:
        """Say that there may be new lines; cheap, from any thread, as often as one likes."""
        self._new.set()

    def close(self, timeout: float = 30.0) -> None:
        """Send what is left, for at most `timeout` seconds; what then remains is a warning.

        It stays in the outbox, for the next run or for `runner store push`. Raises nothing.
        """
        self._closing.set()
        self._new.set()
        self._thread.join(timeout)
        self._stop.set()
        if self._thread.is_alive():
            self._warn("is slow: not all was sent yet")

    def _work(self) -> None:
        while True:
            self._new.wait()
            self._new.clear()
            self._closing.wait(self._pause)
            self._pause = min(2 * self._pause, PAUSE_MOST)
            last = self._closing.is_set()  # before sending: what came until then is sent
            pause = self._pushed(last)
            if last:
                return
            self._closing.wait(pause)

    def _pushed(self, last: bool) -> float:
        """Send what is there; return for how many seconds to leave the remote alone."""
        if self._refused:
            return 0.0
        try:
            while self._outbox.push(self._stop).busy and last and not self._stop.is_set():
                time.sleep(0.1)  # another process is sending; it may end before it saw our last
        except RefusedError as error:
            self._refused = True
            self._outbox.remote.warn(f"{error}; results are kept here and not shared")
        except UnreachableError as error:
            if not self._stop.is_set():
                self._warn(f"is not reached: {error}")
            self._new.set()
            return AFTER_FAILURE
        except Exception as error:  # whatever is wrong with sharing, the results are here
            self._warn(f"was not written: {type(error).__name__}: {error}")
            return AFTER_FAILURE
        return 0.0

    def _warn(self, what: str) -> None:
        self._outbox.remote.warn(
            f"the shared store {self._outbox.remote.shown} {what}; what is not sent stays in the "
            "outbox, and goes with the next run or with `runner store push`"
        )
