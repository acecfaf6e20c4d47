"""Pickles of plain values, written and read without Python's pickle: nothing can execute.

Written: dicts, lists, numbers, text and arrays, for other people's plotting scripts. Read: what the
machine in `pickle_machine` knows, containers, numbers, text and NumPy's arrays.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from plugins.maths.files.pickle_machine import Dtype, Machine, Shell, Symbol

_ARRAY = b"cnumpy\narray\n"  # the one name written: numpy.array, called with nested lists


def dumps(value: Any) -> bytes:
    """Return a pickle (protocol 2) of dicts, lists, tuples, numbers, text, None and arrays.

    Raises: TypeError naming any other type.
    """
    parts = [b"\x80\x02"]
    _write(value, parts)
    return b"".join([*parts, b"."])


def _write(value: Any, parts: list[bytes]) -> None:
    match value:
        case np.ndarray() if value.size and all(isinstance(one, str) for one in value.flat):
            _write(value.tolist(), parts)  # an array of text is an array of objects: a list does
        case np.ndarray():
            if value.dtype.kind not in "biuf":
                raise TypeError(f"an array of {value.dtype} is not written; make it numbers")
            parts.append(_ARRAY)
            _write(value.tolist(), parts)
            parts.append(b"\x85R")
        case np.generic():
            _write(value.item(), parts)
        case None:
            parts.append(b"N")
        case bool():
            parts.append(b"\x88" if value else b"\x89")
        case int():
            content = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
            parts.append(b"\x8a" + bytes([len(content)]) + content)
        case float():
            parts.append(b"G" + struct.pack(">d", value))
        case str():
            text = value.encode()
            parts.append(b"X" + struct.pack("<I", len(text)) + text)
        case list() | tuple():
            parts.append(b"](")
            for one in value:
                _write(one, parts)
            parts.append(b"e")
        case dict():
            parts.append(b"}(")
            for key, one in value.items():
                _write(key, parts)
                _write(one, parts)
            parts.append(b"u")
        case _:
            raise TypeError(f"a {type(value).__name__} is not written")


def loads(content: bytes) -> Any:
    """Return the plain value of a pickle; sets come as lists, special dicts as dicts.

    Raises: ValueError when it holds anything else or is damaged.
    """
    machine = Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.take(opcode.name, argument)
        (value,) = machine.stack
        return _plain(value, {})
    except ValueError as error:
        raise ValueError(f"this pickle {error}") from error
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"this pickle is damaged: {type(error).__name__}: {error}") from error


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """Return a value with finished arrays in place of their shells; what is shared stays shared."""
    if isinstance(value, Symbol | Dtype) or (isinstance(value, Shell) and value.value is None):
        raise ValueError("holds a bare type")
    if isinstance(value, Shell):
        return value.value
    if not isinstance(value, Mapping | list | tuple):
        return value
    if id(value) not in seen:
        seen[id(value)] = None  # a container inside itself ends here
        if isinstance(value, Mapping):
            seen[id(value)] = {key: _plain(one, seen) for key, one in value.items()}
        else:
            seen[id(value)] = type(value)(_plain(one, seen) for one in value)
    return seen[id(value)]
