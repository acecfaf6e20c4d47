"""The same call for many items at once, in threads that never keep a process from ending."""

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
