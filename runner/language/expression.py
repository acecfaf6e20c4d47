"""The small expression language of checks and derived columns.

A whitelisted syntax tree over numbers, text, columns and the functions below. A slice bound by
`let` gives its columns as `si.llc`; nothing else has attributes and no other name exists.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import listed, near

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
CONSTANTS = ("pi", "e", "tau", "true", "false")

# name -> (fewest arguments, most arguments, meaning)
FUNCTIONS: dict[str, tuple[int, int, str]] = {
    "mean": (1, 1, "arithmetic mean"),
    "std": (1, 1, "standard deviation, divided by n"),
    "var": (1, 1, "variance, divided by n"),
    "sem": (1, 1, "standard error of the mean, std with n - 1 over sqrt(n)"),
    "spread": (1, 1, "relative spread, std / |mean|"),
    "min": (1, 1, "smallest value"),
    "max": (1, 1, "largest value"),
    "range": (1, 1, "largest minus smallest value"),
    "sum": (1, 1, "sum"),
    "product": (1, 1, "product"),
    "count": (1, 1, "number of rows"),
    "unique": (1, 1, "number of distinct values"),
    "median": (1, 1, "median"),
    "quantile": (2, 2, "quantile(x, q) with linear interpolation"),
    "iqr": (1, 1, "interquartile range"),
    "first": (1, 1, "value of the first row"),
    "last": (1, 1, "value of the last row"),
    "share": (1, 1, "share of rows that are true"),
    "all": (1, 1, "true when every row is"),
    "any": (1, 1, "true when some row is"),
    "slope": (2, 2, "slope(y, x) of the least-squares line"),
    "correlation": (2, 2, "Pearson correlation"),
    "trend": (2, 2, "trend(y, x): Spearman rank correlation"),
    "increasing": (1, 1, "true when every row is larger than the one before"),
    "decreasing": (1, 1, "true when every row is smaller than the one before"),
    "geomean": (1, 1, "geometric mean"),
    "norm": (1, 1, "Euclidean norm"),
    "diff": (1, 1, "difference to the row before, one row shorter"),
    "cumsum": (1, 1, "running sum"),
    "abs": (1, 1, "absolute value"),
    "sign": (1, 1, "sign"),
    "sqrt": (1, 1, "square root"),
    "exp": (1, 1, "exponential"),
    "log": (1, 1, "natural logarithm"),
    "log10": (1, 1, "decimal logarithm"),
    "log2": (1, 1, "binary logarithm"),
    "floor": (1, 1, "largest integer not above"),
    "ceil": (1, 1, "smallest integer not below"),
    "round": (1, 2, "round(x, digits)"),
    "isfinite": (1, 1, "true where finite"),
    "minimum": (2, 2, "smaller of two, row by row"),
    "maximum": (2, 2, "larger of two, row by row"),
    "clip": (3, 3, "clip(x, low, high)"),
    "where": (3, 3, "where(condition, a, b), row by row"),
    "close": (3, 3, "close(a, b, tolerance): |a - b| <= tolerance"),
}
_TRUTHS = ("all", "any", "increasing", "decreasing", "isfinite", "close")
_PASSING = ("min", "max", "first", "last", "minimum", "maximum", "where")  # truths of truths


class ExpressionError(ValueError):
    """An expression that cannot be read or names what is not there."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression; `names` are the columns and `slice.column` pairs it reads."""

    text: str
    tree: ast.expr
    names: tuple[tuple[str, str | None], ...]


