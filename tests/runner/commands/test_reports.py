"""Reports through the command line: what the page and the study report hold, and when."""

from __future__ import annotations

import dataclasses
import re
import shutil
from html.parser import HTMLParser

import pytest

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}
SHEET = '''
"""A table and a picture as files."""

from __future__ import annotations

from runner.plugin import Renderer
from runner.types import Files, Table


class Sheet(Renderer):
    """Write a table, or one white dot.

    Reads: table. Raises: nothing. Source: the definition.
    """

    def run(self, table: Table) -> Files:
        dot = bytes.fromhex(
            "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
            "789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
        )
        names = list(table.columns)
        rows = list(zip(*(list(table.columns[name]) for name in names), strict=True))
        lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
        text = ("\\n".join(lines) + "\\n").encode()
        return Files({s: dot if s == ".png" else text for s in self.suffixes()})
'''
SPEC = """
# Is <b>more</b> & more always more?
title = "A <script>alert(1)</script> & more"

[axes]
a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]

[probes.value]
use = "value"
a = "$a"

[renderers.sheet]
use = "sheet"
table = "@value"
path = "tables/values.csv"

[renderers.dot]
use = "sheet"
table = "@value"
path = "dot.png"

[renderers.note]
use = "page"
table = "@value"
title = "<i>note</i>"
path = "note.txt"

[expect.positive]
claim = "values are <positive>"
table = "@value"
check = "value > 0"

[hypotheses.small]
table = "@value"
check = "max(value) < 5"
requires = ["positive"]
"""


