"""Every way to be wrong, one file each: the message names file, line and column, and the cure.

A file `bad_specs/NAME.toml` has its whole output beside it, in `NAME.txt`; a first line
`# options: ...` gives options of the command line. `pytest --update-golden` rewrites the outputs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.registry import Registry, project_roots

FOLDER = Path(__file__).parent / "bad_specs"
SPECS = sorted(FOLDER.glob("*.toml"))
PLACE = re.compile(r"[\w./]+\.toml:\d+:\d+: \S")


@pytest.fixture(scope="module")
def copied(shared_world):
    """Return a world that holds all the bad specs."""
    shutil.copytree(FOLDER, shared_world.folder, dirs_exist_ok=True)
    return shared_world


@pytest.fixture
def folder(copied, monkeypatch: pytest.MonkeyPatch):
    """Return that world, which knows its own plugins only: no new plugin changes a text."""
    monkeypatch.setattr(Registry, "of", lambda project: Registry(project_roots(project)))
    return copied


def options_of(spec: Path) -> list[str]:
    first = spec.read_bytes().partition(b"\n")[0].decode(errors="replace")
    return first.removeprefix("# options: ").split() if first.startswith("# options: ") else []


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_bad_spec_is_told_place_by_place(
    folder, spec: Path, golden: Callable[[str, Path], None]
) -> None:
    outcome = folder.cli("validate", spec.name, *options_of(spec))
    assert outcome.code == 2
    assert outcome.out == ""
    *lines, last = outcome.err.splitlines()
    assert lines
    assert last == f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    for line in lines:
        assert PLACE.match(line), f"no file:line:column in {line!r}"
    assert "Traceback" not in outcome.err
    text = outcome.err.replace(str(folder.folder), "FOLDER").replace(folder.package, "TINY")
    golden(text, spec.with_suffix(".txt"))


GOOD = """
[params]
k = 3

[axes]
a = [1.0, 2.0]

[probes.value]
use = "value"
a = "$a"
k = "$k"

[probes.nested]
use = "nested"

[profiles.paper.params]
k = 4