def parse(text: str) -> Expression:
    """Return the expression, its syntax and functions checked.

    Raises: ExpressionError saying what is not allowed, with a near miss for unknown functions.
    """
    if len(text) > 2000:
        raise ExpressionError("is longer than 2000 characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        detail = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ExpressionError(f"is not an expression: {detail}") from error
    names: list[tuple[str, str | None]] = []
    try:
        _check(tree, names)
    except RecursionError as error:
        raise ExpressionError("is nested too deeply") from error
    return Expression(text.strip(), tree, tuple(dict.fromkeys(names)))


def _check(node: ast.expr, names: list[tuple[str, str | None]]) -> None:
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.Name(id=name):
            if name not in CONSTANTS:
                names.append((name, None))
            return
        case ast.Attribute(value=ast.Name(id=name), attr=column):
            names.append((name, column))
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            parts = [left, right]
        case ast.BoolOp(values=values):
            parts = values
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(
            type(op) in _OPERATORS for op in ops
        ):
            parts = [left, *rest]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            parts = arguments
            if name not in FUNCTIONS:
                raise ExpressionError(f'no function "{name}"{near(name, FUNCTIONS)}')
            fewest, most, meaning = FUNCTIONS[name]
            if not fewest <= len(arguments) <= most:
                wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
                raise ExpressionError(
                    f"{name}() takes {wanted} argument(s), {len(arguments)} given ({meaning})"
                )
        case _:
            raise ExpressionError(f"may not contain {ast.unparse(node)!r}")
    for part in parts:
        _check(part, names)


def is_claim(tree: ast.expr) -> bool:
    """Whether a value can be true or false: a comparison, a column, a function of truths."""
    match tree:
        case ast.Compare() | ast.Name() | ast.Attribute() | ast.Constant(value=bool()):
            return not (isinstance(tree, ast.Name) and tree.id in ("pi", "e", "tau"))
        case ast.BoolOp(values=parts):
            return all(map(is_claim, parts))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return is_claim(operand)
        case ast.Call(func=ast.Name(id=name), args=[*_, last]) if name in _PASSING:
            return is_claim(last)
        case ast.Call(func=ast.Name(id=name)):
            return name in _TRUTHS
    return False


def check_names(
    expression: Expression, columns: set[str] | None, slices: Mapping[str, set[str] | None]
) -> None:
    """Check that every name is there; None stands for columns that are not known beforehand.

    Raises: ExpressionError naming the first unknown column or slice, with a near miss.
    """
    for name, column in expression.names:
        if column is None:
            if columns is not None and name not in columns:
                hint = near(name, columns) or f" (there are: {listed(sorted(columns), 12)})"
                raise ExpressionError(f'no column "{name}"{hint}')
        elif name not in slices:
            raise ExpressionError(
                f'no slice "{name}"{near(name, slices)} (bind it with let.{name}; bound are: '
                f"{listed(slices)})"
            )
        else:
            known = slices[name]
            if known is not None and column not in known:
                hint = near(column, known) or f" (there are: {listed(sorted(known), 12)})"
                raise ExpressionError(f'"{name}" has no column "{column}"{hint}')


Columns = Mapping[str, Any]  # name -> NumPy array


def evaluate(
    expression: Expression, columns: Columns, slices: Mapping[str, Columns] | None = None
) -> Any:
    """Return the value of the expression, a NumPy scalar or array.

    Raises: ExpressionError when a name is missing, KeyError never.
    """
    check_names(expression, set(columns), {k: set(v) for k, v in (slices or {}).items()})
    return Evaluator(columns, slices or {}).value(expression.tree)


class Evaluator:
    """What the parts of an expression are worth, for columns and bound slices."""

    def __init__(self, columns: Columns, slices: Mapping[str, Columns]) -> None:
        import math

        self.columns = columns
        self.slices = slices
        self.constants = {
            "pi": math.pi, "e": math.e, "tau": math.tau, "true": True, "false": False,
        }  # fmt: skip

    def value(self, node: ast.expr) -> Any:
        """Return the value of a part.

        Raises: ExpressionError when text is given to arithmetic.
        """
        import numpy as np

        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.columns[name] if name in self.columns else self.constants[name]
            case ast.Attribute(value=ast.Name(id=name), attr=column):
                return self.slices[name][column]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.logical_not(self.value(operand))
            case ast.UnaryOp(op=op, operand=operand):
                value = self.value(operand)
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](self._number(left), self._number(right))
            case ast.BoolOp(op=op, values=values):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return join.reduce([self.value(v) for v in values])
            case ast.Compare(left=left, ops=ops, comparators=rest):
                sides = [self.value(v) for v in (left, *rest)]
                pairs = zip(ops, sides[:-1], sides[1:], strict=True)
                return np.logical_and.reduce([_OPERATORS[type(op)](a, b) for op, a, b in pairs])
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return call(name, *[self.value(a) for a in arguments])
        raise ExpressionError(f"may not contain {ast.unparse(node)!r}")

    def _number(self, node: ast.expr) -> Any:
        import numpy as np

        value = np.asarray(self.value(node))
        if value.dtype.kind not in "biuf":
            raise ExpressionError(f"{ast.unparse(node)!r} is text, not a number")
        return value.astype(float)