class Page(HTMLParser):
    """Tags must be balanced; the text and the attributes are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def told(shared_world, tmp_path_factory):
    """A world in which the spec was run once, for tests that only read."""
    folder = tmp_path_factory.mktemp("told")
    world = dataclasses.replace(shared_world, folder=folder)
    shutil.copytree(shared_world.plugins, world.plugins)
    shutil.copy(shared_world.folder / "pyproject.toml", folder)
    (world.plugins / "renderers" / "sheet.py").write_text(SHEET, "utf-8")
    world.spec(SPEC)
    assert world.run_cli("run", "-n", "1", "study.toml").code == 0
    return world


@pytest.fixture
def ran(world):
    world.plugin("renderers/sheet", SHEET)
    world.spec(SPEC)
    assert world.run_cli("run", "-n", "1", "study.toml").code == 0
    return world


def html_of(world) -> str:
    return (world.artifacts / "study" / "report.html").read_text("utf-8")


def markdown_of(world) -> str:
    return (world.artifacts / "study" / "report.md").read_text("utf-8")


def test_a_run_writes_a_page_that_needs_nothing_else(told) -> None:
    page = parsed(html_of(told))
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 1
    assert images[0].startswith("data:image/png;base64,")
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe")
        for name in ("src", "href"):
            assert "//" not in attrs.get(name, "").split(",")[0]
    assert not re.search(r"url\(|@import", html_of(told))


def test_text_of_a_spec_stays_text(told) -> None:
    page = parsed(html_of(told))
    text = "".join(page.text)
    assert "A <script>alert(1)</script> & more" in text
    assert "Is <b>more</b> & more always more?" in text
    assert "values are <positive>" in text
    assert "<i>note</i>" in text
    assert not {"script", "i", "positive"} & {tag for tag, _ in page.tags}


def test_the_page_tells_verdicts_tables_plan_and_provenance(told) -> None:
    page = parsed(html_of(told))
    text = " ".join(" ".join(page.text).split())
    assert "expectations 1 hold hypotheses 1 refuted nodes 15 done" in text
    assert "10 < 5" in text
    assert "here the first 8 rows" in text
    assert "5.5 1 … 10" in text
    assert "which computed 15 nodes in" in text
    for name in ("python", "torch", "device", "runner run study.toml"):
        assert name in text
    downloads = [a["href"] for t, a in page.tags if t == "a" and a.get("download") == "values.csv"]
    assert downloads[0].startswith("data:text/csv")
    assert [t for t, _ in page.tags].count("rect") == 6


def test_the_study_report_has_question_setup_verdicts_results_and_limits(told) -> None:
    text = markdown_of(told)
    assert r"**Question.** Is \<b\>more\</b\> & more always more?" in text
    for heading in ("Set-up", "Expectations", "Hypotheses", "Results", "Figures", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "| `small` |  | `max(value) < 5` | `10 < 5` | **refuted** |" in text
    assert "![dot.png](dot.png)" in text
    assert "Every node of the run ended as it should." in text
    assert "runner run study.toml" in text


def test_a_run_that_changes_nothing_leaves_the_report(ran) -> None:
    before = html_of(ran)
    assert ran.run_cli("run", "-n", "1", "study.toml").code == 0
    assert html_of(ran) == before
    ran.spec(SPEC.replace("max(value) < 5", "max(value) < 50"))
    assert ran.run_cli("run", "-n", "1", "study.toml").code == 0
    assert "1 supported" in html_of(ran)


def test_report_writes_the_last_run_anew_and_names_its_files(told) -> None:
    folder = told.artifacts / "study"
    (folder / "report.html").unlink()
    done = told.run_cli("report", "study.toml")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["artifacts/study/report.html", "artifacts/study/report.md"]
    assert (folder / "report.html").is_file()


def test_what_would_make_the_page_too_large_is_linked(told, monkeypatch) -> None:
    from runner.telling import page_views

    folder = told.artifacts / "study"
    sizes = [(folder / name).stat().st_size for name in ("dot.png", "tables/values.csv")]
    for room, embedded in [(sum(sizes), 2), (sum(sizes) - 1, 1), (0, 0)]:
        monkeypatch.setattr(page_views, "MOST_EMBEDDED", room)
        assert told.cli("report", "study.toml").code == 0
        tags = parsed(html_of(told)).tags
        targets = [a.get("src", a.get("href", "")) for _, a in tags]
        assert sum(target.startswith("data:") for target in targets) == embedded
        assert ("tables/values.csv" in targets) == (embedded < 2)
        assert ("too large for this page" in html_of(told)) == (embedded < 1)
    monkeypatch.undo()
    assert told.cli("report", "study.toml").code == 0


def test_report_before_any_run_says_what_to_do(world) -> None:
    world.spec(SPEC)
    done = world.run_cli("report", "study.toml")
    assert done.code == 2
    assert "start one with `runner run`" in done.err


def test_failures_and_what_waits_for_them_are_told(world) -> None:
    world.plugin("probes/value", BROKEN)
    world.spec(SPEC)
    world.plugin("renderers/sheet", SHEET)
    assert world.run_cli("run", "-n", "1", "study.toml").code == 1
    page = " ".join(parsed(html_of(world)).text)
    assert "ValueError: no <way> | out" in page
    assert "blocked" in page
    text = markdown_of(world)
    assert "10 nodes failed: `value[a=1]`" in text
    assert "blocked" in text
    assert "Every node of the run ended as it should." not in text


BROKEN = '''
"""A probe that fails."""

from __future__ import annotations

from typing import ClassVar

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Table


class Value(Probe):
    """Fail.

    Reads: nothing. Raises: always. Source: none.
    """

    columns: ClassVar[dict[str, str]] = {"value": "never"}

    a: Real = 0.0

    def run(self) -> Table:
        raise ValueError("no <way> | out")
'''


def test_a_view_in_markdown_stands_in_the_study_report(world) -> None:
    world.spec(
        '[probes.value]\nuse = "value"\na = 1.0\n\n'
        '[renderers.table]\nuse = "page"\ntable = "@value"\ntitle = "**all of it**"\n'
        'path = "tables/values.md"\n'
    )
    assert world.run_cli("run", "-n", "1", "study.toml").code == 0
    text = markdown_of(world)
    assert "### tables/values.md\n\n**all of it**\n" in text


def test_a_step_that_is_like_another_is_told_with_its_plugin(world) -> None:
    world.spec(
        '[probes.value]\nuse = "value"\na = 1.0\n\n[probes.again]\nlike = "value"\na = 2.0\n'
    )
    assert world.run_cli("run", "-n", "1", "study.toml").code == 0
    assert "| `again` | probes/value |" in markdown_of(world)
