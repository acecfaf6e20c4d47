"""Selecting nodes on the command line: what is run, what is listed, what is refused."""

from __future__ import annotations

import pytest

STUDY = """
title = "A small study"
[axes]
slope = [1.0, 2.0]
exponent = [1.0, 2.0, 3.0]
[markers]
quick = ["points", "positive"]
[data.points]
use = "points"
slope = "$slope"
[perturbations.shifted]
use = "shifted"
data = "@points"
by = 0.5
[probes.power]
use = "power"
data = "@shifted.train"
exponent = "$exponent"
markers = ["slow"]
[renderers.page]
use = "page"
table = "@power"
per = ["slope"]
path = "{slope}.txt"
[expect.positive]
table = "@power"
check = "min(power) > 0"
"""
UNSTORED = "shifted is computed where it is needed and never stored; select what reads it (power)"
LONE = """
[axes]
on = [true, false]
[axes.x]
linspace = [0, 1, 4]
[probes.value]
use = "value"
on = "$on"
a = "$x"
"""


def listed(world, *arguments: str) -> list[str]:
    """Return the ids that --co lists, without the file they share."""
    outcome = world.cli("run", "--co", *arguments)
    assert outcome.code == 0, outcome
    *ids, last = outcome.out.splitlines()
    assert last.startswith(f"{len(ids)} node")
    assert not world.calls()
    return [text.removeprefix("study.toml::") for text in ids]


# -- ids -------------------------------------------------------------------------------------------


def test_a_step_alone_is_all_its_cells_and_brackets_keep_those_that_agree(study) -> None:
    everything = listed(study, "study.toml")
    assert len(everything) == 11
    assert listed(study, "study.toml::power") == [i for i in everything if i.startswith("power")]
    some = listed(study, "study.toml::power[slope=1]")
    assert some == [f"power[slope=1,exponent={e}]" for e in (1, 2, 3)]
    one = ["power[slope=2,exponent=3]"]
    assert listed(study, "study.toml::power[exponent=3,slope=2]") == one
    assert listed(study, "study.toml::power[exponent=3.0, slope=2e0]") == one
    assert listed(study, "study.toml::power[ exponent = 3 , slope = 2 ]") == one
    assert listed(study, "study.toml::positive") == ["positive"]


def test_every_listed_id_selects_its_node_alone(study) -> None:
    for label in listed(study, "study.toml"):
        assert listed(study, f"study.toml::{label}") == [label]


def test_several_ids_are_all_selected_in_the_order_of_the_plan(study) -> None:
    found = listed(study, "study.toml::page", "study.toml::points[slope=2]")
    assert found == ["points[slope=2]", "page[slope=1]", "page[slope=2]"]
    assert len(listed(study, "study.toml::page", "study.toml")) == 11


def test_ids_of_several_specs(study) -> None:
    study.spec(STUDY, "other.toml")
    outcome = study.cli("run", "--co", "study.toml::page[slope=1]", "other.toml::positive")
    assert outcome.out.splitlines() == [
        "study.toml::page[slope=1]", "other.toml::positive", "2 nodes selected, 20 deselected",
    ]  # fmt: skip


def test_values_of_every_kind_can_be_written(shared_world) -> None:
    shared_world.spec(LONE, "lone.toml")
    outcome = shared_world.cli("run", "--co", "lone.toml::value[on=true,x=0.333333]")
    assert outcome.out.splitlines()[0] == "lone.toml::value[on=True,x=0.333333]"
    outcome = shared_world.cli("run", "--co", "lone.toml::value[on=False,x=0.333333333333]")
    assert outcome.out.splitlines()[0] == "lone.toml::value[on=False,x=0.333333]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("powr", 'no step "powr"; did you mean "power"?'),
        ("zzz", 'no step "zzz" (there are: points, shifted, power, page, positive)'),
        ("power[slop=1]", 'power does not vary over "slop"; did you mean "slope"?'),
        ("page[exponent=1]", 'page does not vary over "exponent" (it varies over: slope)'),
        ("power[slope=3]", 'slope has no value "3" (there are: 1, 2)'),
        ("power[slope]", "write axis=value in the brackets, not 'slope'"),
        ("power[slope=1,slope=2]", "slope stands twice"),
        ("power[slope=1", "a node id is step or step[axis=value,...]"),
        ("shifted", UNSTORED),
        ("", "a step follows `::`, as in study.toml::llc or study.toml::llc[task=add]"),
        ("power [slope=1]", 'no step "power "; did you mean "power"?'),
        ("power[slope=1]]", 'slope has no value "1]"; did you mean "1"?'),
        ("power::page", 'no step "power::page"; did you mean "power"?'),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_a_near_miss(study, text: str, message: str) -> None:
    for command in ("run", "plan"):
        outcome = study.cli(command, f"study.toml::{text}")
        assert outcome.code == 2
        assert outcome.err == f"error: study.toml::{text}: {message}\n"
        assert outcome.out == ""


