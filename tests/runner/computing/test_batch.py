"""Finished nodes are written at once and durable together; what cannot be kept has failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.computing.batch import Batch
from runner.computing.work import Done
from runner.errors import StoreFullError
from runner.storage.store import Store
from runner.types import Verdict


class FullStore(Store):
    """A store whose disk is full when it writes, or when it makes what is written durable."""

    when = ""

    def write(self, made: bytes, records: Any) -> None:
        if self.when == "write":
            raise StoreFullError("the disk is full; free some space")

    def sync(self) -> None:
        if self.when == "sync":
            raise StoreFullError("the disk is full; free some space")


@pytest.mark.parametrize("when", ["write", "sync"])
def test_a_verdict_that_cannot_be_kept_is_a_failure_of_the_store_and_no_verdict(
    tmp_path: Path, when: str
) -> None:
    store = FullStore(tmp_path)
    store.when = when
    batch = Batch(store, b"{}")
    work: Any = type("Work", (), {"key": "k"})
    batch.add(
        work, ({"key": "k"}, Done("k", None, verdict=Verdict(True, "x > 0", "1 > 0", {}, True)))
    )
    batch.sync()
    done = batch.done["k"]
    assert done.failure is not None
    assert (done.failure.kind, done.entry, done.verdict) == ("StoreFullError", None, None)
    assert "free some space" in done.failure.message
    assert batch.full


def test_a_result_that_is_kept_keeps_its_verdict(tmp_path: Path) -> None:
    batch = Batch(FullStore(tmp_path), b"{}")
    work: Any = type("Work", (), {"key": "k"})
    verdict = Verdict(True, "x > 0", "1 > 0")
    batch.add(work, ({"key": "k"}, Done("k", None, verdict=verdict)))
    batch.sync()
    assert batch.done["k"].verdict == verdict
    assert batch.done["k"].failure is None
    assert not batch.full
