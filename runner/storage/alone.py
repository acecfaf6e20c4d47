"""Alone in a store: nobody else writes while something is removed from it.

Each process gives a sign of life before it writes, and then waits for whoever has claimed the
upkeep; who claims it looks for signs of life after that, so that one of two sees the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runner.errors import StoreError
from runner.storage.claims import UPKEEP, place
from runner.storage.store import Store


@contextmanager
def alone(store: Store, note: Callable[[str], None]) -> Iterator[None]:
    """Be the only process that writes; `note` is told where that takes a while.

    Raises: StoreError when another process is at work, or the store cannot be written.
    """
    try:
        with store.claimed([UPKEEP]) as taken:
            if not taken:
                raise StoreError("another `runner store gc` is at work; wait until it has ended")
            _wait_until_quiet(store, note)
            yield
    finally:
        store.close()


def _wait_until_quiet(store: Store, note: Callable[[str], None]) -> None:
    """Return when no other process is alive; of those elsewhere that takes a while to know.

    Raises: StoreError when one is.
    """
    claims = store.claims
    signs = {owner: claims.sign_of(owner) for owner in claims.others()}
    if signs:
        who = claims.told(min(signs))
        note(f"waiting, for two minutes at most, to see whether {who} is still at work")
    while others := claims.others():
        for owner in others:
            here = owner.startswith(f"{place()}-")
            if here or claims.sign_of(owner) != signs.get(owner):
                message = f"{claims.told(owner)} is at work in this store: nothing was removed"
                raise StoreError(f"{message}; run again when it has ended")
        time.sleep(0.5)
