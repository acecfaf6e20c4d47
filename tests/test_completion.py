"""Shell completion through click's own mechanism: what a key press asks and what it is answered."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BAD_SPECS = sorted((Path(__file__).parent / "bad_specs").glob("*.toml"))
STUDY = """
[axes]
a = [1.0, 2.0]
[data.points]
use = "points"
[probes.value]
use = "value"
a = "$a"
[expect.positive]
table = "@value"
check = "value > 0"
[profiles.smoke.axes]
a = [1.0]
[profiles.paper.axes]
a = [1.0, 2.0, 3.0]
"""


@pytest.fixture(scope="module")
def study(shared_world):
    shared_world.spec(STUDY, "done/specs/study.toml")
    shared_world.spec('extends = "study.toml"\n[profiles.night]\n', "done/specs/more.toml")
    shared_world.spec("", "done/specs/notes.txt")
    return shared_world


def complete(world, line: str, shell: str = "bash") -> list[str]:
    """Return the answers for a line whose last word is being typed, `|` for an empty one."""
    words = line.split()
    env = {
        "_RUNNER_COMPLETE": f"{shell}_complete", "COMP_WORDS": line.replace("|", ""),
        "COMP_CWORD": words[-1].strip("|") if shell == "fish" else str(len(words) - 1),
    }  # fmt: skip
    outcome = world.run_cli(**env)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    if shell == "zsh":  # a line each for type, value and help
        return lines[1::3]
    return [line.partition(",")[2] for line in lines if line]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("runner sc", ["schema"]),
        ("runner run --last", ["--last-failed"]),
        ("runner completion |", ["bash", "zsh", "fish"]),
        ("runner list p", ["perturbations", "probes"]),
        ("runner show pow", ["power"]),
        ("runner show probes/pow", ["probes/power"]),
        ("runner new x.toml --probe pow", ["power"]),
        # a folder alone is told with what it holds: then the shell adds no blank after it
        ("runner run done/sp", ["done/specs/", "done/specs/more.toml", "done/specs/study.toml"]),
        ("runner validate done/specs/", ["done/specs/more.toml", "done/specs/study.toml"]),
        ("runner run done/specs/study.toml --profile |", ["smoke", "paper"]),
        ("runner plan done/specs/more.toml -v --profile n", ["night"]),
        ("runner validate done/specs --profile s", ["smoke"]),
        ("runner run done/specs/study.toml --allow-stale p", ["points", "positive"]),
        ("runner run done/specs/study.toml :: v", ["value"]),
        ("runner run done/specs/study.toml ::", ["points", "value", "positive"]),
        ("runner why done/specs/study.toml :: v", ["value"]),
        ("runner why done/specs/study.toml --profile sm", ["smoke"]),
        ("runner show nothing_of_this_name", []),
        ("runner run no/such/folder/", []),
    ],
)
def test_bash_is_answered_with_what_may_stand_there(study, line: str, expected: list) -> None:
    assert complete(study, line) == expected


def test_shells_that_keep_colons_in_words_are_answered_with_whole_ids(study) -> None:
    expected = ["done/specs/study.toml::points", "done/specs/study.toml::positive"]
    for shell in ("zsh", "fish"):
        assert complete(study, "runner run done/specs/study.toml::p", shell) == expected


def test_a_name_of_two_families_is_completed_with_its_family_only(world) -> None:
    world.plugin("models/value", (world.plugins / "models/line.py").read_text("utf-8"))
    assert complete(world, "runner show valu") == []
    assert complete(world, "runner show models/v") == ["models/value"]


def test_a_spec_that_is_wrong_completes_to_what_can_be_read_and_never_to_a_traceback(
    shared_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.shell_completion import BashComplete

    from runner.commands.cli import cli

    monkeypatch.chdir(shared_world.folder)
    broken = shared_world.folder / "broken"
    broken.mkdir()
    for number, text in enumerate((b"\xff\xfe", b"[probes", b"probes = 3", b"profiles = 3")):
        (broken / f"{number}.toml").write_bytes(text)
    (broken / "folder.toml").mkdir()
    for spec in [*BAD_SPECS, *broken.iterdir(), broken / "gone.toml"]:
        asked = BashComplete(cli, {}, "runner", "_RUNNER_COMPLETE")
        for option in ("--profile", "--allow-stale"):
            asked.get_completions(["run", str(spec), option], "")
        asked.get_completions(["run", str(spec), "::"], "")
    assert complete(shared_world, "runner run broken/0.toml --profile |") == []


def test_completing_names_of_plugins_imports_none_and_no_pydantic(study) -> None:
    code = (
        "import sys\nfrom runner.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([n for n in ('pydantic', 'numpy', 'torch', 'rich') if n in sys.modules])\n"
    )
    env = {"_RUNNER_COMPLETE": "bash_complete", "COMP_WORDS": "runner show ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=study.folder, env=study.env(**env), check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    *names, loaded = done.stdout.splitlines()
    assert "plain,value" in names
    assert loaded == "[]"


@pytest.mark.parametrize(
    ("shell", "says", "check"),
    [
        ("bash", "complete -o nosort -F _runner_completion runner", "-c"),
        ("zsh", "compdef _runner_completion runner", "-nc"),
        ("fish", "complete --no-files --command runner", "-nc"),
    ],
)
def test_the_script_of_each_shell_is_printed_and_the_shell_takes_it(
    shared_world, shell: str, says: str, check: str
) -> None:
    outcome = shared_world.run_cli("completion", shell)
    assert (outcome.code, outcome.err) == (0, "")
    assert says in outcome.out
    assert f"_RUNNER_COMPLETE={shell}_complete" in outcome.out
    if shutil.which(shell) is None:
        return
    script = outcome.out + ("complete -p runner" if shell == "bash" else "")
    done = subprocess.run([shell, check, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    if shell == "bash":
        assert done.stdout == "complete -o nosort -F _runner_completion runner\n"
