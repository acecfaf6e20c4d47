"""`runner log` and `runner why` through the command line."""

from __future__ import annotations

import json
import re

SPEC = """
title = "Small"

[axes]
a = [1.0, 2.0]

[probes.value]
use = "value"
a = "$a"

[probes.mean]
use = "average"
table = "@value"
over = ["a"]

[hypotheses.small]
table = "@value"
check = "max(value) < 5"
"""


def test_the_log_lists_runs_by_day_the_newest_last(world) -> None:
    world.spec(SPEC)
    world.cli("run", "-n", "1", "study.toml")
    world.cli("run", "-n", "1", "study.toml")
    done = world.run_cli("log")
    day, first, second = done.out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    assert re.search(
        r"^  \d\d:\d\d  [0-9a-f]{12}  study: 4 passed; hypotheses 1 supported in", first
    )
    assert "study: 4 cached; hypotheses 1 supported in" in second
    assert world.run_cli("log", "study.toml", "--last", "1").out.splitlines() == [day, second]


def test_the_log_tells_profile_and_problems(world) -> None:
    world.spec(SPEC + '[expect.big]\ntable = "@value"\ncheck = "value > 1"\n[profiles.smoke]\n')
    assert world.cli("run", "-n", "1", "study.toml", "--profile", "smoke").code == 1
    _, entry, problem = world.run_cli("log").out.splitlines()
    assert "study (smoke): 4 passed, 1 failed" in entry
    assert problem.strip().startswith("problem: big: expectation: value > 1")


def test_an_empty_log_says_what_to_do(world) -> None:
    done = world.run_cli("log")
    assert (done.code, done.out) == (2, "")
    assert "start one with `runner run`" in done.err


def test_the_history_of_equal_runs_keeps_their_keys_once(world) -> None:
    world.spec(SPEC)
    for _ in range(2):
        world.cli("run", "-n", "1", "study.toml")
    runs = world.artifacts / "study" / "runs"
    assert len(list(runs.glob("*.json"))) == 2
    (keys,) = (runs / "keys").glob("*.json")
    assert [len(found) for found in json.loads(keys.read_text()).values()] == [2, 1, 1]


def test_why_tells_new_cached_and_stale(world) -> None:
    world.spec(SPEC)
    asked = "study.toml::value[a=2]"
    assert "no node of probes/value is stored" in world.run_cli("why", asked).out
    world.cli("run", "-n", "1", "study.toml")
    assert "cached: a whole record has this key" in world.run_cli("why", asked).out
    world.edit("probes/value", "(self.a + self.k)", "(self.a + 2 * self.k)")
    lines = world.run_cli("why", asked).out
    assert "stale:" in lines
    assert f"code: {world.package}/probes/value.py" in lines
    above = world.run_cli("why", "study.toml::mean").out
    assert "input: value[a=1] has another key" in above
    assert f"{world.package}/probes/value.py differ" in above


def test_why_names_the_parameter_that_differs(world) -> None:
    world.spec(SPEC)
    world.cli("run", "-n", "1", "study.toml")
    out = world.run_cli("why", "study.toml::value[a=2]", "--set", "probes.value.k=3").out
    assert "new: nothing of this recipe is stored" in out
    assert "parameter: k is 3, was 0" in out
    assert "parameter: a" not in out


def test_why_of_a_wrong_id_says_what_would_do(world) -> None:
    world.spec(SPEC)
    for asked, words in [
        ("study.toml", "write it as"),
        ("study.toml::valeu", 'did you mean "value"?'),
        ("study.toml::value", "are 2 nodes; choose one"),
        ("study.toml::value[a=7]", "there is, for example, value[a=1]"),
    ]:
        done = world.run_cli("why", asked)
        assert done.code == 2
        assert words in done.err
