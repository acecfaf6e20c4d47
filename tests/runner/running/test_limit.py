"""Spans of time, and stopping when one is over."""

from __future__ import annotations

import signal
import time

import pytest

from runner.errors import UsageError
from runner.running.limit import limited, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45", 45), ("45s", 45), ("90m", 5400), ("1h30m", 5400), ("2h", 7200), ("1d", 86400),
     ("1d12h", 129600), ("0.5h", 1800), (" 10s ", 10)],
)  # fmt: skip
def test_a_span_of_time_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0h", "h", "2 hours", "-5", "1m1h", "ten", "1e3"])
def test_what_is_no_span_of_time_is_told_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="write 2h, 90m, 1h30m or 45s"):
        seconds_of(text)


def test_what_runs_too_long_is_interrupted_and_what_does_not_is_left_alone() -> None:
    reached: list[int] = []
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), limited(0.05, lambda: reached.append(1)):
        time.sleep(5)
    assert reached == [1]
    with limited(0.05, lambda: reached.append(2)):
        pass
    time.sleep(0.1)
    assert reached == [1]
    assert signal.getsignal(signal.SIGALRM) is before
    with limited(None, lambda: reached.append(3)):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
