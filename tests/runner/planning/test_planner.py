"""From a spec to nodes: what varies over what, what is gathered, and which nodes are one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import SpecError
from runner.planning.plan import One, Plan, Rows, Stack

BASE = """
[axes]
slope = [1.0, 2.0]
exponent = [1.0, 2.0, 3.0]
word = ["plus", "minus"]

[data.points]
use = "points"
slope = "$slope"

[models.line]
use = "line"

[trainers.trained]
use = "descent"
model = "@line"
data = "@points"
save_at = [2, 3]

[probes.power]
use = "power"
data = "@points.train"
exponent = "$exponent"

[probes.value]
use = "value"
sign = "$word"
"""


@pytest.fixture(scope="module")
def plan(shared_world) -> Callable[..., Plan]:
    """Return the function that plans a spec given as text."""
    return shared_world.plan


def keys(plan: Plan, step: str) -> dict[Any, str]:
    return {cell: node.key for cell, node in plan.steps[step].nodes.items()}


def problems(plan: Callable[..., Plan], text: str, **wish: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        plan(text, **wish)
    return [problem.message for problem in caught.value.problems]


# -- what varies -------------------------------------------------------------------------------


def test_a_step_varies_over_the_axes_it_names_and_those_of_its_inputs(plan) -> None:
    steps = plan(BASE).steps
    assert steps["points"].axes == ("slope",)
    assert steps["line"].axes == ()
    assert steps["trained"].axes == ("slope",)
    assert steps["power"].axes == ("slope", "exponent")
    assert steps["value"].axes == ("word",)
    assert {name: len(step.nodes) for name, step in steps.items()} == {
        "points": 2, "line": 1, "trained": 2, "power": 6, "value": 2,
    }  # fmt: skip


def test_each_cell_reads_the_nodes_of_its_own_coordinates(plan) -> None:
    steps = plan(BASE).steps
    for (slope, exponent), node in steps["power"].nodes.items():
        bound = node.ports["data"]
        assert isinstance(bound, One)
        assert bound.node is steps["points"].nodes[slope,]
        assert (bound.output, bound.checkpoint) == ("train", None)
        assert node.plugin.exponent == exponent


def test_nodes_come_after_what_they_read(plan) -> None:
    seen = set()
    for node in plan(BASE).nodes():
        assert all(source.key in seen for source in node.inputs())
        seen.add(node.key)


def test_labels_name_the_cell(plan) -> None:
    steps = plan(BASE).steps
    assert [n.label for n in steps["value"].nodes.values()] == [
        "value[word=plus]",
        "value[word=minus]",
    ]
    assert steps["power"].nodes[1.0, 2.0].label == "power[slope=1,exponent=2]"
    assert steps["line"].nodes[()].label == "line"


def test_the_seed_may_be_an_axis_and_is_that_of_the_spec_otherwise(plan) -> None:
    text = """
seed = 7
[axes]
rank = [0, 1]
[probes.a]
use = "draw"
[probes.b]
use = "draw"
seed = "$rank"
"""
    steps = plan(text).steps
    assert [n.seed for n in steps["a"].nodes.values()] == [7]
    assert [n.seed for n in steps["b"].nodes.values()] == [0, 1]
    everywhere = plan('seed = "$rank"\n[axes]\nrank = [0, 1]\n[probes.a]\nuse = "draw"\n').steps
    assert [n.seed for n in everywhere["a"].nodes.values()] == [0, 1]


def test_a_step_that_draws_nothing_has_no_seed_in_its_key(plan) -> None:
    first, second = plan("seed = 1\n" + BASE), plan("seed = 2\n" + BASE)
    assert keys(first, "value") == keys(second, "value")
    assert not set(keys(first, "points").values()) & set(keys(second, "points").values())


# -- gathering ---------------------------------------------------------------------------------


def page(more: str = "", table: str = '"@power"', path: str = "page.txt") -> str:
    return f'\n[renderers.page]\nuse = "page"\ntable = {table}\npath = "{path}"\n{more}\n'


def test_a_renderer_gathers_everything_by_default(plan) -> None:
    (node,) = plan(BASE + page()).steps["page"].nodes.values()
    rows = node.ports["table"]
    assert isinstance(rows, Rows)
    (part,) = rows.parts
    assert (part.step, part.axes, len(part.members)) == ("power", ("slope", "exponent"), 6)


def test_per_keeps_axes_and_over_collapses_them(plan) -> None:
    kept = plan(BASE + page('per = ["slope"]', path="{slope}.txt")).steps["page"]
    over = plan(BASE + page('over = ["exponent"]', path="{slope}.txt")).steps["page"]
    assert kept.axes == over.axes == ("slope",)
    assert keys_of(kept) == keys_of(over)
    for (slope,), node in kept.nodes.items():
        cells = [cell for cell, _ in node.ports["table"].parts[0].members]
        assert cells == [(slope, e) for e in (1.0, 2.0, 3.0)]


def keys_of(planned: Any) -> list[str]:
    return [node.key for node in planned.nodes.values()]


def test_a_probe_gathers_only_where_told_to(plan) -> None:
    probe = '\n[probes.mean]\nuse = "average"\ntable = "@power"\ncolumn = "power"\n'
    assert plan(BASE + probe).steps["mean"].axes == ("slope", "exponent")
    assert plan(BASE + probe + 'over = ["slope"]').steps["mean"].axes == ("exponent",)
    assert plan(BASE + probe + "per = []").steps["mean"].axes == ()


def test_arrays_are_stacked_along_what_is_gathered(plan) -> None:
    text = """