def test_values_may_hold_commas_and_equal_signs(shared_world) -> None:
    shared_world.spec(
        '[axes.name.x]\nk = 1\n[axes.name."a,b"]\nk = 2\n[axes.name."d=e, f"]\nk = 3\n'
        '[probes.value]\nuse = "value"\nk = "$name.k"\n',
        "names.toml",
    )
    for name in ("a,b", "d=e, f"):
        outcome = shared_world.cli("run", "--co", f"names.toml::value[name={name}]")
        assert outcome.out.splitlines()[0] == f"names.toml::value[name={name}]"


def test_a_folder_has_no_steps(study) -> None:
    outcome = study.cli("run", ".::power")
    assert (outcome.code, outcome.err) == (
        2, "error: .::power: . is a folder; a node id names one spec\n",
    )  # fmt: skip


def test_an_id_without_a_spec_or_with_one_colon_is_told(study) -> None:
    outcome = study.cli("run", "::power")
    assert outcome.err == "error: ::power: a spec stands before `::`, as in study.toml::power\n"
    outcome = study.cli("run", "study.toml:power")
    assert outcome.err == "error: study.toml:power: write study.toml::power, with two colons\n"


def test_a_cell_that_where_leaves_out_is_refused(study) -> None:
    study.spec(STUDY.replace('data = "@points"', 'data = "@points"\nwhere = { slope = 1.0 }'))
    text = STUDY.replace('exponent = "$exponent"', 'exponent = "$exponent"\nwhere.slope = 1.0')
    study.spec(text.replace('per = ["slope"]\npath = "{slope}.txt"', 'path = "p.txt"'))
    outcome = study.cli("run", "study.toml::power[slope=2]")
    assert outcome.code == 2
    assert "power has no such cell; its `where` leaves it out" in outcome.err


# -- expressions -----------------------------------------------------------------------------------


def test_words_match_parts_of_ids_whatever_their_case(study) -> None:
    assert listed(study, "study.toml", "-k", "PAGE") == ["page[slope=1]", "page[slope=2]"]
    assert listed(study, "study.toml", "-k", "slope=1 and not power") == [
        "points[slope=1]", "page[slope=1]",
    ]  # fmt: skip
    assert listed(study, "study.toml::power", "-k", "exponent=3 or exponent=2 and slope=1") == [
        "power[slope=1,exponent=2]", "power[slope=1,exponent=3]", "power[slope=2,exponent=3]",
    ]  # fmt: skip


def test_words_match_the_name_of_the_file_too(study) -> None:
    study.spec(STUDY, "specs/llc_small.toml")
    study.spec(STUDY, "specs/drift.toml")
    for text in ("llc", "LLC_small.toml", "'llc_small.toml::'", "small and not drift"):
        outcome = study.cli("run", "--co", "specs", "-k", text)
        *ids, last = outcome.out.splitlines()
        assert last == "11 nodes selected, 11 deselected"
        assert all(line.startswith("specs/llc_small.toml::") for line in ids)
    assert study.cli("run", "--co", "specs", "-k", "specs").code == 5  # folders are not matched


def test_markers_of_the_spec_and_of_the_step(study) -> None:
    quick = ["points[slope=1]", "points[slope=2]", "positive"]
    assert listed(study, "study.toml", "-m", "quick") == quick
    assert len(listed(study, "study.toml", "-m", "slow")) == 6
    assert len(listed(study, "study.toml", "-m", "not slow and not quick")) == 2


def test_expressions_that_cannot_be_read_are_told(study) -> None:
    outcome = study.cli("run", "study.toml", "-k", "power and")
    assert outcome.code == 2
    assert outcome.err == (
        "error: -k 'power and': column 10: expected not, a bracket or a word; found the end\n"
    )
    outcome = study.cli("run", "study.toml", "-m", "quik")
    assert outcome.code == 2
    assert outcome.err == 'error: -m \'quik\': no marker "quik"; did you mean "quick"?\n'


def test_nothing_selected_is_an_exit_code_of_its_own(study) -> None:
    for command in (["run"], ["run", "--co"], ["plan"]):
        outcome = study.cli(*command, "study.toml", "-k", "nowhere")
        assert (outcome.code, outcome.out) == (5, "")
        assert outcome.err == "nothing selected: 11 deselected\n"
    assert not study.artifacts.exists()