def call(name: str, *arguments: Any) -> Any:
    """Return the value of one of the FUNCTIONS on NumPy arrays."""
    import numpy as np

    x = np.atleast_1d(np.asarray(arguments[0]))
    rest = arguments[1:]
    if x.size == 0 and name not in ("count", "unique", "sum", "all", "any", "diff", "cumsum"):
        raise ExpressionError(f"{name}() of no rows")
    row_by_row: dict[str, Any] = {
        "abs": np.abs, "sign": np.sign, "sqrt": np.sqrt, "exp": np.exp, "log": np.log,
        "log10": np.log10, "log2": np.log2, "floor": np.floor, "ceil": np.ceil,
        "isfinite": np.isfinite, "minimum": np.minimum, "maximum": np.maximum, "clip": np.clip,
        "where": np.where, "diff": np.diff, "cumsum": np.cumsum,
        "round": lambda v, digits=0: np.round(v, int(digits)),
        "close": lambda a, b, tolerance: np.abs(np.asarray(a) - b) <= tolerance,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        if name in row_by_row:
            if name == "diff":
                return np.diff(x)
            return row_by_row[name](*[np.asarray(a) for a in arguments])
        return _reductions()[name](x, *[np.atleast_1d(np.asarray(a)) for a in rest])


def _reductions() -> dict[str, Any]:
    import numpy as np

    def ranks(v: Any) -> Any:
        _, inverse, counts = np.unique(v, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # ties share their mean rank

    def correlation(y: Any, x: Any) -> Any:
        return np.corrcoef(y.astype(float), x.astype(float))[0, 1]

    return {
        "mean": np.mean, "std": np.std, "var": np.var, "min": np.min, "max": np.max,
        "sum": np.sum, "product": np.prod, "count": np.size, "median": np.median,
        "all": np.all, "any": np.any, "norm": np.linalg.norm, "share": np.mean,
        "sem": lambda x: np.std(x, ddof=1) / np.sqrt(x.size) if x.size > 1 else np.float64("nan"),
        "spread": lambda x: np.std(x) / np.abs(np.mean(x)),
        "range": lambda x: np.max(x) - np.min(x),
        "unique": lambda x: len(np.unique(x)),
        "quantile": lambda x, q: np.quantile(x, float(q[0])),
        "iqr": lambda x: np.quantile(x, 0.75) - np.quantile(x, 0.25),
        "first": lambda x: x[0],
        "last": lambda x: x[-1],
        "slope": lambda y, x: np.polyfit(x.astype(float), y.astype(float), 1)[0],
        "correlation": correlation,
        "trend": lambda y, x: correlation(ranks(y), ranks(x)),
        "increasing": lambda x: bool(np.all(np.diff(x) > 0)),
        "decreasing": lambda x: bool(np.all(np.diff(x) < 0)),
        "geomean": lambda x: np.exp(np.mean(np.log(x))),
    }  # fmt: skip
