"""`runner log` and `runner why` through the command line."""

from __future__ import annotations

import json
import re
import shutil

import pytest

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


def test_the_log_of_one_spec_leaves_out_the_others(world) -> None:
    world.spec(SPEC)
    world.spec(SPEC, "other.toml")
    world.spec(SPEC, "never.toml")
    for name in ("study.toml", "other.toml", "study.toml"):
        world.cli("run", "-n", "1", name)
    assert len(world.run_cli("log").out.splitlines()) == 4
    lines = world.run_cli("log", "other.toml").out.splitlines()
    assert len(lines) == 2
    assert "  other: 4 cached" in lines[1]
    done = world.run_cli("log", "never.toml")
    assert done.code == 2
    assert "no run of never is kept" in done.err
    assert "there are runs of other, study" in done.err


def test_the_log_tells_of_many_runs_by_day_and_of_the_last_of_them(world) -> None:
    world.spec(SPEC)
    world.cli("run", "-n", "1", "study.toml")
    (path,) = (world.artifacts / "study" / "runs").glob("*.json")
    entry = json.loads(path.read_text("utf-8"))
    path.unlink()
    for number in range(400):
        started = f"2026-{number // 40 + 1:02}-{number // 2 % 20 + 1:02}T10:{number % 60:02}:00Z"
        more = {**entry, "run": f"{number:012x}", "started": started}
        path.with_name(f"{number}.json").write_text(json.dumps(more), "utf-8")
    lines = world.run_cli("log").out.splitlines()
    days = [line for line in lines if re.fullmatch(r"\d{4}-\d\d-\d\d", line)]
    assert days == sorted(set(days))
    assert len(days) == 200
    tokens = [line.split()[1] for line in lines if line.startswith("  ")]
    assert sorted(tokens) == [f"{number:012x}" for number in range(400)]
    assert world.run_cli("log", "--last", "7").out.splitlines()[-1] == lines[-1]
    last = world.run_cli("log", "--last", "7").out
    assert [line.split()[1] for line in last.splitlines() if line.startswith("  ")] == tokens[-7:]


def test_the_log_shows_failed_runs_with_a_few_of_their_problems(world) -> None:
    world.edit("probes/value", "note(f", "raise ValueError('no way'); note(f")
    world.spec(SPEC.replace("[1.0, 2.0]", "[1.0, 2.0, 3.0, 4.0, 5.0]"))
    assert world.cli("run", "-n", "1", "study.toml").code == 1
    _, entry, *problems = world.run_cli("log").out.splitlines()
    assert "study: 5 failed, 2 blocked" in entry
    assert len(problems) == 4
    assert problems[0].strip() == "problem: value[a=1]: ValueError: no way"
    assert problems[3].strip() == "and 2 more"


def test_the_log_shows_an_interrupted_run(world) -> None:
    world.spec(SPEC)
    world.cli("run", "-n", "1", "study.toml")
    (path,) = (world.artifacts / "study" / "runs").glob("*.json")
    entry = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**entry, "interrupted": True}), "utf-8")
    assert world.run_cli("log").out.rstrip().endswith(", interrupted")


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"run": "x"}', "\x00\xff"])
def test_a_damaged_entry_of_the_history_is_left_out_and_named(world, damage: str) -> None:
    world.spec(SPEC)
    for _ in range(2):
        world.cli("run", "-n", "1", "study.toml")
    first, _ = sorted((world.artifacts / "study" / "runs").glob("*.json"))
    first.write_text(damage, "latin-1")
    done = world.run_cli("log")
    assert done.code == 0
    _, entry, note = done.out.splitlines()
    assert "study: 4" in entry
    assert note == f"damaged, and left out: study/runs/{first.name}"
    assert world.run_cli("diff", "study.toml", "study.toml").code == 0


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
    assert f"code: {world.package}/probes/value.py changed" in lines
    above = world.run_cli("why", "study.toml::mean").out
    changed = f"code: {world.package}/probes/value.py changed"
    assert f"input value[a=1] (and 1 more): {changed}" in above


def test_why_tells_of_a_result_that_was_taken_because_inputs_came_to_the_same(world) -> None:
    world.spec(SPEC)
    world.cli("run", "-n", "1", "study.toml")
    assert "the same content" not in world.cli("why", "study.toml::mean").out
    world.edit("probes/value", "note(", "str()\n        note(")
    world.cli("run", "-n", "1", "study.toml")
    done = world.cli("why", "study.toml::mean")
    assert "cached: a whole record has this key" in done.out
    assert re.search(r"as:     key [0-9a-f]{16}, whose inputs have the same content", done.out)


