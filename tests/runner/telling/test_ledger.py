"""Reports for programs: JUnit XML and JSON, through the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

STUDY = """
title = "Some fail"
[axes]
k = [1, 2, 3]
[probes.fails]
use = "fails"
k = "$k"
at = 2
[probes.sum]
use = "average"
table = "@fails"
over = ["k"]
[probes.value]
use = "value"
k = "$k"
[expect.small]
table = "@value"
check = "value < 3"
[hypotheses.large]
table = "@value"
check = "max(value) > 3"
claim = "three & more"
[hypotheses.open]
requires = ["small"]
table = "@value"
check = "min(value) < 3"
"""


def parsed(world) -> ET.Element:
    return ET.parse(world.folder / "j.xml").getroot()  # noqa: S314  # our own


def _steady(text: str) -> str:
    """Return a report without what differs from run to run."""
    text = re.sub(r'("(?:seconds|time)": |time=")[\d.]+', r"\1T", text)
    text = re.sub(r'("(?:run|written|key)": )"[^"]+"', r'\1"..."', text)
    return re.sub(r"(Traceback)[^&]*?(ValueError: k)", r"\1 ... \2", text)


def test_the_reports_of_a_run_with_everything_in_it(
    study, golden: Callable[[str, Path], None]
) -> None:
    outcome = study.cli(
        "run", "-n", "1", "--junitxml", "out/j.xml", "--json", "out/r.json", "study.toml"
    )
    assert outcome.code == 1
    golden(_steady((study.folder / "out" / "j.xml").read_text("utf-8")), "junit.xml")
    golden(_steady((study.folder / "out" / "r.json").read_text("utf-8")), "report.json")


def test_the_counts_of_a_suite_are_those_of_its_cases(study) -> None:
    study.cli("run", "-n", "1", "--strict", "--junitxml", "j.xml", "study.toml")
    (suite,) = parsed(study)
    found = {kind: len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error")}
    assert found == {"failure": 2, "error": 1}
    assert suite.attrib | {"time": ""} == {
        "name": "study.toml", "tests": "10", "failures": "2", "errors": "1", "skipped": "2",
        "time": "",
    }  # fmt: skip
    refuted = suite.find("testcase[@name='large']/failure")
    assert refuted is not None
    assert refuted.attrib["message"] == "refuted: 3 > 3"
    assert "alone: runner run study.toml::large" in (refuted.text or "")


def test_several_specs_and_a_selection_are_in_one_report(study) -> None:
    study.spec(STUDY.replace("at = 2", "at = 7"), "other.toml")
    code = study.run_cli(
        "run", "-n", "1", "--json", "r.json", "--junitxml", "j.xml", "-k", "sum", "study.toml",
        "other.toml",
    ).code  # fmt: skip
    assert code == 1
    report = json.loads((study.folder / "r.json").read_text("utf-8"))
    assert report["exit_code"] == 1
    assert [spec["spec"] for spec in report["specs"]] == ["study.toml", "other.toml"]
    assert [spec["deselected"] for spec in report["specs"]] == [9, 9]
    nodes = report["specs"][1]["nodes"]
    assert {node["id"]: node["selected"] for node in nodes} == {
        "other.toml::fails[k=1]": False, "other.toml::fails[k=2]": False,
        "other.toml::fails[k=3]": False, "other.toml::sum": True,
    }  # fmt: skip
    assert len(parsed(study)) == 2


def test_text_that_xml_cannot_hold_is_replaced(study) -> None:
    study.edit("probes/fails", 'print(f"k is {self.k}")', 'print("\\x1b[1m <k> \\x00 ]]>")')
    study.cli("run", "-n", "1", "--junitxml", "j.xml", "study.toml::fails")
    texts = [e.text for e in parsed(study).iter("system-out")]
    assert texts == ["\ufffd[1m <k> \ufffd ]]>\n"] * 3


def test_numbers_that_are_none_are_text_in_json(study) -> None:
    study.edit("probes/value", "return Table({", "value = float('nan')\n        return Table({")
    study.cli("run", "-n", "1", "--json", "r.json", "study.toml::small")
    text = (study.folder / "r.json").read_text("utf-8")
    json.loads(text, parse_constant=pytest.fail)


def test_a_report_that_cannot_be_written_is_told_before_anything_runs(study) -> None:
    study.spec("", "file")
    for option in ("--json", "--junitxml"):
        outcome = study.cli("run", "-n", "1", option, "file/report", "study.toml")
        assert outcome.code == 2
        assert outcome.err.startswith("error: cannot write file/report: ")
    assert study.calls() == []


@pytest.mark.parametrize(
    ("options", "code"), [(["--co"], 0), (["-k", "nowhere"], 5), (["--co", "-k", "nowhere"], 5)]
)
def test_a_command_that_runs_nothing_writes_reports_without_nodes(
    study, options: list[str], code: int
) -> None:
    reports = ["--json", "r.json", "--junitxml", "j.xml"]
    assert study.cli("run", *options, *reports, "study.toml").code == code
    report = json.loads((study.folder / "r.json").read_text("utf-8"))
    assert report["exit_code"] == code
    assert [(spec["spec"], spec["nodes"]) for spec in report["specs"]] == [("study.toml", [])]
    (suite,) = parsed(study)
    assert (suite.attrib["tests"], len(suite)) == ("0", 0)
    assert study.calls() == []


def test_a_wrong_spec_leaves_no_empty_report_and_the_one_of_before(study) -> None:
    study.spec("of before", "j.xml")
    outcome = study.cli("run", "--json", "r.json", "--junitxml", "j.xml", "gone.toml")
    assert outcome.code == 2
    assert not (study.folder / "r.json").exists()
    assert (study.folder / "j.xml").read_text("utf-8") == "of before"