[profiles.bad]
axes.a = 3
"""

OPTIONS = {
    "--set probes.vlaue.k=3": '--set probes.vlaue.k=3: no table "vlaue"; did you mean "value"?'
    " (there are: value, nested)",
    "--set nested.choice=3": '--set nested.choice=3: no table "nested" (there are: params, axes,'
    " probes)",
    "--set probes.value.k": "--set probes.value.k: write table.key=value, for example --set"
    " probes.llc.steps=200",
    "--set =3": "--set =3: write table.key=value, for example --set probes.llc.steps=200",
    "--set params.q=3": '--set params.q=3: params.q: parameter "q" is used by no step; write "$q"'
    " or take it out",
    "--set axes.b=[1]": '--set axes.b=[1]: axes.b: axis "b" is used by no step; write "$b" or take'
    " it out",
    "--set probes.value.k=x": "--set probes.value.k=x: probes.value.k: must be a whole number, not"
    ' "x"',
    "--set probes.value=3": "--set probes.value=3: probes.value: a step is a table, not 3",
    "--set probes.value.k.x=3": '--set probes.value.k.x=3: no table "k" (there are: none)',
    "--set probes.value.a=inf": "--set probes.value.a=inf: probes.value.a: inf is not a finite"
    " number",
    "--set probes.nested.choice.inner.dept=2": "--set probes.nested.choice.inner.dept=2:"
    ' probes.nested.choice.inner.dept: no option "dept"; did you mean "depth"? (there are: depth,'
    " tolerance)",
    "--set title=3": "--set title=3: title: must be text, not 3",
    "--sweep k=1,x": "--sweep k=1,x: axes.k: mixes numbers and text; an axis has one kind",
    "--sweep k=1,1": "--sweep k=1,1: axes.k.1: 1 stands twice",
    "--sweep k=1,nan": "--sweep k=1,nan: axes.k.1: nan is not a finite number",
    "--sweep k": "--sweep k: write name=a,b,c, for example --sweep lr=1e-3,1e-4",
    "--sweep q=1,2": '--sweep q=1,2: no parameter or axis "q" (there are: k, a)',
    "--profile papre": 'good.toml:1:1: no profile "papre"; did you mean "paper"? (there are: paper,'
    " bad)",
    "--profile bad": "good.toml:20:10: axes.a: must be a list of values, a range such as"
    " { linspace = [0, 1, 5] } (also geomspace, arange), or a table of named variants",
    "--allow-stale valeu": '--allow-stale valeu: no step "valeu"; did you mean "value"?',
}


@pytest.mark.parametrize("options", OPTIONS)
def test_a_bad_option_is_named_with_its_cure(shared_world, options: str) -> None:
    spec = shared_world.spec(GOOD, "good.toml")
    outcome = shared_world.cli("plan", spec.name, *options.split())
    assert outcome.code == 2
    assert outcome.err == f"{OPTIONS[options]}\n1 problem\n"


def test_a_value_that_is_overridden_may_leave_a_parameter_unused(shared_world) -> None:
    spec = shared_world.spec(GOOD, "good.toml")
    outcome = shared_world.cli("plan", spec.name, "--set", "probes.value.k=7")
    assert (outcome.code, outcome.err) == (0, "")


def test_a_spec_that_is_not_there_is_named(shared_world) -> None:
    outcome = shared_world.cli("validate", "nowhere.toml")
    assert outcome.code == 2
    missing = shared_world.folder / "nowhere.toml"
    assert outcome.err == (
        f"nowhere.toml:1:1: cannot read {missing}: No such file or directory\n1 problem\n"
    )


def test_a_folder_without_specs_is_named(shared_world) -> None:
    (shared_world.folder / "bare").mkdir(exist_ok=True)
    outcome = shared_world.cli("validate", "bare")
    assert (outcome.code, outcome.err) == (2, "error: bare: no *.toml below this folder\n")


def test_the_problems_of_all_specs_are_told_at_once(shared_world) -> None:
    shared_world.spec('[probes.p]\nuse = "valeu"\n', "both/first.toml")
    shared_world.spec("seed = -1\n", "both/second.toml")
    shared_world.spec('[probes.p]\nuse = "value"\n', "both/third.toml")
    outcome = shared_world.cli("validate", "both")
    assert outcome.code == 2
    files = [line.partition(":")[0] for line in outcome.err.splitlines()]
    assert files == ["both/first.toml", "both/second.toml", "2 problems"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "good.toml", "--device", "tpu"), '--device tpu: no such device; use "cpu"'),
        (("run", "good.toml", "-n", "0"), "Invalid value for '-n'"),
        (("run", "good.toml", "--nonsense"), "No such option"),
        (("validate",), "Missing argument 'SPECS...'"),
        (("list", "nofamily"), 'no family "nofamily" (there are: data, models'),
        (("list", "probe"), 'no family "probe"; did you mean "probes"?'),
        (("show", "valeu"), 'no plugin "valeu"; did you mean "value"?'),
        (("show", "data/value"), 'no plugin "data/value"'),
        (("rnu",), "No such command 'rnu'"),
    ],
)
def test_wrong_usage_ends_with_code_two(shared_world, arguments, message: str) -> None:
    shared_world.spec(GOOD, "good.toml")
    outcome = shared_world.cli(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_a_broken_plugin_file_is_named(world) -> None:
    spec = world.spec('[probes.value]\nuse = "value"\n')
    cases = {
        "def broken(:\n": "cannot be imported: SyntaxError",
        "import nothing_of_this_name\n": "No module named 'nothing_of_this_name'",
        "x = 1\n": "must hold exactly one Probe class; it holds none",
    }
    for source, message in cases.items():
        file = world.plugin("probes/value", source)
        outcome = world.cli("validate", spec.name)
        assert outcome.code == 2
        assert str(file) in outcome.err
        assert message in outcome.err
        assert outcome.err.endswith("1 problem\n")
    good = "from runner.plugin import Probe\n\n\nclass Value(Probe):\n"
    good += "    def run(self, **all):\n        return 1\n"
    world.plugin("probes/value", good)
    assert "takes *all; name its ports" in world.cli("validate", spec.name).err


def test_a_broken_project_file_is_named(world) -> None:
    spec = world.spec('[probes.value]\nuse = "value"\n')
    world.spec('[tool.runner]\nplugins = ["nowhere"]\n', "pyproject.toml")
    outcome = world.cli("validate", spec.name)
    assert outcome.code == 2
    assert "tool.runner.plugins names 'nowhere'; no such folder" in outcome.err
    world.spec("[tool.runner\n", "pyproject.toml")
    outcome = world.cli("validate", spec.name)
    assert outcome.code == 2
    assert "pyproject.toml" in outcome.err
