"""A budget of time for a run: `2h`, `90m`, `1h30m`, `45s`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runner.errors import UsageError

_SPAN = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0)


def seconds_of(text: str) -> float:
    """Return the seconds of `1d12h`, `2h`, `1h30m`, `90m`, `45s` or `45`.

    Raises: UsageError for anything else, and for no time at all.
    """
    match = _SPAN.fullmatch(text.strip())
    parts = match.groups() if match else ()
    total = sum(float(p) * unit for p, unit in zip(parts, _UNITS, strict=False) if p)
    if not total:
        raise UsageError(f"{text!r} is no span of time; write 2h, 90m, 1h30m or 45s")
    return total


@contextmanager
def limited(seconds: float | None, reached: Callable[[], None]) -> Iterator[None]:
    """Interrupt what runs within, as Ctrl-C would, once `seconds` have passed; tell so first."""
    if seconds is None:
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        del signum, frame
        reached()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
