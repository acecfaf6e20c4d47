"""A request is made again while that may help, and a dead remote is not waited for twice."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from runner.errors import StoreError
from runner.sharing import patience
from runner.sharing.patience import AbsentError, Patience, RefusedError, UnreachableError


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock; return its time, and after it the pauses that were made."""
    times = [1000.0]

    def sleep(seconds: float) -> None:
        times[0] += seconds
        times.append(seconds)

    monkeypatch.setattr(patience.time, "sleep", sleep)
    monkeypatch.setattr(patience.time, "monotonic", lambda: times[0])
    return times


def failing(*errors: BaseException) -> Callable[[], str]:
    """Return a call that raises these errors, one for each time, and then answers."""
    rest = list(errors)

    def call() -> str:
        if rest:
            raise rest.pop(0)
        return "answer"

    return call


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), ConnectionResetError(), OSError(errno.EIO, "500"), RuntimeError("odd"),
     OSError(errno.EBUSY, "slow down")],
)  # fmt: skip
def test_what_may_pass_is_tried_again(error: BaseException, clock: list[float]) -> None:
    assert Patience("s3://x", []).ask("read a", failing(error, error)) == "answer"
    assert len(clock[1:]) == 2


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "denied"), OSError(errno.ENOSPC, "full"), ValueError("bad protocol"),
     type("NoCredentialsError", (Exception,), {})()],
)  # fmt: skip
def test_a_refusal_is_final(error: BaseException, clock: list[float]) -> None:
    with pytest.raises(RefusedError, match=f"s3://x: cannot read a: {type(error).__name__}: "):
        Patience("s3://x", []).ask("read a", failing(error))
    assert clock[1:] == []


def test_what_is_not_there_is_told_apart() -> None:
    with pytest.raises(AbsentError, match="cannot read a"):
        Patience("s3://x", []).ask("read a", failing(FileNotFoundError("a")))


def test_pauses_grow_and_differ(clock: list[float]) -> None:
    with pytest.raises(UnreachableError, match=r"TimeoutError: slow \(attempt 5, the last\)"):
        Patience("s3://x", []).ask("read a", failing(*[TimeoutError("slow")] * 9))
    pauses = clock[1:]
    assert len(pauses) == 4
    for n, pause in enumerate(pauses):
        assert 0.1 * 2**n <= pause <= 0.2 * 2**n
    assert len({pause / 2**n for n, pause in enumerate(pauses)}) > 1


def test_slow_failures_are_given_up_sooner(clock: list[float]) -> None:
    tries = []

    def call() -> Any:
        tries.append(1)
        clock[0] += 45
        raise TimeoutError

    with pytest.raises(UnreachableError):
        Patience("s3://x", []).ask("read a", call)
    assert len(tries) == 2


def test_a_remote_that_never_answered_is_asked_again_only_after_a_while(clock: list[float]) -> None:
    asked = Patience("s3://x", [])
    with pytest.raises(UnreachableError):
        asked.ask("read a", failing(*[TimeoutError()] * 5))
    with pytest.raises(UnreachableError, match="s3://x does not answer"):
        asked.ask("read a", failing())
    clock[0] += patience.SILENCE + 1
    assert asked.ask("read a", failing()) == "answer"


def test_a_remote_that_answered_is_silenced_by_three_failures_in_a_row() -> None:
    asked = Patience("s3://x", [])
    dead = [TimeoutError()] * 5
    asked.ask("read a", failing())
    for _ in range(2):
        with pytest.raises(UnreachableError, match="attempt 5"):
            asked.ask("read a", failing(*dead))
    asked.ask("read a", failing())
    for _ in range(3):
        with pytest.raises(UnreachableError, match="attempt 5"):
            asked.ask("read a", failing(*dead))
    with pytest.raises(UnreachableError, match="does not answer"):
        asked.ask("read a", failing())


def test_secrets_stay_out_of_messages_and_long_ones_are_cut() -> None:
    asked = Patience("s3://x", ["s3cret"])
    with pytest.raises(RefusedError) as caught:
        asked.ask("read a", failing(ValueError(f"http://me:s3cret@x\n{'y' * 500}")))
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_interrupt_is_no_fault_of_the_remote() -> None:
    with pytest.raises(KeyboardInterrupt):
        Patience("s3://x", []).ask("read a", failing(KeyboardInterrupt()))


def test_errors_of_the_local_store_pass_through() -> None:
    with pytest.raises(StoreError, match=r"^disk full$"):
        Patience("s3://x", []).ask("read a", failing(StoreError("disk full")))