[axes]
scale = [1.0, 2.0]
k = [1, 2]
[probes.matrix]
use = "matrix"
scale = "$scale"
[probes.total]
use = "total"
arrays = "@matrix"
"""
    each = plan(text.replace("k = [1, 2]", "")).steps["total"]
    assert [type(n.ports["arrays"]) for n in each.nodes.values()] == [One, One]
    (node,) = (
        plan(text.replace("k = [1, 2]", "") + 'over = ["scale"]').steps["total"].nodes.values()
    )
    stack = node.ports["arrays"]
    assert isinstance(stack, Stack)
    assert [cell for cell, _ in stack.part.members] == [(1.0,), (2.0,)]


def test_a_column_parameter_may_be_an_axis_of_the_gathered_table(plan) -> None:
    plan(BASE + page('show = ["slope", "exponent", "power"]'))
    message = 'no column "expnent"; did you mean "exponent"?'
    assert problems(plan, BASE + page('show = ["expnent"]')) == [message]


# -- joins, derive, where ----------------------------------------------------------------------


def test_columns_that_two_tables_share_are_named_by_their_steps(plan) -> None:
    second = '\n[probes.other]\nuse = "value"\nk = 3\n'
    joined = '["@value", "@other"]'
    plan(BASE + second + page('show = ["word", "value_value", "other_double"]', joined))
    messages = problems(plan, BASE + second + page('show = ["value"]', joined))
    assert messages == ['no column "value"; did you mean "value_value"?']


def test_derived_columns_can_be_named_and_use_one_another(plan) -> None:
    derive = 'derive = { half = "power / 2", quarter = "half / 2" }\nshow = ["quarter"]'
    (node,) = plan(BASE + page(derive)).steps["page"].nodes.values()
    assert node.ports["table"].derive == {"half": "power / 2", "quarter": "half / 2"}


def test_where_keeps_a_step_to_its_cells_and_gathered_tables_to_their_rows(plan) -> None:
    kept = plan(
        BASE + '\n[probes.some]\nuse = "power"\ndata = "@points.test"\nwhere = { slope = 2 }\n'
    )
    assert list(kept.steps["some"].nodes) == [(2.0,)]
    rows = plan(BASE + page("where = { slope = [2.0, 1.0], exponent = 3 }")).steps["page"].nodes[()]
    assert [cell for cell, _ in rows.ports["table"].parts[0].members] == [(1.0, 3.0), (2.0, 3.0)]


def test_where_may_name_a_column_of_the_rows(plan) -> None:
    (node,) = plan(BASE + page("where = { power = 1.0 }")).steps["page"].nodes.values()
    assert node.ports["table"].where == {"power": 1.0}
    assert len(node.ports["table"].parts[0].members) == 6


def test_a_where_label_may_be_an_expression(plan) -> None:
    text = (
        '[axes]\na = ["pi", "pi/2"]\n[probes.v]\nuse = "value"\na = "$a"\nwhere = { a = "pi/2" }\n'
    )
    assert list(plan(text).steps["v"].nodes) == [(math.pi / 2,)]


def test_a_slice_of_a_check_is_kept_to_its_cells(plan) -> None:
    text = (
        BASE
        + """
