"""Why a check holds or does not: both sides' values, and the row that decides it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.language.expression import (
    Columns,
    Evaluator,
    Expression,
    ExpressionError,
    evaluate,
)

_SYMBOLS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_REDUCING = ("max", "min", "all")  # a comparison of one of these is decided by one row


@dataclass(frozen=True)
class Explained:
    """A check's outcome: both sides' values, and the row that decides it where one does."""

    holds: bool
    detail: str
    row: int | None = None
    slice: str | None = None  # the slice the row belongs to; None: the check's own table


def explain(
    expression: Expression, columns: Columns, slices: Mapping[str, Columns] | None = None
) -> Explained:
    """Return whether the check holds (every row, where it has many) and why."""
    import numpy as np

    value = np.asarray(evaluate(expression, columns, slices))
    if value.dtype.kind != "b":
        raise ExpressionError("must be a comparison; its value is a number, not true or false")
    evaluator = Evaluator(columns, slices or {})
    holds = bool(np.all(value)) and value.size > 0
    detail = "; ".join(_sides(evaluator, expression.tree))
    row, part = _deciding_row(evaluator, expression.tree)
    if value.size == 0:
        detail = "no rows"
    elif not detail and not holds:
        truths = np.asarray(evaluator.value(_of_all(expression.tree)))
        if truths.dtype.kind == "b" and truths.size > 1:
            detail = f"{np.sum(~truths)} of {truths.size} rows are false"
    return Explained(holds, detail or str(holds).lower(), row, part)


def _sides(evaluator: Evaluator, node: ast.expr) -> list[str]:
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _sides(evaluator, value)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return [f"not ({text})" for text in _sides(evaluator, node.operand)]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Compare):
        return [f"{ast.unparse(node.func)}: {t}" for t in _sides(evaluator, node.args[0])]
    if not isinstance(node, ast.Compare):
        return []
    sides = [shown(evaluator.value(v)) for v in (node.left, *node.comparators)]
    text = sides[0]
    for op, side in zip(node.ops, sides[1:], strict=True):
        text += f" {_SYMBOLS[type(op)]} {side}"
    return [text]


def shown(value: Any) -> str:
    """Return a value for a message: a number in six digits, many numbers as their range."""
    import numpy as np

    array = np.asarray(value)
    if array.dtype.kind == "b" or array.dtype.kind not in "iuf":
        return str(array.item()) if array.size == 1 else f"{array.size} values"
    if array.size == 1:
        return f"{array.item():.6g}"
    return f"[{array.min():.6g} .. {array.max():.6g}]" if array.size else "no rows"


def _deciding_row(evaluator: Evaluator, node: ast.expr) -> tuple[int | None, str | None]:
    """Return the row that is worst for a comparison over rows, and the slice it belongs to."""
    import numpy as np

    node = _of_all(node)
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        inner, margin, upper = node, np.asarray(evaluator.value(node)), False
        if margin.dtype.kind != "b" or margin.all():
            return None, None
        margin = margin.astype(float)  # the first row that is false
    else:
        inner = node.left
        upper = isinstance(node.ops[0], (ast.Lt, ast.LtE))
        if (
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Name)
            and inner.func.id in _REDUCING
        ):
            upper = inner.func.id == "max"
            inner = inner.args[0]
            margin = np.asarray(evaluator.value(inner), dtype=float)
        else:
            try:
                left, right = (
                    np.asarray(evaluator.value(v), float) for v in (inner, node.comparators[0])
                )
            except ValueError:
                return None, None
            margin = left - right
            if isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
                margin, upper = np.abs(margin), isinstance(node.ops[0], ast.Eq)
    if margin.ndim != 1 or margin.size < 2:
        return None, None
    owners = {
        n.value.id
        for n in ast.walk(inner)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    owner = next(iter(owners), None)
    rows = evaluator.columns if owner is None else evaluator.slices[owner]
    if len(owners) > 1 or margin.size != len(next(iter(rows.values()), ())):
        return None, None  # no row of one table, as after diff()
    if np.isnan(margin).any():  # what is no number holds least of all
        return int(np.argmax(np.isnan(margin))), owner
    return int(np.argmax(margin) if upper else np.argmin(margin)), owner


def _of_all(node: ast.expr) -> ast.expr:
    """Return what `all(...)` is about, or the expression itself."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "all":
        return node.args[0]
    return node
