"""What all pictures have: formats, dots an inch, quantiles."""

import json
import struct
from typing import Any

import pytest
from pydantic import ValidationError

from plugins.renderers.contour import Contour
from plugins.renderers.csv import Csv
from plugins.renderers.lines import Lines
from runner.types import Table

TABLE = Table({"step": [0, 1, 2], "loss": [3.0, 2.0, 1.0]})


def lines(**given: Any) -> Lines:
    text = json.dumps({"path": "a.png", "x": "step", "y": "loss"} | given)
    return Lines.model_validate_json(text, strict=True)


def pixels(content: bytes) -> tuple[int, int]:
    return struct.unpack(">II", content[16:24])


@pytest.mark.parametrize("given", [{"path": "a.jpg"}, {"formats": [".gif"]}])
def test_a_suffix_that_is_not_a_picture_s_is_refused_with_what_would_do(given: Any) -> None:
    with pytest.raises(ValidationError, match=r"\.png.*\.svg.*\.pdf"):
        lines(**given)


def test_a_document_is_no_picture() -> None:
    with pytest.raises(ValidationError, match=r"path\n.*must have a suffix out of \.csv"):
        Csv(path="a.png")
    with pytest.raises(ValidationError, match=r"formats\n.*must hold suffixes out of \.csv"):
        Csv(path="a.csv", formats=(".png",))


def test_dots_an_inch_make_a_picture_larger_and_leave_its_layout() -> None:
    files = {dpi: lines(dpi=dpi).run(TABLE).contents[".png"] for dpi in (100, 200, 300)}
    wide, high = pixels(files[100])
    assert pixels(files[200]) == pytest.approx((2 * wide, 2 * high), abs=2)  # whole dots
    assert pixels(files[300]) == pytest.approx((3 * wide, 3 * high), abs=3)
    assert files[200] == lines().run(TABLE).contents[".png"]


@pytest.mark.parametrize("clip", [(0.5, 0.5), (0.9, 0.1), (-0.1, 1.0), (0.0, 1.1)])
def test_quantiles_rise_within_0_and_1(clip: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="0 <= low < high <= 1"):
        Contour(path="a.png", clip=clip)