[hypotheses.claim]
let.one = { table = "@value", where = { word = "plus" } }
let.all = "@value"
check = "mean(one.value) >= mean(all.value)"
"""
    )
    (node,) = plan(text).steps["claim"].nodes.values()
    assert [c for c, _ in node.ports["one"].parts[0].members] == [("plus",)]
    assert [c for c, _ in node.ports["all"].parts[0].members] == [("plus",), ("minus",)]


# -- variants, whole axes, checkpoints -----------------------------------------------------------


def test_fields_of_a_variant_vary_together(plan) -> None:
    text = """
[axes.scenario.small]
a = 0.5
points = [[0.0, 1.0]]
[axes.scenario.large]
a = "2*pi"
points = [[2.0, 3.0], [4.0, 5.0]]
[probes.v]
use = "value"
a = "$scenario.a"
points = "$scenario.points"
"""
    nodes = plan(text).steps["v"].nodes
    assert list(nodes) == [("small",), ("large",)]
    assert nodes["large",].plugin.a == 2 * math.pi
    assert nodes["large",].plugin.points == ((2.0, 3.0), (4.0, 5.0))


def test_two_dollars_hand_over_the_whole_axis(plan) -> None:
    text = BASE.replace("save_at = [2, 3]", 'save_at = "$$when"').replace(
        "[axes]", "[axes]\nwhen = [1, 4]"
    )
    steps = plan(text + '\n[probes.size]\nuse = "size"\nmodel = "@trained@$when"\n').steps
    assert steps["trained"].axes == ("slope",)
    assert steps["trained"].nodes[1.0,].plugin.save_at == (1, 4)
    assert set(steps["size"].axes) == {"slope", "when"}
    for cell, node in steps["size"].nodes.items():
        assert (
            node.ports["model"].checkpoint
            == dict(zip(steps["size"].axes, cell, strict=True))["when"]
        )


@pytest.mark.parametrize(
    ("reference", "checkpoint"),
    [("@trained", "last"), ("@trained@best", "best"), ("@trained@3", "3")],
)
def test_a_trained_step_stands_for_the_checkpoint_named(
    plan, reference: str, checkpoint: str
) -> None:
    size = f'\n[probes.size]\nuse = "size"\nmodel = "{reference}"\n'
    for node in plan(BASE + size).steps["size"].nodes.values():
        assert node.ports["model"].checkpoint == checkpoint


def test_last_is_what_a_bare_reference_means(plan) -> None:
    size = '\n[probes.size]\nuse = "size"\nmodel = "@trained{}"\n'
    bare, last, best = (plan(BASE + size.format(s)) for s in ("", "@last", "@best"))
    assert keys(bare, "size") == keys(last, "size")
    assert keys(bare, "size") != keys(best, "size")


def test_a_parameter_may_name_the_checkpoint_and_a_sweep_makes_it_an_axis(plan) -> None:
    text = "[params]\nat = 2\n" + BASE + '\n[probes.size]\nuse = "size"\nmodel = "@trained@$at"\n'
    assert {n.ports["model"].checkpoint for n in plan(text).steps["size"].nodes.values()} == {"2"}
    swept = plan(text, sweeps=("at=2,3",)).steps["size"]
    assert set(swept.axes) == {"slope", "at"}


def test_the_history_is_a_table(plan) -> None:
    text = BASE + page('show = ["slope", "step", "loss"]', '"@trained.history"')
    (node,) = plan(text).steps["page"].nodes.values()
    assert node.ports["table"].parts[0].output == "history"


# -- params, like, extends, profiles, set, sweep ---------------------------------------------------


def test_a_parameter_stands_for_its_value(plan) -> None:
    text = """
