"""Every option of every command, as a user types it: a process of its own, and what came of it.

A line is what stands after `runner`. The last test reads the lines in this file and compares them
with the options that there are: a new option without a line here fails.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

STUDY = """
# Does the value grow with a?
title = "A small study"

[params]
k = 1

[axes]
a = [1.0, 2.0, 3.0]
sign = ["plus", "minus"]

[markers]
quick = ["mean"]

[probes.value]
use = "value"
a = "$a"
k = "$k"
sign = "$sign"

[probes.mean]
use = "average"
table = "@value"
over = ["a"]

[renderers.page]
use = "page"
table = "@value"
per = ["sign"]
path = "{sign}.txt"

[expect.small]
table = "@value"
check = "abs(value) < 5"

[hypotheses.large]
claim = "some value is large"
table = "@value"
check = "max(value) > 10"

[profiles.smoke.axes]
a = [1.0]
"""
LOSING = """
title = "Some fail"
[axes]
k = [0, 1, 2, 3]
[probes.fails]
use = "fails"
k = "$k"
at = 2
[expect.small]
per = ["k"]
table = "@fails"
check = "value < 1"
"""
WRONG = """
[axes]
a = [1.0, 2.0]
[probes.value]
use = "value"
a = "$b"
k = 1000
sgn = "plus"
[expect.small]
table = "@vlaue"
check = "value <"
"""


def runner(world, line: str, **env: str):
    """Run a command line; a traceback is never what a user should see."""
    outcome = world.run_cli(*shlex.split(line), **env)
    assert "Traceback (most recent call last)" not in outcome.err
    return outcome


def transcript(world, *lines: str) -> str:
    """Return commands with all that they say and their exit codes, without what varies."""
    told = []
    for line in lines:
        outcome = runner(world, line)
        code = f"[exit code {outcome.code}]\n" if outcome.code else ""
        told.append(f"$ runner {line}\n{outcome.out}{outcome.err}{code}")
    text = "\n".join(told).replace(world.package, "TINY").replace(str(world.folder), "WORLD")
    return re.sub(r"\d+\.\d+ s\b", "T s", text)


def ids(outcome) -> list[str]:
    """Return the ids that --co lists, without the file they share."""
    return [line.partition("::")[2] for line in outcome.out.splitlines() if "::" in line]


def steps(outcome) -> dict[str, str]:
    """Return what a plan says of each step: `{"value": "6 cached"}`."""
    lines = [line for line in outcome.out.splitlines()[1:-1] if not line.startswith(" ")]
    found = (re.fullmatch(r"(\w+) +[^:]*: [^:]*: (.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def last(outcome) -> str:
    return re.sub(r" in [\d.]+ s$", "", outcome.out.splitlines()[-1])


def _copy(world, folder: Path, text: str):
    """Return a world of the same plugins in a folder of its own, with a study."""
    made = dataclasses.replace(world, folder=folder)
    shutil.copytree(world.plugins, made.plugins, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(world.folder / "pyproject.toml", folder)
    made.spec(text)
    return made


@pytest.fixture(scope="module")
def ran(shared_world, tmp_path_factory):
    """A study that was run once; whoever changes something gives artifacts of his own."""
    world = _copy(shared_world, tmp_path_factory.mktemp("ran"), STUDY)
    assert runner(world, "run -n 1 study.toml").code == 0
    world.calls()
    return world


@pytest.fixture
def losing(world):
    world.spec(LOSING)
    return world


# -- what people read ------------------------------------------------------------------------------


def test_the_course_of_a_study(study, golden) -> None:
    text = transcript(
        study, "validate study.toml", "plan study.toml", "run -n 1 study.toml",
        "run -n 1 study.toml", "plan -v study.toml::mean", "run --co study.toml -k page",
    )  # fmt: skip
    golden(text, "course.txt")


def test_the_course_of_a_study_that_fails(losing, golden) -> None:
    text = transcript(losing, "run -n 1 study.toml", "run -n 1 --lf study.toml", "log --last 1")
    text = re.sub(r"\d{4}-\d\d-\d\d|\d\d:\d\d|\b[0-9a-f]{12}\b", "...", text)
    golden(text, "course_failing.txt")


def test_errors_name_the_place_and_the_cure(world, golden) -> None:
    world.spec(STUDY)
    world.spec(WRONG, "wrong.toml")
    world.spec('title = "A\nseed = 1\n', "syntax.toml")
    world.spec('[probes.broken]\nuse = "broken"\n', "broken.toml")
    world.spec('[probes.two]\nuse = "two"\n', "two.toml")
    (world.plugins / "probes" / "broken.py").write_text("import nothing_here\n", "utf-8")
    (world.plugins / "probes" / "two.py").write_text('"""Nothing."""\n', "utf-8")
    (world.folder / "empty").mkdir()
    text = transcript(
        world, "validate wrong.toml", "run study.toml syntax.toml", "plan broken.toml",
        "validate two.toml", "plan gone.toml", "run empty", "run study.toml::maen",
        "run study.toml -k 'mean and'", "run study.toml -m quik", "run study.toml --device tpu",
        "plan study.toml --profile smok", "plan study.toml --set probes.valu.k=3", "show valeu",
        "new study.toml",
    )  # fmt: skip
    golden(text, "errors.txt")


def test_list_and_show_tell_of_the_plugins_of_a_project(shared_world, golden) -> None:
    own = {file.stem for file in shared_world.plugins.glob("*/*.py")}
    everything = runner(shared_world, "list").out.splitlines()
    families = [line for line in everything if not line.startswith(" ")]
    assert families == ["data", "models", "trainers", "perturbations", "probes", "renderers"]
    probes = runner(shared_world, "list probes --project .").out.splitlines()
    mine = [" ".join(line.split()) for line in probes if line.split()[0] in {*own, "probes"}]
    assert set(probes) < set(everything)
    show = transcript(shared_world, "show probes/value --project .")
    golden("\n".join([*mine, "", show]), "plugins.txt")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_tells_its_options(shared_world, flag: str) -> None:
    from runner.commands.cli import cli

    listed = re.findall(r"^  (\w+)  ", runner(shared_world, flag).out, re.MULTILINE)
    assert set(listed) == set(cli.commands)
    for name, command in cli.commands.items():
        if flag == "-h" and name != "run":
            continue
        outcome = shared_world.run_cli(name, flag)
        assert outcome.out.startswith(f"Usage: runner {name} ")
        assert all(o in outcome.out for p in command.params for o in p.opts if o.startswith("-"))


def test_the_version_is_that_of_the_package(shared_world) -> None:
    import runner as package

    assert runner(shared_world, "--version").out == f"runner, version {package.__version__}\n"


# -- selection -------------------------------------------------------------------------------------


def test_nodes_are_selected_by_words_and_markers(ran) -> None:
    line = "run --co -k 'mean or page and sign=plus' study.toml"
    assert ids(runner(ran, line)) == ["mean[sign=plus]", "mean[sign=minus]", "page[sign=plus]"]
    line = "run --collect-only -m quick study.toml"
    assert ids(runner(ran, line)) == ["mean[sign=plus]", "mean[sign=minus]"]
    assert steps(runner(ran, "plan -k page study.toml")) == {"page": "2 cached"}
    assert steps(runner(ran, "plan -m quick study.toml")) == {"mean": "2 cached"}
    assert ran.calls() == []


def test_what_is_stored_is_not_missing(ran) -> None:
    nothing = "nothing is missing: 12 nodes stored\n"
    assert runner(ran, "run --only-missing study.toml").out == nothing
    outcome = runner(ran, "plan --only-missing --set axes.a=[1.0,9.0] study.toml")
    assert steps(outcome)["value"] == "2 new"
    assert outcome.out.splitlines()[-1] == "8 nodes, 0 cached, 8 to run, 2 deselected"


def test_a_shared_store_gives_what_another_machine_made(study) -> None:
    team = f"file://{study.folder}/team"
    runner(study, f"run --store {team} --artifacts one study.toml")
    assert last(runner(study, f"run --store {team} --artifacts two study.toml")) == "12 cached"
    assert "12 new" not in runner(study, "plan --store none --artifacts two study.toml").out


def test_workers_are_local_or_on_a_cluster_not_both(study) -> None:
    wrong = runner(study, "run -n 2 --dask local:2 study.toml")
    assert (wrong.code, wrong.out) == (2, "")
    assert "-n and --dask both say where nodes are computed" in wrong.err


def test_a_run_stops_at_failures_and_those_are_remembered_and_put_first(losing) -> None:
    stopped = runner(losing, "run -n 1 -x study.toml")
    assert (stopped.code, last(stopped)) == (1, "2 passed, 1 failed, 1 blocked, 4 not run")
    wrong = runner(losing, "run --time-limit soon study.toml")
    assert wrong.code == 2
    assert "--time-limit: 'soon' is no span of time; write 2h, 90m, 1h30m or 45s" in wrong.err
    stopped = runner(losing, "run -n 1 --time-limit 1h --maxfail 2 study.toml")
    assert last(stopped) == "2 passed, 2 cached, 2 failed, 1 blocked, 1 not run"
    failed = ["fails[k=2]", "small[k=1]"]
    assert ids(runner(losing, "run --last-failed --co study.toml")) == failed
    losing.calls()
    assert last(runner(losing, "run -n 1 --lf study.toml")) == "2 failed, 6 deselected"
    assert losing.calls() == ["fails 2"]
    losing.edit("probes/fails", "print(", "print(*(), ")  # all are to be computed again
    runner(losing, "run -n 1 --ff study.toml")
    assert sorted(losing.calls()[:2]) == [
        "fails 1",
        "fails 2",
    ]  # what small[k=1] reads is first too
    losing.edit("probes/fails", "print(", "print(*(), ")
    runner(losing, "run -n 1 --failed-first study.toml")
    assert sorted(losing.calls()[:2]) == ["fails 1", "fails 2"]


# -- how a spec is read ----------------------------------------------------------------------------


def test_profiles_settings_and_sweeps_change_what_is_planned_and_run(ran) -> None:
    line = "plan --profile smoke --set probes.mean.column=double --sweep k=1,2 study.toml"
    planned = steps(runner(ran, line))
    assert (planned["value"], planned["mean"]) == ("2 cached, 2 new", "4 new")
    line = (
        """run --co --profile smoke --set 'axes.sign=["plus"]' --sweep k=1,2 -k value study.toml"""
    )
    assert ids(runner(ran, line)) == ["value[a=1,sign=plus,k=1]", "value[a=1,sign=plus,k=2]"]


def test_validate_reads_a_spec_as_run_does_and_writes_nothing(ran) -> None:
    assert runner(ran, "validate study.toml").out == "study.toml: ok (5 steps, 12 nodes)\n"
    line = "validate --profile smoke --sweep k=1,2 --set seed=3 --artifacts none study.toml"
    assert runner(ran, line).out == "study.toml: ok (5 steps, 12 nodes)\n"
    assert not (ran.folder / "none").exists()
    wrong = runner(ran, "validate --allow-stale valeu --set probes.value.k=1000 study.toml")
    assert (wrong.code, wrong.out) == (2, "")
    assert "must be at most 100, not 1000" in wrong.err


def test_problems_are_told_to_people_and_to_programs(ran) -> None:
    ran.spec(WRONG, "wrong/wrong.toml")
    place = {"file": "wrong/wrong.toml", "line": 7, "column": 5, "where": "probes.value.k"}
    message = "must be at most 100, not 1000"
    found = json.loads(runner(ran, "validate --format json wrong").out)
    assert {**place, "message": message} in found
    found = runner(ran, "validate --format github wrong").out.splitlines()
    assert f"::error file=wrong/wrong.toml,line=7,col=5::probes.value.k: {message}" in found
    text = runner(ran, "validate --format text wrong")
    assert (text.code, text.out) == (2, "")
    assert f"wrong/wrong.toml:7:5: probes.value.k: {message}\n" in text.err


def test_what_other_code_made_is_used_where_that_is_allowed(study) -> None:
    runner(study, "run -n 1 study.toml::mean")
    study.edit("probes/value", "(self.a + self.k)", "(self.k + self.a)")
    assert steps(runner(study, "plan study.toml"))["value"].startswith("6 stale: ")
    assert steps(runner(study, "plan --allow-stale value study.toml"))["value"] == "6 cached"
    study.calls()
    assert last(runner(study, "run -n 1 --allow-stale value study.toml")) == "4 passed, 8 cached"
    assert not [call for call in study.calls() if call.startswith("value")]


def test_results_lie_where_artifacts_says_for_every_command(ran) -> None:
    outcome = runner(ran, "run -n 2 --device cpu --artifacts other -q study.toml")
    assert (outcome.code, last(outcome), len(outcome.out.splitlines())) == (0, "12 passed", 1)
    manifest = json.loads((ran.folder / "other" / "study" / "run.json").read_text("utf-8"))
    assert (manifest["workers"], manifest["device"]) == (2, "cpu")
    assert steps(runner(ran, "plan --artifacts other study.toml"))["value"] == "6 cached"
    assert steps(runner(ran, "plan --artifacts third study.toml"))["value"] == "6 new"
    assert "new: " in runner(ran, "why --artifacts third study.toml::small").out
    assert "cached: " in runner(ran, "why --artifacts other study.toml::small").out
    page = ran.folder / "other" / "study" / "report.html"
    page.unlink()
    told = runner(ran, "report --artifacts other study.toml").out.splitlines()
    assert told[0] == "other/study/report.html"
    assert page.is_file()
    _, entry = runner(ran, "log --artifacts other --last 1 study.toml").out.splitlines()
    token = entry.split()[1]
    assert token == manifest["run"]
    assert f"run {token} of" in runner(ran, f"diff --artifacts other {token} study.toml").out
    assert runner(ran, "diff --artifacts third study.toml study.toml").code == 2


# -- what is told of a run -------------------------------------------------------------------------


def test_a_refuted_hypothesis_fails_a_strict_run_only(ran) -> None:
    quiet = runner(ran, "run -n 1 --quiet study.toml")
    assert (quiet.code, last(quiet), len(quiet.out.splitlines())) == (0, "12 cached", 1)
    strict = runner(ran, "run -n 1 -q --strict study.toml")
    assert strict.code == 1
    assert "E     4 > 10" in strict.out.splitlines()


def test_a_run_is_told_node_by_node_and_written_for_programs(losing) -> None:
    line = "run -n 1 --verbose --durations 2 --json out/r.json --junitxml out/j.xml study.toml"
    outcome = runner(losing, line)
    assert outcome.code == 1
    assert re.search(r"^fails\[k=0\]: passed \(\d", outcome.out, re.MULTILINE)
    slowest = outcome.out.partition("\nslowest 2 nodes:\n")[2]
    assert len(re.findall(r"^ +\d+\.\d\d s  \w+\[k=\d\]$", slowest, re.MULTILINE)) == 2
    report = json.loads((losing.folder / "out" / "r.json").read_text("utf-8"))
    outcomes = {node["id"]: node["outcome"] for node in report["specs"][0]["nodes"]}
    assert outcomes["study.toml::small[k=1]"] == "broken"
    assert outcomes["study.toml::fails[k=2]"] == "failed"
    xml = (losing.folder / "out" / "j.xml").read_text("utf-8")
    assert 'tests="8" failures="2" errors="1" skipped="1"' in xml
    assert "    fails[k=0]  cached" in runner(losing, "plan --verbose study.toml").out.splitlines()
    assert "    fails[k=2]  new" in runner(losing, "plan -v study.toml").out.splitlines()


def test_colour_is_for_terminals_unless_it_is_forced(ran) -> None:
    line = "run -n 1 study.toml::small"
    assert "\x1b" not in runner(ran, line).out
    assert "\x1b[32m" in runner(ran, line, FORCE_COLOR="1").out
    assert "\x1b" not in runner(ran, line, FORCE_COLOR="1", NO_COLOR="1").out


# -- past runs, plugins and first specs ------------------------------------------------------------


def test_why_tells_the_parameter_that_differs(ran) -> None:
    assert "cached: " in runner(ran, "why 'study.toml::value[a=1,sign=plus]'").out
    line = "why --set params.k=2 --profile smoke 'study.toml::value[a=1,sign=plus]'"
    assert "parameter k: 1 -> 2" in runner(ran, line).out
    gone = runner(ran, "why --profile smoke 'study.toml::value[a=3,sign=plus]'")
    assert gone.code == 2  # the profile leaves the cell out


def test_a_run_is_reported_logged_and_compared(ran) -> None:
    told = runner(ran, "report study.toml").out.splitlines()
    assert told == ["artifacts/study/report.html", "artifacts/study/report.md"]
    assert "study: 12 passed; " in runner(ran, "log").out
    assert "parameters: no difference" in runner(ran, "diff study.toml study.toml").out


def test_the_schema_and_the_plugins_are_those_of_a_project(ran) -> None:
    (ran.folder / "elsewhere").mkdir(exist_ok=True)
    (ran.folder / "elsewhere" / "pyproject.toml").write_text("", "utf-8")
    assert runner(ran, "schema --out spec.schema.json --project .").out
    schema = json.loads((ran.folder / "spec.schema.json").read_text("utf-8"))
    assert "pairs without effect" in json.dumps(schema)  # a description of probes/value
    assert "pairs without effect" not in runner(ran, "schema --project elsewhere").out
    assert "\n  value " in runner(ran, "list --project . probes").out
    assert "\n  value " not in runner(ran, "list --project elsewhere probes").out
    assert runner(ran, "show --project . value").out.startswith("probes/value\n")
    assert runner(ran, "show --project elsewhere value").code == 2
    assert "does not exist" in runner(ran, "list --project gone").err


def test_a_first_spec_has_the_chosen_plugins_and_is_valid(ran) -> None:
    line = (
        "new first.toml --data points --model line --trainer descent --perturbation scaled"
        " --probe size --probe power --renderer page"
    )
    assert runner(ran, line).out == "first.toml: written; next: runner validate first.toml\n"
    text = (ran.folder / "first.toml").read_text("utf-8")
    for plugin in ("points", "line", "descent", "scaled", "size", "power", "page"):
        assert f'use = "{plugin}"' in text
    assert runner(ran, "validate first.toml").code == 0


def test_the_completion_of_a_shell_is_a_script(shared_world) -> None:
    assert "_RUNNER_COMPLETE=zsh_complete" in runner(shared_world, "completion zsh").out


# -- rough handling --------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["list", "plan -v study.toml", "run -n 1 -v study.toml"])
def test_a_reader_that_goes_away_early_is_no_traceback(ran, line: str) -> None:
    done = _shell(ran, f"{line} | head -1")
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_closed_output_is_no_traceback(ran) -> None:
    done = _shell(ran, "run -n 1 study.toml >&-")
    assert (done.returncode, done.stderr) == (0, "")


def _shell(world, line: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f"{shlex.quote(sys.executable)} -m runner {line}"]
    return subprocess.run(
        command, cwd=world.folder, env=world.env(), capture_output=True, text=True, check=False
    )


def test_one_wrong_spec_of_two_keeps_both_from_running(study) -> None:
    study.spec(WRONG, "wrong.toml")
    outcome = runner(study, "run -n 1 study.toml wrong.toml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.endswith("\n6 problems\n")
    assert study.calls() == []


def test_an_interrupt_ends_a_run_with_what_is_finished_and_any_command_with_130(losing) -> None:
    losing.edit("probes/fails", "if self.k ==", "import time\n        while self.k ==")
    losing.edit("probes/fails", "raise ValueError(", "time.sleep(0.01)  # (")
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "run", "-n", "1", "-v", "study.toml"], cwd=losing.folder,
        env=losing.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    calls, deadline = losing.folder / "calls.txt", time.monotonic() + 60
    while not calls.exists() or "fails 2" not in calls.read_text("utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted; run the same command again to go on\n"
    assert "fails[k=1]: passed" in out
    assert steps(runner(losing, "plan study.toml"))["fails"] == "2 cached, 2 new"


def test_an_interrupt_of_a_command_that_runs_nothing_is_130_too() -> None:
    from click.testing import CliRunner

    from runner.commands.cli import cli

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.telling.catalogue.listing", interrupted)
        result = CliRunner().invoke(cli, ["list"])
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


# -- the store -----------------------------------------------------------------------------------


def test_the_store_is_verified_measured_and_cleaned(ran) -> None:
    well = runner(ran, "store verify --jobs 1 --artifacts artifacts")
    assert re.search(r"^12 nodes, 2 objects \(.*\) in .* s: all is well$", well.out, re.MULTILINE)
    (damaged, *_) = (ran.artifacts / ".store" / "objects").glob("*/*")
    damaged.chmod(0o644)
    damaged.write_bytes(b"other")
    bad = runner(ran, "store verify")
    assert bad.code == 1
    assert damaged.name[:12] in bad.out
    assert runner(ran, "store verify").code == 0
    sizes = json.loads(runner(ran, "store du --json --artifacts artifacts").out)
    assert sizes
    assert "probes/value" in runner(ran, "store du").out
    ran.spec(STUDY.replace("a = [1.0, 2.0, 3.0]", "a = [1.0, 2.0]"))
    dry = runner(ran, "store gc --unreachable --profile smoke study.toml")
    assert "2 of value (probes/value)" in dry.out
    assert steps(runner(ran, "plan study.toml"))["value"] == "4 cached"
    done = runner(ran, "store gc --unreachable --damaged --yes --artifacts artifacts study.toml")
    assert done.code == 0
    assert not (ran.artifacts / ".store" / "damaged").exists() or not list(
        (ran.artifacts / ".store" / "damaged").iterdir()
    )
    for limits in ("--older-than 30d", "--larger-than 1GB", "--to-size 1GB"):
        kept = runner(ran, f"store gc {limits}")
        assert kept.code == 0
    assert runner(ran, "store gc --older-than 30d --larger-than 1GB --to-size 1GB").code == 0
    assert runner(ran, "store gc --older-than soon").code == 2


def test_a_study_is_carried_elsewhere_and_shared(study) -> None:
    runner(study, "run study.toml")
    runner(study, "run --profile smoke study.toml")
    done = runner(study, "store export --profile smoke -o s.tar --artifacts artifacts study.toml")
    assert done.code == 0
    assert runner(study, "store export --output all.tar study.toml").code == 0
    assert runner(study, "store import --artifacts away all.tar").code == 0
    assert last(runner(study, "run --artifacts away study.toml")) == "12 cached"
    team = f"file://{study.folder}/team"
    sent = runner(study, f"store push --artifacts artifacts --store {team}")
    assert re.search(r"team: 1[0-9] nodes and \d objects sent", sent.out)
    assert last(runner(study, f"run --store {team} --artifacts new study.toml")) == "12 cached"
    merged = runner(study, f"store compact --artifacts artifacts --store {team}")
    assert "of records merged" in merged.out
    assert runner(study, "store push").code == 2


# -- nothing is left out ---------------------------------------------------------------------------


def commands() -> dict[tuple[str, ...], click.Command]:
    """Return every command by its words, `("store", "gc")`."""
    from runner.commands.cli import cli

    found: dict[tuple[str, ...], click.Command] = {}
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), cli)]
    for words, command in waiting:
        if isinstance(command, click.Group):
            waiting += [((*words, name), inner) for name, inner in command.commands.items()]
        else:
            found[words] = command
    return found


def tried() -> set[tuple[tuple[str, ...], str]]:
    """Return command and option of each line of this file: of its texts but the docstrings."""
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    silent = {id(s.value) for s in ast.walk(tree) if isinstance(s, ast.Expr)}
    texts = (c for c in ast.walk(tree) if isinstance(c, ast.Constant) and id(c) not in silent)
    known = commands()
    found = set()
    for text in (c.value for c in texts if isinstance(c.value, str)):
        words = tuple(text.split())
        for command in (words[:1], words[:2]):
            if command in known:
                options = [word for word in words[len(command) :] if word.startswith("-")]
                found |= {(command, "")} | {(command, option) for option in options}
    return found


def test_every_option_of_every_command_is_tried_here() -> None:
    there = {(words, "") for words in commands()}
    for words, command in commands().items():
        there |= {(words, o) for p in command.params for o in p.opts if o.startswith("-")}
    assert sorted(there - tried()) == []
