"""The page of a run in a real browser: as wide as its window, silent, its pictures drawn."""

from __future__ import annotations

import base64
import dataclasses
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT = 60  # seconds after which a silent browser is given up
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-quic", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--remote-debugging-pipe",
]  # fmt: skip
# Chromium reads commands from file 3 and writes answers to file 4, each ended by a zero byte.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3), os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A headless Chromium with one tab, spoken to through pipes."""

    def __init__(self, profile: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._rest = b""
        (theirs, self._write), (self._read, their_end) = _pipe(), _pipe()
        ends = (theirs, their_end)
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *map(str, ends), CHROMIUM, *FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in ends:
            os.close(end)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what a command of the DevTools protocol gives; events are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        import select

        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], WAIT)
            part = os.read(self._read, 1 << 20) if ready else b""
            assert part, "the browser says nothing any more"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path, width: int, scheme: str) -> None:
        """Show a page in a window of a width in px, in the scheme `light` or `dark`."""
        self.events.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """Return what an expression gives in the page; images are decoded by then."""
        decoded = "Promise.all([...document.images].map(i => i.decode().catch(() => 0)))"
        answer = self.call(
            "Runtime.evaluate", expression=f"{decoded}.then(() => ({expression}))",
            awaitPromise=True, returnByValue=True,
        )  # fmt: skip
        assert "exceptionDetails" not in answer, answer
        return answer["result"]["value"]

    def picture(self, file: Path) -> None:
        """Write a PNG of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def said(self) -> list[dict[str, Any]]:
        """Return what the page put on the console, and its errors."""
        spoken = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event for event in self.events if event["method"] in spoken]

    def asked(self) -> list[str]:
        """Return the addresses the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        os.close(self._write)
        self._process.kill()
        self._process.wait(WAIT)
        os.close(self._read)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends are numbered above the two that the browser takes."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()


SPEC = """
# Do a <number> & its neighbour, named at such length that no phone can hold a line, stay small?
title = "A study_with_a_title_that_is_one_long_word_and_must_be_broken_somewhere_by_the_page & more"

[axes]
some_axis_with_a_long_name = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
k = [1, 2, 3, 4, 5, 6]

[probes.a_probe_whose_name_is_longer_than_any_box_of_the_drawing]
use = "value"
a = "$some_axis_with_a_long_name"
k = "$k"

[probes.mean_of_the_probe_whose_name_is_long]
use = "average"
table = "@a_probe_whose_name_is_longer_than_any_box_of_the_drawing"
over = ["some_axis_with_a_long_name"]

[probes.mean_of_means_of_the_probe]
use = "average"
table = "@mean_of_the_probe_whose_name_is_long"
column = "average"
over = ["k"]

[probes.mean_of_the_mean_of_means]
use = "average"
table = "@mean_of_means_of_the_probe"
column = "average"

[probes.mean_of_the_mean_of_the_mean_of_means]
use = "average"
table = "@mean_of_the_mean_of_means"
column = "average"

[renderers.surface]
use = "heatmap"
table = "@a_probe_whose_name_is_longer_than_any_box_of_the_drawing"
x = "some_axis_with_a_long_name"
y = "k"
value = "value"
path = "surface.png"
formats = [".pdf"]

[renderers.curve]
use = "lines"
table = "@mean_of_the_probe_whose_name_is_long"
x = "k"
y = "average"
path = "curves/of_the_mean.svg"

[renderers.sheet]
use = "csv"
table = "@a_probe_whose_name_is_longer_than_any_box_of_the_drawing"
path = "tables/a_file_whose_name_is_longer_than_a_phone_is_wide_even_if_it_is_held_sideways.csv"

[renderers.note]
use = "page"
table = "@mean_of_means_of_the_probe"
title = "a line of plain text that is longer than a phone is wide, and longer than that once more"
path = "note.txt"

[expect.every_single_value_is_below_thirteen_as_it_should_be]
claim = "no value is large"
table = "@a_probe_whose_name_is_longer_than_any_box_of_the_drawing"
per = ["some_axis_with_a_long_name", "k"]
check = "value < 13"

[expect.positive]
table = "@mean_of_the_probe_whose_name_is_long"
check = "min(average) > 0"

[hypotheses.means_are_less_than_what_they_are_means_of]
table = "@mean_of_the_mean_of_the_mean_of_means"
check = "average < 1"
requires = ["positive"]
"""

