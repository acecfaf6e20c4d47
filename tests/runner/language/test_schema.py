"""The JSON Schema of specs accepts what `validate` accepts and refuses what is wrong in shape."""

from __future__ import annotations

import ast
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.errors import RunnerError
from runner.language.schema import spec_schema
from runner.plugin import FAMILIES
from runner.registry import Registry
from runner.running.journey import Wish, prepare

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "specs").glob("*.toml"))
BAD = ROOT / "tests" / "bad_specs"


@pytest.fixture(scope="module")
def judge(shared_world):
    """Return a validator of the world's specs: its own plugins and the built-in ones."""
    schema = spec_schema(shared_world.folder)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def shipped():
    return jsonschema.Draft202012Validator(spec_schema(ROOT))


def wrong(judge: Any, text: str) -> list[str]:
    return [f"{e.json_path}: {e.message[:200]}" for e in judge.iter_errors(tomllib.loads(text))]


@pytest.mark.parametrize("spec", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_spec_is_accepted(shipped, spec: Path) -> None:
    assert wrong(shipped, spec.read_text("utf-8")) == []


def texts_of_tests() -> list[str]:
    """Return every text in the tests that may be a spec: it has a table of some family."""
    found = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                try:
                    data = tomllib.loads(node.value)
                except tomllib.TOMLDecodeError:
                    continue
                if data.keys() & FAMILIES.keys():
                    found[node.value] = file.name
    return list(found)


def test_every_valid_spec_of_the_tests_is_accepted(judge, shared_world) -> None:
    accepted = 0
    for text in texts_of_tests():
        spec = shared_world.spec(text, "schema.toml")
        try:
            for profile in (None, *tomllib.loads(text).get("profiles", ())):
                prepare(Wish(spec, profile), keyed=False)
        except RunnerError:
            continue
        assert wrong(judge, text) == [], text
        accepted += 1
    assert accepted > 20


EVERYTHING = """
title = "All words of the language"
seed = "$draw"

[params]
steps = 3
table = { depth = 2 }

[axes]
task = ["a", "b"]
draw = [1, 2]
plain = [0.5, "pi/2"]
line = { linspace = [0, "2*pi", 5] }
log = { geomspace = [1e-3, 1.0, 4] }
range = { arange = [0, 10, 2] }
[axes.scenario.one]
points = [[0.0, 5.0]]
[axes.scenario.two]
points = []

[markers]
slow = ["trained"]

[data.points]
use = "points"

[models.line]
use = "line"

[trainers.trained]
use = "descent"
model = "@line"
data = "@points"
steps = "$steps"
save_at = "$$draw"
rate = "1/10"
schedule = { kind = "linear" }
seed = "$draw"
resources = { threads = 2 }
markers = ["heavy"]

[trainers.again]
like = "trained"
rate = 0.2

[probes.value]
use = "value"
a = "-pi/2"
k = "$draw"
sign = "minus"
points = "$scenario.points"
where = { draw = [1, 2], task = "a" }

[probes.some_points]
use = "value"
points = [["$plain", 1], ["$line", "sqrt(2)"]]

[probes.nested]
use = "nested"
choice = "$table"

[probes.size]
use = "size"
model = "@trained@$draw"

[renderers.page]
use = "page"
table = ["@value", "@trained.history"]
derive = { gain = "value / double - 1" }
per = ["task"]
path = "{task}.txt"
show = ["value"]

[expect.holds]
table = "@value"
claim = "it holds"
check = "value > 0"

[hypotheses.claim]
over = ["draw"]
requires = ["holds"]
let.one = { table = "@value", where = { draw = 1 }, derive = { b = "value" } }
let.two = "@value"
check = "mean(one.value) < mean(two.value)"

[profiles.paper]
params.steps = 100
probes.value.a = 2.0
trainers.trained.schedule.warmup = 3
expect.holds.check = "value > 1"
[profiles.paper.axes]
task = ["c"]
"""


def test_every_word_of_the_language_is_accepted(judge) -> None:
    assert wrong(judge, EVERYTHING) == []


def test_a_spec_that_extends_another_need_not_be_whole(judge) -> None:
    part = '[probes.value]\na = 2.0\n[renderers.page]\npath = "b.txt"\n'
    assert wrong(judge, part)
    assert wrong(judge, f'extends = "base.toml"\n{part}') == []


WRONG = {
    "unknown top-level key": ('title = "All', 'titel = "All'),
    "number for the title": ('title = "All words of the language"', "title = 3"),
    "negative seed": ('seed = "$draw"\n\n[params]', "seed = -1\n\n[params]"),
    "unknown plugin": ('use = "points"', 'use = "pionts"'),
    "plugin of another family": ('use = "points"', 'use = "line"'),
    "unknown parameter": ('sign = "minus"', 'sing = "minus"'),
    "unknown choice": ('sign = "minus"', 'sign = "plsu"'),
    "text for a number": ('a = "-pi/2"', 'a = "half"'),
    "text for a whole number": ('k = "$draw"', 'k = "pi"'),
    "above the most": ('k = "$draw"', "k = 101"),
    "boolean for a number": ('a = "-pi/2"', "a = true"),
    "number for a table": ('schedule = { kind = "linear" }', "schedule = 3"),
    "unknown option": ('schedule = { kind = "linear" }', 'schedule = { knid = "linear" }'),
    "pair of three": ('[["$plain", 1],', '[["$plain", 1, 2],'),
    "port without a reference": ('data = "@points"', 'data = "points"'),
    "port with a list": ('data = "@points"', 'data = ["@points"]'),
    "missing port": ('data = "@points"\n', ""),
    "missing parameter": ('path = "{task}.txt"\n', ""),
    "missing plugin": ('use = "nested"\n', ""),
    "seed of what draws nothing": ('sign = "minus"', "seed = 1"),
    "text for over": ('over = ["draw"]', 'over = "draw"'),
    "unknown resource": ("threads = 2", "thraeds = 2"),
    "no threads": ("threads = 2", "threads = 0"),
    "range of two": ("arange = [0, 10, 2]", "arange = [0, 10]"),
    "unknown range": ("arange = [0, 10, 2]", "range = [0, 10, 2]"),
    "axis without values": ('task = ["a", "b"]', "task = []"),
    "check without expression": ('check = "value > 0"\n', ""),
    "unknown word of a check": ('claim = "it holds"', 'calim = "it holds"'),
    "slice without table": ('let.two = "@value"', "let.two = { where = { draw = 1 } }"),
    "number in derive": ('gain = "value / double - 1"', "gain = 3"),
    "wrong type in a profile": ("probes.value.a = 2.0", "probes.value.a = []"),
    "unknown parameter in a profile": ("probes.value.a = 2.0", "probes.value.aa = 2.0"),
    "profile in a profile": ("params.steps = 100", "profiles.x.seed = 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_shape_is_refused(judge, case: str) -> None:
    old, new = WRONG[case]
    assert EVERYTHING.count(old) == 1
    assert wrong(judge, EVERYTHING.replace(old, new))


SHAPES = (
    "option_unknown", "parameter_unknown", "parameter_missing", "plugin_unknown", "port_missing",
    "port_list", "port_not_a_reference", "out_of_range", "text_for_int", "not_a_number",
    "choice_unknown", "top_level_key", "use_missing", "use_not_text", "resources_wrong",
    "seed_wrong", "title_not_text", "step_not_table", "table_array", "wrong_types", "axis_wrong",
    "check_missing", "plugin_in_other_family", "markers_wrong", "profile_not_table",
)  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_bad_spec_whose_shape_is_wrong_is_refused(judge, name: str) -> None:
    assert wrong(judge, (BAD / f"{name}.toml").read_text("utf-8"))


def test_the_command_writes_every_plugin_with_descriptions_and_defaults(world) -> None:
    outcome = world.run_cli("schema", "--out", "spec.schema.json")
    assert (outcome.code, outcome.out, outcome.err) == (0, "spec.schema.json: written\n", "")
    text = (world.folder / "spec.schema.json").read_text("utf-8")
    schema = json.loads(text)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    registry = Registry.of(world.folder)
    for family in FAMILIES:
        for name in registry.names(family):
            told = schema["$defs"][f"{family}.{name}"]["properties"]
            for field, info in registry.load(family, name).model_fields.items():
                assert told[field]["description"] == info.description
    value = schema["$defs"]["probes.value"]["properties"]
    assert value["use"]["const"] == "value"
    assert (value["a"]["default"], value["on"]["default"]) == (0.0, True)
    assert "Dataset" in schema["$defs"]["trainers.descent"]["properties"]["data"]["description"]
    assert world.cli("schema").out == text


def test_an_input_file_is_a_path(judge) -> None:
    assert wrong(judge, '[probes.w]\nuse = "words"\nfile = "a.txt"\n') == []
    assert wrong(judge, '[probes.w]\nuse = "words"\nfile = 3\n')


def test_a_new_plugin_is_in_the_schema_at_once_and_a_broken_one_is_named(world) -> None:
    shutil.copy(world.plugins / "probes/value.py", world.plugins / "probes/newest.py")
    assert "probes.newest" in json.loads(world.cli("schema").out)["$defs"]
    file = world.plugin("probes/newest", "def broken(:\n")
    outcome = world.cli("schema")
    assert outcome.code == 2
    assert str(file) in outcome.err


def test_a_file_that_cannot_be_written_is_named(shared_world) -> None:
    outcome = shared_world.cli("schema", "--out", "nowhere/schema.json")
    assert outcome.code == 2
    assert outcome.err == "error: cannot write nowhere/schema.json: No such file or directory\n"


def test_a_profile_may_change_a_slice_without_naming_its_table_and_a_spec_may_not(shipped) -> None:
    whole = """
    title = "t"
    [data.sine]
    use = "function_1d"
    [hypotheses.h]
    check = "max(a.x) < 1"
    let.a = { table = "@sine", where = { seed = 1 } }
    """
    profile = "[profiles.small.hypotheses.h]\nlet.a.where.seed = 2\n"
    assert wrong(shipped, whole + profile) == []
    assert wrong(shipped, whole.replace('table = "@sine", ', "")) != []
