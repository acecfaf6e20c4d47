"""Numbers as specs may write them: `"pi/2"`, `"-2*pi"`, `"1/97"`, `"sqrt(2)"`."""

from __future__ import annotations

import ast
import math
import operator
from typing import Any

_BINARY: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip
_NAMES = {"pi": math.pi, "tau": math.tau}
_FUNCTIONS = {"sqrt": math.sqrt, "log": math.log, "exp": math.exp}


def number(text: str) -> float:
    """Return the value of a constant expression over numbers, pi, tau, sqrt, log, exp.

    Raises: ValueError saying what cannot be read; the text is never executed.
    """
    if len(text) > 100:
        raise ValueError(f"{text[:20]!r}... is too long for a number")
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(f'{text!r} is not a number such as 0.5 or "pi/2"') from error
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            value = _BINARY[type(op)](_value(left), _value(right))
            if isinstance(value, complex):
                raise ValueError(f"{ast.unparse(node)!r} is not a real number")
            return float(value)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            given = _value(argument)
            try:
                return _FUNCTIONS[name](given)
            except ValueError:
                raise ValueError(f"{ast.unparse(node)!r} is not a real number") from None
    raise ValueError(
        f"{ast.unparse(node)!r} is not a number; numbers, + - * / **, pi, tau, sqrt(), log(), "
        "exp() may be used"
    )