def test_why_names_the_parameter_that_differs(world) -> None:
    world.spec(SPEC)
    world.cli("run", "-n", "1", "study.toml")
    out = world.run_cli("why", "study.toml::value[a=2]", "--set", "probes.value.k=3").out
    assert "new: nothing of this recipe is stored" in out
    assert "parameter k: 0 -> 3" in out
    assert "parameter a" not in out
    assert "axis" not in out


DEEP = """
title = "Deep"

[axes]
factor = [1.0, 2.0]

[data.points]
use = "points"

[models.line]
use = "line"

[trainers.fit]
use = "descent"
model = "@line"
data = "@points"

[perturbations.larger]
use = "scaled"
model = "@fit"
factor = "$factor"

[perturbations.moved]
use = "scaled"
model = "@larger"

[probes.size]
use = "size"
model = "@moved"
"""


def test_why_names_the_parameter_of_a_step_that_is_never_stored(world) -> None:
    world.spec(DEEP)
    world.cli("run", "-n", "1", "study.toml")
    node = "study.toml::size[factor=1]"
    out = world.run_cli("why", node, "--set", "perturbations.moved.factor=0.5").out
    told = out[out.index("nearest:") :].splitlines()[1:]
    assert told == ["    input moved[factor=1]: parameter factor: 1.0 -> 0.5"]
    alone = world.run_cli("why", "study.toml::moved[factor=1]")
    assert "nothing in the spec has changed" in alone.out
    alone = world.run_cli(
        "why", "study.toml::moved[factor=1]", "--set", "perturbations.moved.factor=0.5"
    )
    assert alone.out.splitlines()[-1] == "    parameter factor: 1.0 -> 0.5"


def test_why_follows_inputs_up_to_what_changed(world) -> None:
    world.spec(DEEP)
    world.cli("run", "-n", "1", "study.toml", "--set", "trainers.fit.rate=0.01")
    world.cli("run", "-n", "1", "study.toml")
    node = "study.toml::size[factor=1]"

    def told(*options: str) -> list[str]:
        out = world.run_cli("why", node, *options).out
        return [line.strip() for line in out[out.index("nearest:") :].splitlines()[1:]]

    assert told("--set", "trainers.fit.rate=0.2") in (
        ["input fit: parameter rate: 0.1 -> 0.2"],
        ["input fit: parameter rate: 0.01 -> 0.2"],
    )
    assert told("--set", "data.points.rows=9") == ["input points: parameter rows: 8 -> 9"]
    # What is stored already and only chosen anew is told too, by the run that is nearest.
    choice = ("--set", "trainers.fit.rate=0.01", "--set", "perturbations.moved.factor=0.5")
    assert told(*choice) == ["input moved[factor=1]: parameter factor: 1.0 -> 0.5"]


def test_why_names_a_changed_axis(world) -> None:
    world.spec(DEEP)
    world.cli("run", "-n", "1", "study.toml")
    out = world.run_cli("why", "study.toml::size[factor=3]", "--set", "axes.factor=[1.0, 3.0]").out
    assert re.search(r"\n    axis factor: [12]\.0 -> 3\.0\n", out)
    assert "input fit" not in out


def test_why_tells_changed_code_of_a_step_that_is_never_stored(world) -> None:
    world.spec(DEEP)
    world.cli("run", "-n", "1", "study.toml")
    world.edit("perturbations/scaled", "w * self.factor", "2 * w * self.factor")
    out = world.run_cli("why", "study.toml::size[factor=1]").out
    assert "stale:" in out
    assert "input moved[factor=1]: is never stored; its code, or that of such a step" in out
    assert "fit" not in out


def test_why_says_so_when_the_history_of_a_run_is_gone(world) -> None:
    world.spec(DEEP)
    world.cli("run", "-n", "1", "study.toml")
    shutil.rmtree(world.artifacts / "study" / "runs")
    done = world.run_cli(
        "why", "study.toml::size[factor=1]", "--set", "perturbations.moved.factor=0.5"
    )
    assert done.code == 0
    assert re.search(r"is never stored, and run [0-9a-f]+ left no account", done.out)


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