[params]
k = 3
choice = { method = "sketch" }
[probes.v]
use = "value"
k = "$k"
[probes.n]
use = "nested"
choice = "$choice"
"""
    steps = plan(text).steps
    assert steps["v"].nodes[()].plugin.k == 3
    assert steps["n"].nodes[()].plugin.choice.method == "sketch"
    literal = plan('[probes.v]\nuse = "value"\nk = 3\n')
    assert keys(literal, "v") == {(): steps["v"].nodes[()].key}


def test_a_sweep_turns_a_parameter_into_an_axis(plan) -> None:
    text = '[params]\nk = 3\n[probes.v]\nuse = "value"\nk = "$k"\n'
    swept = plan(text, sweeps=("k=1, 3",))
    assert list(swept.steps["v"].nodes) == [(1,), (3,)]
    assert swept.steps["v"].nodes[3,].key == plan(text).steps["v"].nodes[()].key


def test_like_copies_a_step_and_overrides_some_keys_deeply(plan) -> None:
    text = """
[probes.first]
use = "nested"
choice = { method = "sketch", inner = { depth = 4, tolerance = 0.5 } }
[probes.second]
like = "first"
choice = { inner = { depth = 5 } }
[probes.third]
like = "second"
"""
    steps = plan(text).steps
    second = steps["second"].nodes[()].plugin.choice
    assert (second.method, second.inner.depth, second.inner.tolerance) == ("sketch", 5, 0.5)
    assert steps["third"].nodes[()].key == steps["second"].nodes[()].key


def test_extends_then_profile_then_set_is_the_order(plan, shared_world) -> None:
    shared_world.spec('[probes.v]\nuse = "value"\nk = 1\na = 1.0\nsign = "minus"\n', "base.toml")
    text = 'extends = "base.toml"\n[probes.v]\nk = 2\n[profiles.p.probes.v]\nk = 3\na = 3.0\n'
    plugin = plan(text).steps["v"].nodes[()].plugin
    assert (plugin.k, plugin.a, plugin.sign) == (2, 1.0, "minus")
    plugin = plan(text, profile="p").steps["v"].nodes[()].plugin
    assert (plugin.k, plugin.a, plugin.sign) == (3, 3.0, "minus")
    plugin = (
        plan(text, profile="p", sets=("probes.v.k=4", "probes.v.k=5")).steps["v"].nodes[()].plugin
    )
    assert (plugin.k, plugin.a) == (5, 3.0)


def test_a_profile_replaces_an_axis_whole_whatever_its_form(plan) -> None:
    text = """
[axes]
a = { linspace = [0, 1, 3] }
[probes.v]
use = "value"
a = "$a"
[profiles.p.axes]
a = { geomspace = [1, 100, 3] }
"""
    assert list(plan(text, profile="p").steps["v"].nodes) == [(1.0,), (10.0,), (100.0,)]


# -- text with holes -----------------------------------------------------------------------------


def test_holes_are_filled_with_labels_and_formats(plan) -> None:
    path = 'per = ["slope", "exponent"]\ntitle = "{{x}} at {slope:.2f}"'
    nodes = plan(BASE + page(path, path="{slope}/{exponent:03.0f}.txt")).steps["page"].nodes
    node = nodes[2.0, 3.0]
    assert node.plugin.path == "2/003.txt"
    assert node.views == ("2/003.txt",)
    assert node.plugin.title == "{x} at 2.00"


def test_every_format_of_a_renderer_is_a_view(plan) -> None:
    (node,) = plan(BASE + page('formats = [".md", ".txt"]')).steps["page"].nodes.values()
    assert node.views == ("page.txt", "page.md")


# -- identity ------------------------------------------------------------------------------------


def test_steps_that_compute_the_same_are_one_node(plan) -> None:
    value = '[probes.{}]\nuse = "value"\nk = {}\n'
    text = value.format("a", 2) + value.format("b", 2) + value.format("c", 3)
    found = plan(text)
    assert found.steps["a"].nodes[()].key == found.steps["b"].nodes[()].key
    assert len(list(found.nodes())) == 2


def test_one_and_one_point_zero_are_one_key_for_a_number(plan) -> None:
    values = ["1", "1.0", "1e0", '"1"', '"2/2"', '"cos"']
    found = {
        plan(f'[probes.v]\nuse = "value"\na = {v}\n').steps["v"].nodes[()].key for v in values[:-1]
    }
    assert len(found) == 1


def test_defaults_that_are_written_out_change_no_key(plan) -> None:
    bare = plan('[probes.v]\nuse = "value"\n')
    full = plan('[probes.v]\nuse = "value"\na = 0\nk = 0\nsign = "plus"\non = true\npoints = []\n')
    assert keys(bare, "v") == keys(full, "v")


def test_an_expression_is_its_value(plan) -> None:
    first = plan('[probes.v]\nuse = "value"\na = "pi/2"\n')
    assert first.steps["v"].nodes[()].plugin.a == math.pi / 2
    assert keys(first, "v") == keys(plan(f'[probes.v]\nuse = "value"\na = {math.pi / 2!r}\n'), "v")


def test_comments_order_and_formatting_change_no_key(plan) -> None:
    text = """
