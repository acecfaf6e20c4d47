"""Drawings of plans: every step and every edge, no box upon another."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from runner.telling.graph import Box, drawing


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    found = re.findall(r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"', svg)
    return [tuple(map(float, numbers)) for numbers in found]


STEPS = [
    Box("data", "points", "plain", []),
    Box("net", "line", "dull", []),
    Box("fit", "descent, 4", "plain", ["data", "net"]),
    Box("a_probe_with_a_name_that_is_much_longer_than_a_box", "value", "plain", ["fit", "data"]),
    Box("first", "expect", "good", ["a_probe_with_a_name_that_is_much_longer_than_a_box"]),
    Box("second", "hypotheses", "bad", ["fit"], ["first"]),
]


def test_boxes_do_not_overlap_and_lie_within_the_picture() -> None:
    svg = drawing(STEPS)
    boxes = rectangles(svg)
    assert len(boxes) == len(STEPS)
    x, y, width, height = map(float, re.search(r'viewBox="([^"]+)"', svg)[1].split())
    for n, (left, top, wide, high) in enumerate(boxes):
        assert x <= left
        assert left + wide <= x + width
        assert y <= top
        assert top + high <= y + height
        for other in boxes[:n]:
            apart = left >= other[0] + other[2] or other[0] >= left + wide
            assert apart or top >= other[1] + other[3] or other[1] >= top + high


def test_every_input_is_a_line_and_a_required_expectation_a_broken_one() -> None:
    svg = drawing(STEPS)
    assert svg.count('class="edge"') == 6
    assert svg.count('class="edge requires"') == 1


def test_a_long_name_is_broken_and_loses_no_letter() -> None:
    texts = re.findall(r'<text class="name"[^>]*>([^<]*)<', drawing(STEPS))
    assert STEPS[3].name in "".join(texts)
    assert max(map(len, texts)) <= 18


def test_readers_stand_to_the_right_of_what_they_read() -> None:
    svg = drawing([Box("a", "", "plain", []), Box("b", "", "plain", ["a"])])
    (left, *_), (right, *_) = sorted(rectangles(svg))
    assert left < right


def test_names_are_escaped() -> None:
    class Tags(HTMLParser):
        names: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.names.append(tag)

    parser = Tags()
    parser.feed(drawing([Box("<b>", "<script>", "plain", [])]))
    assert set(parser.names) == {"svg", "g", "rect", "text"}


def test_nothing_is_drawn_as_nothing() -> None:
    assert drawing([]) == ""
