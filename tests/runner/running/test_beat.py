from __future__ import annotations

import threading
from typing import Any

import pytest

from runner.running import beat
from runner.running.beat import Beat
from runner.telling import terminal

SPEC = """
[probes.slow]
use = "slow"
"""

PROBE = '''
"""Wait."""

import time

from runner.plugin import Probe
from runner.types import Circumstance, Table


class Slow(Probe):
    """Report progress, print, and wait."""

    columns = {"waited": "seconds"}

    def run(self, here: Circumstance) -> Table:
        here.progress(3, 9, "steps")
        print("words of the node")
        time.sleep(1.0)
        return Table({"waited": [1.0]})
'''


def test_what_is_computed_is_told_of_while_it_is_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beat, "EVERY", 0.01)
    told: list[Any] = []
    twice = threading.Event()

    def tell(groups: Any) -> None:
        told.append(groups)
        if len(told) == 2:
            twice.set()

    here = Beat(tell)
    with here.during({"0": "group"}):  # type: ignore[dict-item]
        assert twice.wait(10)
    count = len(told)
    assert not threading.Event().wait(0.1)
    here.stop()
    assert len(told) == count
    assert told[0] == {"0": "group"}


def test_a_run_in_one_process_says_how_far_its_node_is(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the node prints while it is computed is kept apart from what the run tells."""
    monkeypatch.setattr(beat, "EVERY", 0.05)
    monkeypatch.setattr(terminal, "HEARTBEAT", 0.3)
    world.plugin("probes/slow", PROBE)
    done = world.cli("run", world.spec(SPEC), "-n", 1)
    assert done.code == 0
    assert "  running: slow 0/1; slow 3/9 steps\n" in done.out
    assert "words of the node" not in done.out
