"""Calls in threads that keep no process from ending: many at once, or one for a limited time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
THREADS = 16  # requests wait for a network, not for a processor


def together(call: Callable[[Item], Answer], items: Iterable[Item]) -> dict[Item, Answer]:
    """Return what a call gives for each item; the first error stops the rest and is raised.

    The threads are daemons, so that a process may end while a request is on its way: those of
    `concurrent.futures` are waited for, with all that is queued.
    """
    waiting = list(dict.fromkeys(items))[::-1]
    answers: dict[Item, Answer] = {}
    errors: list[BaseException] = []

    def work() -> None:
        while not errors:
            try:
                item = waiting.pop()  # one step for all threads: none gets the same
            except IndexError:
                return
            try:
                answers[item] = call(item)
            except BaseException as error:  # raised again below, in the thread that asked
                errors.append(error)

    count = min(THREADS, len(waiting))
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException as error:
        errors.append(error)  # an interrupt: no thread begins another item
        raise
    if errors:
        raise errors[0]
    return answers


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Return what a call gives, or raise its error; one that takes too long is left to itself.

    Raises: TimeoutError.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # raised again below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return answers[0]
