"""Event files, read back by a reader of their own."""

import io
import json
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from plugins.renderers.tensorboard import Tensorboard
from runner.types import Files, Table

EIGEN = Table(
    {
        "steps": [0, 0, 5, 5, 300, 300],
        "index": [1, 2, 1, 2, 1, 2],
        "eigenvalue": [144.7, -3.63, 120.0, float("nan"), 0.5, 1e-30],
        "converged": [True, True, True, False, True, True],
        "word": ["a", "b", "c", "d", "e", "f"],
    }
)
HISTORY = Table({"step": [0.0, 32.0], "test_loss": [0.794, 0.669]})
BY_RANK = {"x": "steps", "y": "eigenvalue", "hue": ["index"]}
CLEAN = {"table": "second", "y": "test_loss", "tag": "clean/loss"}


def wish(*scalars: dict[str, Any], **parameters: Any) -> Tensorboard:
    given = {"path": "tensorboard/events.out.tfevents", "scalars": scalars or [BY_RANK, CLEAN]}
    return Tensorboard.model_validate_json(json.dumps(given | parameters), strict=True)


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Figure(figsize=(width / 100, height / 100)).savefig(stream, dpi=100)
    return stream.getvalue()


def content(plugin: Tensorboard, *tables: Table, **ports: Any) -> bytes:
    return plugin.run(*(tables or (EIGEN, HISTORY)), **ports).contents[".tfevents"]


# -- a reader, written after the format's description and not after the writer ---------------------


def divided(data: bytes) -> int:
    """CRC-32C as a long division of polynomials, highest power first."""
    bits = [byte >> at & 1 for byte in data for at in range(8)] + [0] * 32
    for at in range(32):
        bits[at] ^= 1
    divisor = [1, *(0x1EDC6F41 >> at & 1 for at in reversed(range(32)))]
    for at in range(len(bits) - 32):
        if bits[at]:
            for power, bit in enumerate(divisor):
                bits[at + power] ^= bit
    return sum((1 - bit) << at for at, bit in enumerate(bits[-32:]))


def records(file: bytes, checked: int = 10**9) -> Iterator[bytes]:
    """Yield the data of each record; checksums are looked at where it is no longer than that."""
    stream = io.BytesIO(file)
    while head := stream.read(12):
        length, crc = struct.unpack("<QI", head)
        data, (data_crc,) = stream.read(length), struct.unpack("<I", stream.read(4))
        for part, masked in ((head[:8], crc), (data, data_crc)):
            if len(part) <= checked:
                plain = divided(part)
                assert masked == ((plain >> 15 | plain << 17) + 0xA282EAD8) % 2**32
        yield data


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    stream = io.BytesIO(message)
    while stream.tell() < len(message):
        number, kind = divmod(varint(stream), 8)
        match kind:
            case 0:
                yield number, varint(stream)
            case 1:
                yield number, struct.unpack("<d", stream.read(8))[0]
            case 2:
                yield number, stream.read(varint(stream))
            case 5:
                yield number, struct.unpack("<f", stream.read(4))[0]


