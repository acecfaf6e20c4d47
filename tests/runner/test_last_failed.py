"""--lf, --ff, -x and --maxfail, alone and together with selection."""

from __future__ import annotations

import json

STUDY = """
title = "Some fail"
[axes]
k = [0, 1, 2, 3]
[probes.fails]
use = "fails"
k = "$k"
at = 2
[probes.mean]
use = "average"
table = "@fails"
over = ["k"]
[expect.small]
per = ["k"]
table = "@fails"
check = "value < 3"
"""


def run(world, *arguments: str, code: int) -> str:
    """Run; return the last line without its time."""
    outcome = world.cli("run", "-n", "1", *arguments)
    assert outcome.code == code, outcome
    return outcome.last


def test_only_what_failed_runs_again_and_after_the_mend_nothing_is_left(study) -> None:
    assert run(study, "study.toml", code=1) == "5 passed, 2 failed, 2 blocked"
    assert study.manifest()["failed"] == ["fails[k=2]", "small[k=3]"]
    study.calls()
    outcome = study.cli("run", "--lf", "--co", "study.toml")
    assert outcome.out.splitlines() == [
        "study.toml::fails[k=2]", "study.toml::small[k=3]", "2 nodes selected, 7 deselected",
    ]  # fmt: skip
    assert run(study, "--lf", "study.toml", code=1) == "2 failed, 7 deselected"
    assert study.calls() == ["fails 2"]
    study.spec(STUDY.replace("at = 2", "at = 5").replace("value < 3", "value < 4"))
    line = run(study, "--lf", "study.toml", code=0)
    assert line == "2 passed, 7 deselected (1 of them computed as input)"
    assert study.manifest()["failed"] == []
    outcome = study.cli("run", "-n", "1", "--lf", "study.toml")
    assert outcome.out.splitlines()[1] == (
        "no node failed when last run: nothing is left out for --lf"
    )
    assert "deselected" not in outcome.out


def test_a_failure_is_remembered_until_its_node_is_run_again(study) -> None:
    run(study, "study.toml", code=1)
    assert run(study, "study.toml::fails[k=1]", code=0) == "1 cached, 8 deselected"
    assert study.manifest()["failed"] == ["fails[k=2]", "small[k=3]"]
    run(study, "study.toml::small[k=3]", code=1)
    study.spec(STUDY.replace("at = 2", "at = 5"))
    run(study, "--lf", "-k", "fails", "study.toml", code=0)
    assert study.manifest()["failed"] == ["small[k=3]"]


def test_failures_of_a_step_that_is_no_more_are_forgotten(study) -> None:
    run(study, "study.toml", code=1)
    study.spec(STUDY.replace("[expect.small]", "[expect.little]"))
    run(study, "study.toml::fails[k=0]", code=0)
    assert study.manifest()["failed"] == ["fails[k=2]"]


def test_without_a_run_before_all_nodes_are_taken(study) -> None:
    assert run(study, "--lf", "study.toml", code=1) == "5 passed, 2 failed, 2 blocked"


def test_what_failed_runs_first(study) -> None:
    run(study, "study.toml", code=1)
    study.calls()
    study.spec(STUDY.replace("k = [0, 1, 2, 3]", "k = [9, 8, 2, 3]").replace("< 3", "< 30"))
    run(study, "--ff", "study.toml", code=1)
    assert study.calls()[0] == "fails 2"


def test_what_the_failed_needs_runs_before_the_rest(study) -> None:
    run(study, "study.toml", code=1)
    study.calls()
    study.edit("probes/fails", "print(", "print(*(), ")
    run(study, "--ff", "-x", "study.toml", code=1)
    assert study.calls()[0] == "fails 2"


def test_lf_over_several_specs_takes_those_with_failures_only(study) -> None:
    study.spec(STUDY.replace("at = 2", "at = 9").replace("< 3", "< 9"), "good.toml")
    run(study, "study.toml", "good.toml", code=1)
    outcome = study.cli("run", "-n", "1", "--lf", "study.toml", "good.toml")
    assert "good.toml" not in outcome.out
    assert outcome.out.splitlines()[:2] == [
        "study.toml: Some fail", "2 nodes failed when last run",
    ]  # fmt: skip


def test_x_stops_at_the_first_failure_among_the_selected(study) -> None:
    line = run(study, "-x", "study.toml::fails", code=1)
    assert line == "2 passed, 1 failed, 1 not run, 5 deselected"
    assert study.calls() == ["fails 0", "fails 1", "fails 2"]
    assert study.manifest()["failed"] == ["fails[k=2]"]
    assert run(study, "-x", "study.toml", "-k", "fails and not k=2", code=0) == (
        "1 passed, 2 cached, 6 deselected"
    )


def test_maxfail_counts_over_all_specs(study) -> None:
    for name in ("two.toml", "three.toml"):
        study.spec(STUDY, name)
    specs = ["-k", "fails[k=2]", "study.toml", "two.toml", "three.toml"]
    outcome = study.cli("run", "-n", "1", "--maxfail", "2", *specs)
    assert outcome.code == 1
    assert outcome.out.splitlines()[-1] == "stopped after 2 failures: 1 spec was not run"
    outcome = study.cli("run", "-n", "1", "-x", *specs)
    assert outcome.out.splitlines()[-1] == "stopped after 1 failure: 2 specs were not run"


def test_a_manifest_that_is_damaged_or_of_before_is_read_as_it_can_be(study) -> None:
    run(study, "study.toml", code=1)
    file = study.artifacts / "study" / "run.json"
    manifest = study.manifest()
    del manifest["failed"]
    file.write_text(json.dumps(manifest), "utf-8")
    outcome = study.cli("run", "--co", "--lf", "study.toml")
    assert outcome.out.splitlines()[-1] == "2 nodes selected, 7 deselected"
    for text in ("{", "[]", '{"nodes": 3}'):
        file.write_text(text, "utf-8")
        outcome = study.cli("run", "--co", "--lf", "study.toml")
        assert outcome.out.splitlines()[-1] == "9 nodes selected"
