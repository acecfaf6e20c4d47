"""TensorBoard's event files, byte by byte: equal values give equal bytes.

A file is a row of records, each framed by its length and two checksums; a record is an `Event` of
Protocol Buffers. Only the fields that scalars and pictures need are written. No clock is read: the
time of an event is its step, in seconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

VERSION = b"brain.Event:2"
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits reversed
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # a PNG's colour type -> how many values a pixel has


def written(
    scalars: Iterable[tuple[int, str, float]], pictures: Mapping[str, bytes], pictures_at: int
) -> bytes:
    """Return an event file of scalars (step, tag, value) and PNG pictures by tag.

    There is one event for each step, in ascending order, its values in the order given. Values are
    kept in single precision, as the format has them.

    Raises: ValueError for a value too large for single precision, or a picture that is no PNG.
    """
    steps: dict[int, list[bytes]] = {}
    for step, tag, value in scalars:
        steps.setdefault(step, []).append(_scalar(tag, value))
    for tag, png in pictures.items():
        steps.setdefault(pictures_at, []).append(_picture(tag, png))
    head = _event(0, _block(3, VERSION))
    return head + b"".join(
        _event(step, _block(5, b"".join(_block(1, value) for value in steps[step])))
        for step in sorted(steps)
    )


def _event(step: int, what: bytes) -> bytes:
    return _record(b"\x09" + struct.pack("<d", step) + _number(2, step) + what)  # 1: wall_time


def _scalar(tag: str, value: float) -> bytes:
    try:
        return _block(1, tag.encode()) + b"\x15" + struct.pack("<f", value)  # 2: simple_value
    except OverflowError as error:
        raise ValueError(f"{tag}: {value!r} is too large for single precision") from error


def _picture(tag: str, png: bytes) -> bytes:
    if png[:8] != _SIGNATURE or png[12:16] != b"IHDR":
        raise ValueError(f"{tag}: it begins with {png[:8]!r}, which is no PNG")
    width, height, colours = struct.unpack(">IIxB", png[16:26])
    size = _number(1, height) + _number(2, width) + _number(3, _CHANNELS[colours])
    return _block(1, tag.encode()) + _block(4, size + _block(4, png))


# -- Protocol Buffers: a field is its number and kind, then a number or a counted block ------------


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # a negative one as its two's complement
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


# -- records ---------------------------------------------------------------------------------------


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_REMAINDERS = tuple(_remainder(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """Return the cyclic redundancy check of RFC 3720, appendix B.4."""
    crc, remainders = 0xFFFFFFFF, _REMAINDERS
    for byte in data:
        crc = remainders[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
