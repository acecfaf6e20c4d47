"""What is wrong with specs, told to GitHub and to programs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from runner.language.faults import Fault, as_github

ROOT = Path(__file__).parents[3]
GOOD = '[probes.value]\nuse = "value"\n'
BAD = '[probes.value]\nuse = "value"\nk = 101\nkk = 3\n'
HIGH = "must be at most 100, not 101"


def test_github_sees_each_problem_at_its_file_line_and_column(shared_world) -> None:
    shared_world.spec(BAD, "github/a,b/50%.toml")
    outcome = shared_world.run_cli("validate", "github", "--format", "github")
    assert (outcome.code, outcome.err) == (2, "")
    high, unknown = outcome.out.splitlines()
    place = "::error file=github/a%2Cb/50%25.toml"
    assert high == f"{place},line=3,col=5::probes.value.k: {HIGH}"
    assert unknown.startswith(f"{place},line=4,col=1::probes.value.kk: value has no parameter")


def test_a_program_reads_each_problem_as_json(shared_world) -> None:
    shared_world.spec(BAD, "json/wrong.toml")
    shared_world.spec(GOOD, "json/right.toml")
    outcome = shared_world.run_cli("validate", "json", "--format", "json")
    assert (outcome.code, outcome.err) == (2, "")
    first, second = json.loads(outcome.out)
    place = {"file": "json/wrong.toml", "line": 3, "column": 5, "where": "probes.value.k"}
    assert first == {**place, "message": HIGH}
    assert second["where"] == "probes.value.kk"


@pytest.mark.parametrize(("form", "said"), [("json", "[]\n"), ("github", "")])
def test_right_specs_have_no_problems_in_any_format(shared_world, form: str, said: str) -> None:
    shared_world.spec(GOOD, "right/right.toml")
    outcome = shared_world.run_cli("validate", "right", "--format", form)
    assert (outcome.code, outcome.out, outcome.err) == (0, said, "")


def test_a_wrong_option_has_no_file(shared_world) -> None:
    spec = shared_world.spec(GOOD, "option.toml")
    arguments = ("validate", spec.name, "--set", "probes.value.k=101", "--format")
    (fault,) = json.loads(shared_world.cli(*arguments, "json").out)
    assert fault["file"] is fault["line"] is fault["column"] is None
    assert (fault["where"], fault["message"]) == ("--set probes.value.k=101: probes.value.k", HIGH)
    said = shared_world.cli(*arguments, "github").out
    assert said == f"::error::--set probes.value.k=101: probes.value.k: {HIGH}\n"


def test_a_broken_plugin_is_a_problem_of_the_spec_that_uses_it(world) -> None:
    spec = world.spec(GOOD)
    world.plugin("probes/value", "def broken(:\n")
    outcome = world.cli("validate", spec.name, "--format", "json")
    (fault,) = json.loads(outcome.out)
    assert outcome.code == 2
    assert (fault["file"], fault["line"]) == ("study.toml", None)
    assert "SyntaxError" in fault["message"]
    said = world.cli("validate", spec.name, "--format", "github").out
    assert said.startswith("::error file=study.toml::")


def test_a_problem_of_a_shared_base_is_annotated_once(shared_world) -> None:
    shared_world.spec(BAD, "shared/base.toml")
    for name in ("one", "two"):
        shared_world.spec('extends = "base.toml"\n', f"shared/{name}.toml")
    said = shared_world.cli("validate", "shared", "--format", "github").out.splitlines()
    assert len(said) == len(set(said)) == 2


def test_what_has_a_meaning_in_a_workflow_command_is_escaped() -> None:
    fault = Fault("a:b,c%.toml", 1, 2, "x", "50%,\r\nnext: line")
    (line,) = as_github([fault])
    assert line == "::error file=a%3Ab%2Cc%25.toml,line=1,col=2::x: 50%25,%0D%0Anext: line"


def test_an_unknown_format_is_told(shared_world) -> None:
    spec = shared_world.spec(GOOD, "format.toml")
    outcome = shared_world.cli("validate", spec.name, "--format", "xml")
    assert outcome.code == 2
    assert "'text', 'github', 'json'" in outcome.err


def test_the_hook_of_pre_commit_checks_the_specs(shared_world) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["id"] == "runner-validate"
    for changed in ("specs/a.toml", "plugins/probes/llc.py"):
        assert re.search(hook["files"], changed)
    shared_world.spec(GOOD, "specs/right.toml")
    command = shlex.split(hook["entry"])
    assert command[0] == "runner"
    outcome = shared_world.run_cli(*command[1:], *hook["args"])
    assert (outcome.code, outcome.out) == (0, "specs/right.toml: ok (1 steps, 1 nodes)\n")


def test_the_workflow_of_the_docs_runs_commands_that_exist() -> None:
    text = (ROOT / "docs" / "ci.md").read_text("utf-8")
    workflow, _ = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    )
    from runner.commands.cli import cli

    lines = [step["run"] for step in workflow["jobs"]["specs"]["steps"] if "run" in step]
    told = [shlex.split(line)[1:] for line in lines if line.startswith("runner ")]
    assert [words[0] for words in told] == ["validate", "validate", "run"]
    for name, *arguments in told:
        command = cli.commands[name]
        command.make_context(name, arguments)  # parses the options, runs nothing
