"""Verdicts as people read them: golden texts, --strict, --durations and colour."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[2] / "golden"
STUDY = """
title = "Claims"
[axes]
k = [1, 2, 3]
sign = ["plus", "minus"]
[probes.value]
use = "value"
k = "$k"
sign = "$sign"
[expect.finite]
table = "@value"
check = "isfinite(value)"
[expect.small]
table = "@value"
where = { sign = "plus" }
check = "abs(value) < 3"
claim = "the value never gets to three"
[hypotheses.larger]
per = ["k"]
claim = "plus wins, except at the end"
let.plus = { table = "@value", where = { sign = "plus" } }
let.minus = { table = "@value", where = { sign = ["minus"] } }
check = "max(plus.value) > 4 + mean(minus.value)"
[hypotheses.unsure]
table = "@value"
requires = ["small"]
check = "max(value) > 0"
"""
LOUD = """
import sys
from typing import ClassVar
from pydantic import Field
from runner.plugin import Probe
from runner.types import Table


class Loud(Probe):
    \"\"\"Says much, then fails.\"\"\"

    lines: int = Field(3, description="how many")

    def run(self) -> Table:
        for number in range(self.lines):
            print(f"line {number}")
        raise RuntimeError("that was all")
"""


@pytest.fixture
def told(world, golden: Callable[[str, Path], None]):
    """Return a function that runs a command and compares all it says with a golden text."""

    def run(name: str, *arguments: str, code: int) -> None:
        outcome = world.cli("run", "-n", "1", *arguments)
        assert outcome.code == code, outcome
        text = re.sub(r"\d+\.\d+ s\b", "T s", outcome.out + outcome.err)
        golden(text, GOLDEN / f"{name}.txt")

    world.spec(STUDY)
    return run


def test_verdicts_with_their_slices_worst_cells_and_commands(world, told) -> None:
    told("verdicts", "study.toml", code=1)
    told("verdicts_last_failed", "--lf", "study.toml", code=1)
    told("verdicts_quiet", "-q", "study.toml", code=1)
    told("verdicts_selected", "study.toml::larger[k=1]", "--set", "seed=0", code=0)


def test_a_refuted_hypothesis_fails_a_strict_run_only(told) -> None:
    told("refuted", "study.toml", "-k", "larger", code=0)
    told("refuted_strict", "--strict", "study.toml", "-k", "larger", code=1)
    told("refuted_strict_quiet", "-q", "--strict", "study.toml", "-k", "larger", code=1)
    told("refuted_last_failed", "--lf", "--strict", "study.toml", code=1)


def test_the_command_of_a_verdict_is_the_one_that_repeats_it(world) -> None:
    world.spec(STUDY)
    options = ["--set", "title='a b'", "--artifacts", "else where"]
    outcome = world.cli("run", "-n", "1", *options, "study.toml")
    commands = [line for line in outcome.out.splitlines() if line.startswith("  alone: ")]
    assert commands[0] == (
        "  alone: runner run --set 'title='\"'\"'a b'\"'\"'' --artifacts 'else where' "
        "study.toml::small"
    )
    words = shlex.split(commands[0].removeprefix("  alone: "))
    done = world.run_cli(*words[1:])
    assert done.code == 1
    assert "expectation small does not hold" in done.out


def test_a_strict_run_stops_at_a_refuted_hypothesis_with_x(world) -> None:
    world.spec(STUDY)
    arguments = ["run", "-n", "1", "-x", "study.toml::larger"]
    assert "3 passed" in world.cli(*arguments, "--artifacts", "one").out
    outcome = world.cli(*arguments, "--artifacts", "two", "--strict")
    assert outcome.code == 1
    assert "1 passed, 2 not run" in outcome.out


def test_the_output_of_a_failed_node_is_shown(world, told) -> None:
    world.plugin("probes/loud", LOUD)
    world.spec('[axes]\nlines = [0, 3, 25]\n[probes.loud]\nuse = "loud"\nlines = "$lines"\n')
    for lines in (0, 3, 25):
        told(f"failed_log_{lines}", f"study.toml::loud[lines={lines}]", code=1)


def test_the_slowest_nodes_are_named(world) -> None:
    world.spec(STUDY)
    outcome = world.cli("run", "-n", "1", "--durations", "2", "study.toml::value")
    *_, head, first, second = outcome.out.splitlines()
    assert head == "slowest 2 nodes:"
    times = [float(re.fullmatch(r" +([\d.]+) s  value\[.*\]", t)[1]) for t in (first, second)]
    assert times[0] >= times[1]
    outcome = world.cli("run", "-n", "1", "--durations", "0", "study.toml", "-k", "finite or small")
    assert sum("s  " in line for line in outcome.out.splitlines()) == 2
    outcome = world.cli("run", "-n", "1", "--durations", "3", "study.toml::finite")
    assert "slowest" not in outcome.out


def _on_a_terminal(world, *arguments: str, **env: str) -> str:
    """Run a command whose output is a terminal; return what it wrote."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments], cwd=world.folder, stdout=other,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        env={**world.env(TERM="xterm"), **env},
    )  # fmt: skip
    os.close(other)
    parts = []
    try:
        while part := os.read(main, 65536):
            parts.append(part)
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(main)
    process.wait()
    return b"".join(parts).decode()


def test_colour_is_for_terminals_and_never_with_no_color(world) -> None:
    world.spec(STUDY)
    world.cli("run", "-n", "1", "study.toml")
    red = "\x1b[31mexpectation small does not hold"
    arguments = ("run", "-n", "1", "study.toml::small")
    assert red in _on_a_terminal(world, *arguments)
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        text = _on_a_terminal(world, *arguments, "-q", **{name: value})
        assert "expectation small does not hold" in text
        assert "\x1b[3" not in text
    assert "\x1b" not in world.run_cli(*arguments).out
