"""`runner diff` through the command line."""

from __future__ import annotations

import re

SPEC = """
title = "Small"

[axes]
seed = [0, 1, 2]
a = [1.0, 3.0]

[probes.value]
use = "draw"
seed = "$seed"

[probes.plain]
use = "value"
a = "$a"

[hypotheses.small]
table = "@plain"
check = "max(value) < 5"
"""


def run(world, *options: str) -> str:
    assert world.cli("run", "-n", "1", "study.toml", *options).code == 0
    return world.cli("log").out.splitlines()[-1].split()[1]


def test_diff_tells_parameters_means_and_verdicts_that_changed(world) -> None:
    world.spec(SPEC)
    first = run(world)
    second = run(world, "--set", "probes.plain.k=4")
    out = world.run_cli("diff", first[:8], second).out
    assert "probes.plain.k: not there -> 4" in out
    assert "plain: 2 common cells of 2 and 2" in out
    assert "value: 2 -> 6, delta +4" in out
    assert "double: 4 -> 12, delta +8" in out
    assert "small: supported (3 < 5) -> refuted (7 < 5)" in out


def test_equal_runs_do_not_differ_and_specs_stand_for_their_last_runs(world) -> None:
    world.spec(SPEC)
    token = run(world)
    out = world.run_cli("diff", token, "artifacts/study/run.json").out
    assert world.run_cli("diff", "study.toml", "study.toml").out.count("no difference") == 3
    assert out.count("no difference") == 3


def test_a_delta_is_held_against_the_spread_over_seeds() -> None:
    from runner.compare import _column

    cells = [(("a", a), ("seed", s)) for a in (1, 2) for s in (0, 1)]
    before = {cell: {"x": float(n % 2) * 2} for n, cell in enumerate(cells)}  # 0, 2, 0, 2
    after = {cell: {"x": values["x"] + 1} for cell, values in before.items()}
    (line,) = _column("x", before, after, cells)
    assert re.search(r"1 -> 2, delta \+1 = 0\.71 times the spread over seeds, 1\.414", line)


def test_an_unknown_run_says_where_runs_are_listed(world) -> None:
    world.spec(SPEC)
    run(world)
    done = world.run_cli("diff", "zzzz", "study.toml")
    assert done.code == 2
    assert "zzzz is no kept run (`runner log` lists them)" in done.err
