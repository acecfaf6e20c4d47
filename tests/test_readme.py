"""What README tells a new user is true: its commands, its spec, its error message."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_ci_runs_the_commands_of_the_readme():
    ci = (ROOT / ".ci" / "run").read_text("utf-8").replace(" --clear", "").replace(" --quiet", "")
    commands = [part.strip() for block in blocks("sh") for part in block.split("&&")]
    assert len(commands) == 4
    for command in commands:
        assert command in ci


def test_the_spec_of_the_readme_is_valid(tmp_path):
    (spec,) = blocks("toml")
    file = tmp_path / "readme.toml"
    file.write_text(spec, "utf-8")
    command = [sys.executable, "-m", "runner", "validate", str(file)]
    for arguments in (command, [*command, "--profile", "paper"]):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_error_of_the_readme_is_what_one_sees(tmp_path):
    text = (ROOT / "specs" / "llc_networks.toml").read_text("utf-8")
    file = tmp_path / "llc_networks.toml"
    file.write_text(text.replace("width = 64", "widht = 64"), "utf-8")
    command = [sys.executable, "-m", "runner", "validate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = README[README.index("specs/llc_networks.toml:") :].partition(" ...\n")[0]
    assert line.partition("toml:")[2] in done.stderr.partition("toml:")[2]


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#:]+)\)", README))
def test_what_the_readme_links_to_is_there(name):
    assert (ROOT / name).exists()
