"""Event files by the format's own numbers: checksums, framing, fields."""

import struct

import pytest

from plugins.maths.files.event_files import crc32c, written


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_the_checksum_is_that_of_the_standard(data: bytes, crc: int) -> None:
    """The first is the usual check value, the others stand in RFC 3720, appendix B.4."""
    assert crc32c(data) == crc


def test_a_file_of_nothing_is_its_version_alone() -> None:
    event = b"\x09" + bytes(8) + b"\x10\x00" + b"\x1a\x0dbrain.Event:2"
    length = struct.pack("<Q", len(event))
    found = written([], {}, 0)
    assert found[:8] == length
    assert found[12:-4] == event
    for data, place in ((length, found[8:12]), (event, found[-4:])):
        (masked,) = struct.unpack("<I", place)
        turned = (masked - 0xA282EAD8) % 2**32
        assert (turned << 15 | turned >> 17) % 2**32 == crc32c(data)


def test_an_event_holds_its_step_twice_and_its_values() -> None:
    event = written([(300, "a", 1.5)], {}, 0)[len(written([], {}, 0)) + 12 : -4]
    assert event == (
        b"\x09" + struct.pack("<d", 300.0)  # wall_time
        + b"\x10\xac\x02"  # step: 300 as a varint
        + b"\x2a\x0a" + b"\x0a\x08" + b"\x0a\x01a" + b"\x15" + struct.pack("<f", 1.5)
    )  # fmt: skip


def test_a_negative_step_is_its_twos_complement() -> None:
    assert b"\x10" + b"\xff" * 9 + b"\x01" in written([(-1, "a", 0.0)], {}, 0)


def test_steps_are_in_order_and_values_of_one_step_in_one_event() -> None:
    ordered = written([(0, "a", 1.0), (0, "b", 2.0), (5, "a", 3.0)], {}, 0)
    assert written([(5, "a", 3.0), (0, "a", 1.0), (0, "b", 2.0)], {}, 0) == ordered
    assert ordered.count(b"\x09" + bytes(8)) == 2  # the version's event and step 0


def test_a_value_beyond_single_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a/b: 1e\+300 is too large"):
        written([(0, "a/b", 1e300)], {}, 0)
    written([(0, "a", float("inf")), (1, "a", float("nan"))], {}, 0)


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(ValueError, match=r"plot: it begins with .*GIF89a.*, which is no PNG"):
        written([], {"plot": b"GIF89a" + bytes(40)}, 0)