def varint(stream: io.BytesIO) -> int:
    value = shift = 0
    while (byte := stream.read(1)[0]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
    return value | byte << shift


def read(file: bytes, checked: int = 10**9) -> dict[str, list[tuple[int, Any]]]:
    """Return (step, value) by tag; the time of every event is its step."""
    found: dict[str, list[tuple[int, Any]]] = {}
    first, *events = [dict(fields(data)) for data in records(file, checked)]
    assert first == {1: 0.0, 2: 0, 3: b"brain.Event:2"}
    for event in events:
        assert event[1] == event[2]
        for number, value in fields(event[5]):
            assert number == 1
            parts = dict(fields(value))
            found.setdefault(parts[1].decode(), []).append((event[2], parts.get(2, parts.get(4))))
    return found


def test_a_reader_finds_tags_steps_and_values() -> None:
    found = read(content(wish()))
    assert list(found) == ["eigenvalue/index_1", "eigenvalue/index_2", "clean/loss"]
    single = {tag: [(s, np.float32(v)) for s, v in points] for tag, points in found.items()}
    of = np.float32
    assert single["eigenvalue/index_1"] == [(0, of(144.7)), (5, of(120)), (300, of(0.5))]
    assert single["clean/loss"] == [(0, of(0.794)), (32, of(0.669))]
    second = single["eigenvalue/index_2"]
    assert [step for step, _ in second] == [0, 5, 300]
    np.testing.assert_array_equal([v for _, v in second], np.float32([-3.63, np.nan, 1e-30]))


def test_pictures_stand_at_the_last_step_with_their_sizes() -> None:
    given = {"picture": Files({".png": png(120, 80)}), "fourth_picture": Files({".png": png(7, 9)})}
    found = read(content(wish(pictures=["plots/a", "b"]), **given), checked=300)
    for tag, port, size in (("plots/a", "picture", (120, 80)), ("b", "fourth_picture", (7, 9))):
        ((step, image),) = found[tag]
        parts = dict(fields(image))
        assert step == 300
        assert (parts[2], parts[1]) == size
        assert parts[3] == 4  # red, green, blue, opacity
        assert parts[4] == given[port].contents[".png"]


def test_equal_tables_give_equal_bytes_whatever_the_rows_order() -> None:
    once = content(wish())
    assert content(wish()) == once
    backwards = Table.of(EIGEN.frame[::-1])
    assert content(wish(), backwards, HISTORY) == once


def test_rows_are_chosen_and_curves_are_told_apart_by_several_columns() -> None:
    chosen = {**BY_RANK, "where": {"converged": True}, "hue": ["index", "converged"], "tag": "top"}
    found = read(content(wish(chosen)))
    assert list(found) == ["top/index_1/converged_True", "top/index_2/converged_True"]
    assert [step for step, _ in found["top/index_2/converged_True"]] == [0, 300]


def test_booleans_are_zero_and_one() -> None:
    found = read(content(wish({**BY_RANK, "y": "converged"})))
    assert found["converged/index_2"] == [(0, 1.0), (5, 0.0), (300, 1.0)]


@pytest.mark.parametrize(
    ("scalar", "message"),
    [
        ({**CLEAN, "table": "third"}, "scalars[1].table = 'third': no such table is given"),
        ({**CLEAN, "y": "tset_loss"}, "scalars[1].y = 'tset_loss': no such column"),
        ({**CLEAN, "hue": ["seed"]}, "scalars[1].hue[0] = 'seed': no such column"),
        ({**CLEAN, "where": {"wd": 1.0}}, "scalars[1].where = 'wd': no such column"),
        ({**CLEAN, "where": {"step": 7}}, "scalars[1]: there are no rows"),
        ({"x": "steps", "y": "converged"}, "6 rows share 3 coordinates"),
        ({**BY_RANK, "y": "word"}, "scalars[1]: column 'word' holds "),
        ({**CLEAN, "x": "test_loss", "y": "step"}, "scalars[1].x = 'test_loss': 0.794 is no whole"),
        (BY_RANK, "scalars[1]: 'eigenvalue/index_1' is there already; give it a tag"),
    ],
)
def test_what_cannot_be_written_is_named(scalar: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        content(wish(BY_RANK, scalar))


@pytest.mark.parametrize(
    ("tags", "files", "message"),
    [
        (["a"], [], "0 pictures are given, but pictures = ['a'] names 1"),
        ([], [{".png": b""}], "1 pictures are given, but pictures = [] names 0"),
        (["a"], [{".svg": b""}], "a: TensorBoard shows .png, not .svg"),
        (["a"], [{".png": b"no picture"}], "which is no PNG"),
        (["clean/loss"], [{".png": b""}], "'clean/loss' is a curve's tag too"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_named(
    tags: list[str], files: list[dict[str, bytes]], message: str
) -> None:
    ports = dict(zip(["picture", "second_picture"], map(Files, files), strict=False))
    with pytest.raises(ValueError, match=re.escape(message)):
        content(wish(pictures=tags), **ports)


def test_two_pictures_of_one_tag_are_refused_when_the_spec_is_read() -> None:
    assert wish(pictures=["a", "a"]).check_parameters() == "pictures holds 'a' twice"


def test_another_suffix_is_refused_when_the_spec_is_read() -> None:
    with pytest.raises(ValueError, match=r"must have a suffix out of .tfevents"):
        wish(path="events.out.tfevents.1")
