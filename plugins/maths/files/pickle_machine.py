"""A small machine that follows the opcodes of a pickle of plain values.

It knows containers, numbers, text and NumPy's arrays. Nothing is imported and nothing called: a
name in a pickle stands for one of the values it knows, any other name is an error that says which.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

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


class Symbol:
    """A name in a pickle that stands for something known; it is never imported."""

    def __init__(self, text: str) -> None:
        if text not in _NAMES:
            raise ValueError(
                f"names {text.replace(' ', '.')!r}; only containers, numbers, text and NumPy's "
                "arrays are read, since anything else could execute"
            )
        self.means = _NAMES[text]


class Dtype:
    """A type of numbers that is being made."""

    def __init__(self, spec: Any, *rest: Any) -> None:
        del rest  # alignment, which plain numbers do not have
        if not isinstance(spec, str) or not _DTYPE.match(spec):
            raise ValueError(f"holds an array of {spec!r}; only numbers are read")
        self.dtype = np.dtype(spec)

    def build(self, state: Any) -> None:
        """Take over the byte order."""
        if any(part not in (None, -1, 0) for part in state[2:]):
            raise ValueError("holds an array of a compound type; only numbers are read")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class Shell:
    """An array that is being made."""

    def __init__(self) -> None:
        self.value: Any = None

    def build(self, state: Any) -> None:
        """Take over shape, type and content."""
        _, shape, dtype, by_columns, content = state
        self.value = _array(content, dtype, shape, "F" if by_columns else "C")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if not isinstance(dtype, Dtype) or not isinstance(content, bytes | bytearray | str):
        raise ValueError("holds an array of objects; only numbers are read")
    raw = content.encode("latin-1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, dtype.dtype).reshape(shape, order=order).copy()


def _called(name: Any, arguments: Any) -> Any:
    match name.means if isinstance(name, Symbol) else None:
        case "dtype":
            return Dtype(*arguments)
        case "_reconstruct":
            return Shell()
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


class Machine:
    """The stack of a pickle being followed."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        """Return what was pushed since the last mark, and go back to what was there before."""
        found, self.stack = self.stack, self.marks.pop()
        return found

    def take(self, name: str, argument: Any) -> None:  # noqa: C901, PLR0912, PLR0915  # opcodes
        """Follow one opcode.

        Raises: ValueError for one that plain values do not need.
        """
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
                stack.append(Symbol(argument))
            case "STACK_GLOBAL":
                own, module = stack.pop(), stack.pop()
                stack.append(Symbol(f"{module} {own}"))
            case "REDUCE":
                arguments, called = stack.pop(), stack.pop()
                stack.append(_called(called, arguments))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], Shell | Dtype):
                    raise ValueError("sets the state of an object; only plain values are read")
                stack[-1].build(state)
            case _:
                raise ValueError(f"uses {name}, which plain values do not need")
