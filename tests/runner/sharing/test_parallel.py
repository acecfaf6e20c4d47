"""Many calls at once give what they give one after the other."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from runner.sharing.parallel import THREADS, together, within


def test_each_item_is_called_once_and_has_its_answer() -> None:
    seen: list[int] = []

    def call(item: int) -> int:
        seen.append(item)
        return item * item

    items = [*range(200), *range(50)]
    assert together(call, items) == {n: n * n for n in range(200)}
    assert sorted(seen) == list(range(200))
    assert together(call, []) == {}


def test_calls_run_at_the_same_time() -> None:
    barrier = threading.Barrier(THREADS, timeout=20)
    assert len(set(together(lambda _: barrier.wait(), range(THREADS)).values())) == THREADS


def test_the_first_error_is_raised_and_stops_the_rest() -> None:
    seen: list[int] = []

    def call(item: int) -> None:
        seen.append(item)
        if item == 3:
            raise ValueError("three")
        threading.Event().wait(0.01)

    with pytest.raises(ValueError, match="three"):
        together(call, range(10_000))
    assert len(seen) < 1000


def test_a_process_ends_while_calls_are_under_way() -> None:
    code = (
        "import threading; from runner.sharing.parallel import together, within\n"
        "call = lambda _: threading.Event().wait()\n"
        "threading.Thread(target=together, args=(call, range(99)), daemon=True).start()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_call_in_time_gives_its_answer_or_its_error() -> None:
    assert within(20, lambda: "answer") == "answer"
    assert within(20, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        within(20, lambda: 1 / 0)


def test_a_call_that_takes_too_long_is_not_waited_for() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        within(0.01, never.wait)
    never.set()