# The least contrast (WCAG 2) of any text with what lies behind it; 4.5 is what plain text needs.
CONTRAST = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = parts(colour).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = node.tagName === 'g' && node.querySelector('rect')
        ? getComputedStyle(node.querySelector('rect')).fill
        : getComputedStyle(node).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
  };
  let least = [99, ''];
  for (const node of document.querySelectorAll('main *, svg text')) {
    if (![...node.childNodes].some(c => c.nodeType === 3 && c.data.trim())) continue;
    const style = getComputedStyle(node);
    const pair = [light(node.tagName === 'text' ? style.fill : style.color), light(behind(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < least[0]) least = [ratio, node.outerHTML.slice(0, 99)];
  }
  return least;
})()
"""
# The plan scrolled to its end: how far its last box reaches beyond its frame, in px.
BEYOND = """
(() => {
  const frame = document.querySelector('.drawn');
  frame.scrollLeft = 1e6;
  const rights = [...frame.querySelectorAll('rect')].map(r => r.getBoundingClientRect().right);
  return Math.max(...rights) - frame.getBoundingClientRect().right;
})()
"""


@pytest.fixture(scope="module")
def page(shared_world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = dataclasses.replace(shared_world, folder=tmp_path_factory.mktemp("page"))
    shutil.copytree(shared_world.plugins, world.plugins)
    shutil.copy(shared_world.folder / "pyproject.toml", world.folder)
    world.spec(SPEC)
    done = world.run_cli("run", "-n", "1", "study.toml")
    assert done.code == 1, done.err  # an expectation does not hold
    return world.artifacts / "study" / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; install it to see the page as a reader does")
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(params=list(itertools.product([1280, 390], ["light", "dark"])), ids=str)
def shown(request: pytest.FixtureRequest, browser: Browser, page: Path) -> Browser:
    """The browser with the page open, at each width and in each scheme."""
    browser.open(page, *request.param)
    return browser


def test_the_page_is_no_wider_than_its_window(shown: Browser) -> None:
    wide, window = shown.value(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert 0 < wide <= window
    assert shown.value(BEYOND) <= 0
    folded = "[...document.querySelectorAll('details')]"
    assert shown.value(f"{folded}.map(d => d.open = true).length") == 3
    assert shown.value("document.documentElement.scrollWidth") <= window


def test_the_page_says_nothing_on_the_console_and_asks_for_nothing(
    shown: Browser, page: Path
) -> None:
    shown.value("document.fonts.ready.then(() => 0)")
    assert shown.said() == []
    others = [url for url in shown.asked() if not url.startswith("data:")]
    assert others == [page.resolve().as_uri()]


def test_every_picture_is_drawn(shown: Browser) -> None:
    widths = shown.value("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 2
    assert all(width > 0 for width in widths)
    drawn = shown.value("[...document.querySelectorAll('svg rect')].map(r => r.clientWidth || r."
                        "getBoundingClientRect().width)")  # fmt: skip
    assert len(drawn) == 12
    assert min(drawn) > 20


def test_all_text_stands_out_from_what_is_behind_it(shown: Browser) -> None:
    ratio, where = shown.value(CONTRAST)
    assert ratio >= 4.5, where


def test_the_page_is_small_and_shows_what_does_not_hold_first(page: Path) -> None:
    assert page.stat().st_size < 10e6
    text = page.read_text("utf-8")
    verdicts = text[text.index('id="verdicts"') : text.index('id="figures"')]
    words = [part.partition("<")[0] for part in verdicts.split('class="badge ')[1:]]
    assert words[0] == 'bad">fails'
    assert "3 fail" in text
    assert "46 hold" in text
    assert "37 more: 37 hold" in verdicts
    assert 'id="failures"' not in text  # they are told among the verdicts


def test_a_page_tells_of_the_run_that_wrote_it_also_when_later_ones_change_nothing(world) -> None:
    text = 'title = "Small"\n[probes.one]\nuse = "value"\n'
    spec = world.spec(text)
    folder = world.artifacts / "study"
    for _ in range(2):  # the second one is cached and leaves the page
        assert world.cli("run", "-n", "1", spec.name).code == 0
        told = (folder / "report.html").read_text("utf-8")
        assert "which computed 1 node in" in told
        assert "Runs that change nothing leave it as it is." in told
    assert world.cli("report", spec.name).code == 0
    token = json.loads((folder / "run.json").read_text("utf-8"))["run"]
    told = (folder / "report.html").read_text("utf-8")
    assert f"<code>{token}</code>" in told
    assert "which computed nothing: the results are of 20" in told
