"""Pickles of plain values, written and read without Python's pickle: nothing can execute.

Written: dicts, lists, numbers, text and arrays, for other people's plotting scripts. Read: the
opcodes are parsed (`pickletools` takes them apart and calls nothing) and followed by a small
machine that knows containers, numbers, text and NumPy's arrays. Any other name in a pickle is an
error that says which.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# -- writing -------------------------------------------------------------------------------------

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


# -- reading -------------------------------------------------------------------------------------

_PUSHED = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANT: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list,
}  # fmt: skip
_CORES = ("core", "_core")  # before NumPy 2 and since
_NAMES = {
    "numpy ndarray": "ndarray", "numpy dtype": "dtype", "numpy array": "array",
    "collections OrderedDict": "dict", "collections defaultdict": "dict",
    "_codecs encode": "encode", "__builtin__ bytes": "bytes",  # of protocols before 3
    **{f"{m} {n}": "type" for m in ("builtins", "__builtin__") for n in ("dict", "list", "float")},
    **{f"numpy.{c}.multiarray {n}": n for c in _CORES for n in ("_reconstruct", "scalar")},
    **{f"numpy.{c}.numeric _frombuffer": "_frombuffer" for c in _CORES},
}  # fmt: skip
_DTYPE = re.compile(r"[<>=|]?[biufc]\d{1,2}\Z")


class _Name:
    """A name in a pickle that stands for something known; it is never imported."""

    def __init__(self, text: str) -> None:
        if text not in _NAMES:
            raise ValueError(
                f"names {text.replace(' ', '.')!r}; only containers, numbers, text and NumPy's "
                "arrays are read, since anything else could execute"
            )
        self.means = _NAMES[text]


class _Dtype:
    def __init__(self, spec: Any, *rest: Any) -> None:
        del rest  # alignment, which plain numbers do not have
        if not isinstance(spec, str) or not _DTYPE.match(spec):
            raise ValueError(f"holds an array of {spec!r}; only numbers are read")
        self.dtype = np.dtype(spec)

    def build(self, state: Any) -> None:
        if any(part not in (None, -1, 0) for part in state[2:]):
            raise ValueError("holds an array of a compound type; only numbers are read")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    def __init__(self) -> None:
        self.value: Any = None

    def build(self, state: Any) -> None:
        _, shape, dtype, by_columns, content = state
        self.value = _array(content, dtype, shape, "F" if by_columns else "C")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray | str):
        raise ValueError("holds an array of objects; only numbers are read")
    raw = content.encode("latin-1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, dtype.dtype).reshape(shape, order=order).copy()


def _called(name: Any, arguments: Any) -> Any:
    match name.means if isinstance(name, _Name) else None:
        case "dtype":
            return _Dtype(*arguments)
        case "_reconstruct":
            return _Array()
        case "_frombuffer":
            return _array(*arguments)
        case "array":
            made = np.array(arguments[0])
            if made.dtype.kind not in "biufc":
                raise ValueError("holds an array of objects; only numbers are read")
            return made
        case "scalar":
            return _array(arguments[1], arguments[0], (), "C").item()
        case "dict":
            return {}
        case "encode":
            return arguments[0].encode("latin-1")
        case "bytes" if arguments == ():
            return b""
    raise ValueError("calls something that is no constructor of plain values")


class _Machine:
    """The stack of a pickle being followed."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        found, self.stack = self.stack, self.marks.pop()
        return found

    def take(self, name: str, argument: Any) -> None:  # noqa: C901, PLR0912, PLR0915  # opcodes
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self.marks.append(stack)
                self.stack = []
            case _ if name in _PUSHED:
                stack.append(argument)
            case _ if name in _CONSTANT:
                stack.append(_CONSTANT[name]())
            case "TUPLE" | "LIST":
                found = self.since_mark()
                self.stack.append(tuple(found) if name == "TUPLE" else found)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                self.stack[-count:] = [tuple(stack[-count:])]
            case "DICT":
                found = self.since_mark()
                self.stack.append(dict(zip(found[::2], found[1::2], strict=True)))
            case "APPEND":
                one = stack.pop()
                stack[-1].append(one)
            case "APPENDS" | "ADDITEMS":
                found = self.since_mark()
                self.stack[-1].extend(found)
            case "SETITEM":
                one, key = stack.pop(), stack.pop()
                stack[-1][key] = one
            case "SETITEMS":
                found = self.since_mark()
                self.stack[-1].update(zip(found[::2], found[1::2], strict=True))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[int(argument)])
            case "GLOBAL":
                stack.append(_Name(argument))
            case "STACK_GLOBAL":
                own, module = stack.pop(), stack.pop()
                stack.append(_Name(f"{module} {own}"))
            case "REDUCE":
                arguments, called = stack.pop(), stack.pop()
                stack.append(_called(called, arguments))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], _Array | _Dtype):
                    raise ValueError("sets the state of an object; only plain values are read")
                stack[-1].build(state)
            case _:
                raise ValueError(f"uses {name}, which plain values do not need")


def loads(content: bytes) -> Any:
    """Return the plain value of a pickle; sets come as lists, special dicts as dicts.

    Raises: ValueError when it holds anything else or is damaged.
    """
    machine = _Machine()
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
    if isinstance(value, _Name | _Dtype) or (isinstance(value, _Array) and value.value is None):
        raise ValueError("holds a bare type")
    if isinstance(value, _Array):
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
