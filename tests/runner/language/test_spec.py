"""The shape of a spec: names, references, steps that are like others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.language.layers import Layers
from runner.language.spec import (
    TOP_KEYS,
    AxisUse,
    Problems,
    Spec,
    axis_use,
    leaves,
    load,
    parse_reference,
    whole_axis,
)
from runner.registry import FAMILY_KEYS


def shape(folder: Path, text: str, **wish: Any) -> Spec:
    path = folder / "study.toml"
    path.write_text(text, "utf-8")
    return load(path, **wish)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("@net", ("net", None, None)), ("@data.train", ("data", "train", None)),
        ("@net@best", ("net", None, "best")), ("@net@1000", ("net", None, "1000")),
        ("@net@$step", ("net", None, "$step")), ("@net.history", ("net", "history", None)),
        ("@_a1.b_2@$c", ("_a1", "b_2", "$c")),
    ],
)  # fmt: skip
def test_a_reference_has_a_step_an_output_and_a_checkpoint(text: str, parts: Any) -> None:
    found = parse_reference(text, ("probes", "p"))
    assert found is not None
    assert (found.step, found.output, found.checkpoint) == parts


@pytest.mark.parametrize(
    "text", ["net", "@", "@1net", "@net.", "@net@", "@net.a.b", "@ net", "@net ", "@net@$",
             "@net@a-b",
             "@net\n", "@net@best.x", "$net", "@@net", "@nét"]
)  # fmt: skip
def test_what_is_no_reference_is_none(text: str) -> None:
    assert parse_reference(text, ()) is None


def test_axes_and_whole_axes_are_told_from_text() -> None:
    assert axis_use("$task") == AxisUse("task", None)
    assert axis_use("$s.points") == AxisUse("s", "points")
    assert whole_axis("$$step") == "step"
    for text in (
        "task",
        "$",
        "$1",
        "$a b",
        "$$step",
        "$a.b.c",
        "cost: $5",
        "$a\n",
        3,
        None,
        ["$a"],
    ):
        assert axis_use(text) is None
    for text in ("$step", "$$", "$$a.b", "$$$a", 3):
        assert whole_axis(text) is None


@given(st.text(max_size=12))
def test_no_text_is_both_an_axis_and_a_reference(text: str) -> None:
    found = [axis_use(text), whole_axis(text), parse_reference(text, ())]
    assert sum(one is not None for one in found) <= 1


def test_leaves_are_the_scalars_with_their_places() -> None:
    value = {"a": [1, {"b": "x"}], "c": {}, "d": True}
    assert list(leaves(value, ("p",))) == [
        (("p", "a", 0), 1), (("p", "a", 1, "b"), "x"), (("p", "d"), True),
    ]  # fmt: skip


def test_title_and_name_come_from_the_file_unless_given(tmp_path: Path) -> None:
    text = '[probes.p]\nuse = "value"\n'
    spec = shape(tmp_path, text)
    assert (spec.title, spec.name, spec.seed) == ("study", "study", 0)
    assert shape(tmp_path, 'title = "A title"\nseed = 4\n' + text).title == "A title"


def test_every_family_and_check_is_a_top_level_key(tmp_path: Path) -> None:
    text = "".join(f'[{key}.s_{key}]\nuse = "x"\n' for key in FAMILY_KEYS)
    text += '[expect.e]\ncheck = "x < 1"\n[hypotheses.h]\ncheck = "x < 1"\n'
    spec = shape(tmp_path, text)
    assert spec.found == []
    assert {step.family for step in spec.steps.values()} == {*FAMILY_KEYS, "expect", "hypotheses"}
    assert spec.steps["s_probes"].where == ("probes", "s_probes")
    assert spec.steps["e"].use == "check"
    assert set(FAMILY_KEYS) < set(TOP_KEYS)


def test_a_step_holds_neither_use_nor_like(tmp_path: Path) -> None:
    spec = shape(tmp_path, '[probes.a]\nuse = "v"\nk = 1\n[probes.b]\nlike = "a"\n')
    assert spec.steps["a"].body == spec.steps["b"].body == {"k": 1}
    assert spec.steps["b"].use == "v"


def test_like_overrides_tables_deeply_and_lists_whole(tmp_path: Path) -> None:
    text = '[probes.a]\nuse = "v"\no = { x = 1, y = [1, 2] }\n'
    text += '[probes.b]\nlike = "a"\no = { y = [3] }\n'
    spec = shape(tmp_path, text)
    assert spec.steps["b"].body == {"o": {"x": 1, "y": [3]}}
    assert spec.steps["a"].body == {"o": {"x": 1, "y": [1, 2]}}


def test_a_step_may_be_like_another_with_another_plugin(tmp_path: Path) -> None:
    spec = shape(tmp_path, '[probes.a]\nuse = "v"\nk = 1\n[probes.b]\nlike = "a"\nuse = "w"\n')
    assert (spec.steps["b"].use, spec.steps["b"].body) == ("w", {"k": 1})


def test_what_cannot_be_read_is_broken_and_the_rest_is_there(tmp_path: Path) -> None:
    text = "[axes]\nbad = []\ngood = [1]\n[probes.a]\nk = 1\n"
    text += '[probes.b]\nuse = "v"\n[probe.c]\nuse = "v"\n'
    spec = shape(tmp_path, text)
    assert len(spec.found) == 3
    assert spec.broken == {"bad", "a", "c"}
    assert (list(spec.axes), list(spec.steps)) == (["good"], ["b"])


def test_a_sweep_reads_values_as_toml_and_else_as_text(tmp_path: Path) -> None:
    text = '[params]\nlr = 1\nword = "x"\n[axes]\na = [1]\n[probes.p]\nuse = "v"\n'
    spec = shape(tmp_path, text, sweeps=("lr=1e-3, 2", "word=add,sub", "a=5,6"))
    assert spec.axes["lr"].labels == (1e-3, 2.0)
    assert spec.axes["word"].labels == ("add", "sub")
    assert spec.axes["a"].labels == (5, 6)
    assert spec.params == {}


def test_a_problem_is_told_once_and_counted_each_time() -> None:
    problems = Problems(Layers(Path("x.toml")))
    problems.add(("a",), "wrong")
    problems.add(("a",), "wrong")
    problems.follow()
    assert len(problems.found) == 1
    assert problems.count == 3