def test_a_spec_in_which_nothing_is_selected_is_passed_over(study) -> None:
    study.spec(STUDY, "specs/study.toml")
    study.spec('[probes.value]\nuse = "value"\n', "specs/other.toml")
    outcome = study.cli("run", "specs", "-n", "1", "-k", "value")
    assert outcome.code == 0
    assert "study.toml" not in outcome.out
    assert outcome.last == "1 passed"


# -- runs ------------------------------------------------------------------------------------------


def test_what_a_selected_node_needs_is_computed_and_nothing_else(study) -> None:
    outcome = study.run_cli("run", "-n", "1", "study.toml::power[slope=2,exponent=3]")
    assert outcome.code == 0, outcome
    assert outcome.last == "1 passed, 10 deselected (1 of them computed as input)"
    assert study.calls() == ["points 2 0", "shifted 0.5", "power of 1"]
    again = study.cli("run", "-n", "1", "study.toml::power[slope=2,exponent=3]")
    assert again.last == "1 cached, 10 deselected"
    assert study.calls() == []


def test_a_cached_node_asks_for_nothing_above_it(study) -> None:
    assert study.cli("run", "-n", "1", "study.toml").code == 0
    for path in (study.artifacts / "study").glob("*.txt"):
        path.unlink()
    outcome = study.cli("run", "-n", "1", "study.toml::page[slope=1]")
    assert outcome.last == "1 cached, 10 deselected"
    views = sorted(path.name for path in (study.artifacts / "study").glob("*.txt"))
    assert views == ["1.txt"]


def test_only_missing_leaves_out_what_is_stored(study) -> None:
    study.cli("run", "-n", "1", "study.toml::power[slope=2]")
    ids = listed_after = study.cli("run", "--co", "--only-missing", "study.toml").out.splitlines()
    assert "study.toml::power[slope=1,exponent=1]" in ids
    assert not any("power[slope=2" in text or "points[slope=2" in text for text in listed_after)
    outcome = study.cli("run", "-n", "1", "--only-missing", "study.toml")
    assert outcome.last == "7 passed, 4 deselected"


def test_when_all_that_is_selected_is_stored_nothing_is_missing(study) -> None:
    study.cli("run", "-n", "1", "study.toml::power")
    for command in (["run"], ["run", "--co"], ["plan"]):
        outcome = study.cli(*command, "--only-missing", "-k", "power", "study.toml")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out == "nothing is missing: 6 nodes stored\n"
    outcome = study.cli("run", "--only-missing", "-k", "nowhere", "study.toml")
    assert (outcome.code, outcome.err) == (5, "nothing selected: 11 deselected\n")


def test_a_plan_of_selected_nodes_tells_what_they_need(study) -> None:
    outcome = study.cli("plan", "study.toml::page[slope=1]")
    assert outcome.out.splitlines()[1:] == [
        "points    data/points: 1 node over slope: 1 new",
        "power     probes/power: 3 nodes over slope, exponent: 3 new",
        "page      renderers/page: 1 node over slope: 1 new",
        "5 nodes, 0 cached, 5 to run, 10 deselected (4 of them needed as inputs)",
    ]


def test_views_of_nodes_that_are_not_selected_stay_and_are_removed_when_they_are_no_more(
    study,
) -> None:
    views = study.artifacts / "study"
    study.cli("run", "-n", "1", "study.toml")
    study.cli("run", "-n", "1", "study.toml::positive")
    assert sorted(path.name for path in views.glob("*.txt")) == ["1.txt", "2.txt"]
    study.spec(STUDY.replace("{slope}.txt", "slope_{slope}.txt"))
    study.cli("run", "-n", "1", "study.toml")
    assert sorted(path.name for path in views.glob("*.txt")) == ["slope_1.txt", "slope_2.txt"]


def test_the_numbers_of_a_selected_node_are_those_of_the_whole_run(study) -> None:
    study.cli("run", "-n", "1", "--artifacts", "one", "study.toml::power[slope=2,exponent=2]")
    study.cli("run", "-n", "1", "--artifacts", "all", "study.toml")
    from runner.storage.store import Store

    tables = []
    for name in ("one", "all"):
        store = Store(study.folder / name / ".store")
        store.refresh()
        label = "power[slope=2,exponent=2]"
        tables.append([r["outputs"] for r in store.records.values() if r["label"] == label])
    assert len(tables[0]) == 1
    assert tables[0] == tables[1]


def test_a_failure_above_a_selected_node_is_counted(study) -> None:
    study.spec(STUDY.replace("[1.0, 2.0, 3.0]", "[1.0, 13.0]"))
    outcome = study.cli("run", "-n", "1", "study.toml::page[slope=1]")
    assert outcome.code == 1
    assert outcome.last == "1 failed, 1 blocked, 8 deselected (2 of them computed as inputs)"