[axes]
a = [1.0, 2.0]
[probes.v]
use = "value"
a = "$a"
k = 2
[probes.w]
use = "average"
table = "@v"
"""
    other = """# A comment.
title = "a title"
[probes.w]  # first
table   = "@v"
use = 'average'
[probes]
v.k = 2
v.a = "$a"
v.use = "value"
[axes]
a = [
  1.0, # one
  2.0,
]
"""
    for step in ("v", "w"):
        assert keys(plan(text), step) == keys(plan(other), step)


def test_another_value_on_an_axis_changes_no_other_key(plan) -> None:
    more = plan(BASE.replace("exponent = [1.0, 2.0, 3.0]", "exponent = [0.5, 1.0, 2.0, 3.0, 4.0]"))
    for step in ("points", "trained", "power", "value"):
        old, new = keys(plan(BASE), step), keys(more, step)
        assert old.items() <= new.items()


def test_the_names_of_steps_and_axes_are_in_no_key_of_what_does_not_gather(plan) -> None:
    renamed = BASE.replace("slope = [", "gradient = [").replace('"$slope"', '"$gradient"')
    renamed = renamed.replace("points]", "cloud]").replace("@points", "@cloud")
    assert list(keys(plan(BASE), "power").values()) == list(keys(plan(renamed), "power").values())


def test_a_parameter_an_input_a_seed_and_a_checkpoint_each_change_the_key(plan) -> None:
    size = BASE + '\n[probes.size]\nuse = "size"\nmodel = "@trained@2"\n'
    variants = [
        size,
        "seed = 1\n" + size,
        size.replace("@trained@2", "@trained@3"),
        size.replace("[trainers.trained]\n", "[trainers.trained]\nrate = 0.2\n"),
        size.replace("[models.line]\n", "[models.line]\nwidth = 2\n"),
        size.replace("[data.points]\n", "[data.points]\nnoise = 0.2\n"),
    ]
    found = [keys(plan(text), "size")[1.0,] for text in variants]
    assert len(set(found)) == len(variants)


def test_circumstances_change_no_key(plan) -> None:
    text = BASE.replace(
        "[probes.power]\n", '[probes.power]\nresources = { threads = 2 }\nmarkers = ["slow"]\n'
    )
    assert keys(plan(BASE), "power") == keys(plan(text), "power")
    assert plan(text).steps["power"].bound.threads == 2


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.permutations(["points", "line", "trained", "power", "value"]))
def test_the_order_of_tables_never_changes_a_key(plan, order: list[str]) -> None:
    head, *tables = BASE.split("\n\n")
    by_name = {table.partition(".")[2].partition("]")[0]: table for table in tables}
    shuffled = plan("\n\n".join([*(by_name[name] for name in order), head]))
    straight = plan(BASE)
    for step in by_name:
        assert keys(shuffled, step) == keys(straight, step)


# -- requires and markers --------------------------------------------------------------------------


def test_a_hypothesis_waits_for_the_expectation_of_its_own_cell(plan) -> None:
    text = (
        BASE
        + """
[expect.healthy]
table = "@power"
per = ["slope"]
check = "power > 0"
[hypotheses.claim]
table = "@power"
per = ["slope"]
check = "power > 1"
requires = ["healthy"]
"""
    )
    steps = plan(text).steps
    for cell, node in steps["claim"].nodes.items():
        assert node.requires == (steps["healthy"].nodes[cell],)


def test_markers_are_noted_on_steps(plan) -> None:
    own = BASE.replace("[probes.power]\n", '[probes.power]\nmarkers = ["slow"]\n')
    text = '[markers]\nquick = ["power"]\n' + own
    assert plan(text).steps["power"].bound.markers == ["slow", "quick"]
