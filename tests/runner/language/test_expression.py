"""The expression language: what it computes, what it refuses."""

import ast
import math
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.language.expression import (
    FUNCTIONS,
    ExpressionError,
    check_names,
    evaluate,
    is_claim,
    parse,
)

X = np.array([3.0, -1.0, 2.0, 2.0, 7.5])
Y = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
TABLE = {"x": X, "y": Y, "ok": X > 0, "name": np.array(["a", "b", "a", "c", "b"], dtype=object)}

VALUES: dict[str, Any] = {
    "mean(x)": X.mean(), "std(x)": X.std(), "var(x)": X.var(), "sem(x)": X.std(ddof=1) / 5**0.5,
    "spread(x)": X.std() / abs(X.mean()), "min(x)": -1.0, "max(x)": 7.5, "range(x)": 8.5,
    "sum(x)": 13.5, "product(y)": 1024.0, "count(x)": 5, "unique(x)": 4, "median(x)": 2.0,
    "quantile(x, 0.3)": np.quantile(X, 0.3), "iqr(x)": np.subtract(*np.quantile(X, [0.75, 0.25])),
    "first(x)": 3.0, "last(x)": 7.5, "share(ok)": 0.8, "share(x > 2)": 0.4, "all(ok)": False,
    "any(ok)": True, "slope(2 * y + 3, y)": 2.0, "correlation(-y, y)": -1.0,
    "trend(y ** 3, y)": 1.0,
    "increasing(y)": True, "decreasing(y)": False, "decreasing(-y)": True, "geomean(y)": 4.0,
    "norm(x)": np.linalg.norm(X), "sum(diff(x))": 4.5, "last(cumsum(x))": 13.5, "abs(-3)": 3,
    "sum(sign(x))": 3.0, "sqrt(16)": 4.0, "exp(0)": 1.0, "log(e)": 1.0, "log10(1000)": 3.0,
    "log2(8)": 3.0, "floor(2.7)": 2.0, "ceil(2.2)": 3.0, "round(2.567, 2)": 2.57, "round(2.5)": 2.0,
    "all(isfinite(x))": True, "sum(minimum(x, y))": 11.5, "max(maximum(x, y))": 16.0,
    "sum(clip(x, 0, 3))": 10.0, "sum(where(x > 2, 1, 0))": 2, "close(1, 1.05, 0.1)": True,
    "2 ** 3 ** 2": 512.0, "-2 ** 2": -4.0, "7 // 2": 3.0, "7 % 4": 3.0, "1 < 2 < 3": True,
    "1 < 2 < 2": False, "not 1 > 2": True, "pi": math.pi, "tau / pi": 2.0, "true and false": False,
    "true or false": True, "1 == 1.0": True, "sum(name == 'a')": 2, "sum(name != 'a')": 3,
    "1/2": 0.5, "+3": 3,
}  # fmt: skip


@pytest.mark.parametrize("text", VALUES)
def test_an_expression_has_the_value_that_numpy_gives(text: str) -> None:
    assert np.asarray(evaluate(parse(text), TABLE)).item() == pytest.approx(VALUES[text], rel=1e-12)


def test_every_function_is_tried_above() -> None:
    used = {
        n.func.id
        for text in VALUES
        for n in ast.walk(ast.parse(text))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert used == set(FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not an expression"), ("1 +", "is not an expression"), ("a b",
        "is not an expression"),
        ("x[0]", "may not contain 'x[0]'"), ("(1, 2)", "may not contain '(1, 2)'"),
        ("[1]", "may not contain '[1]'"), ("{}", "may not contain '{}'"), ("a.b.c", "a.b.c"),
        ("'a'.upper()", "may not contain"), ("x.mean()", "may not contain"), ("f'{x}'",
        "may not contain"),
        ("lambda: 1", "may not contain"), ("1 if x else 2", "may not contain"),
        ("[i for i in x]", "may not contain"), ("x := 1", "is not an expression"),
        ("(y := 1)", "may not contain"), ("x is y", "may not contain"), ("x in y",
        "may not contain"),
        ("~x", "may not contain"), ("x & y", "may not contain"), ("x @ y", "may not contain"),
        ("None", "may not contain 'None'"), ("1j", "may not contain '1j'"), ("b'x'",
        "may not contain"),
        ("...", "may not contain"), ("mean(x=1)", "may not contain"), ("mean(*x)",
        "may not contain"),
        ("mean()", "mean() takes 1 argument(s), 0 given (arithmetic mean)"),
        ("clip(x, 1)", "clip() takes 3 argument(s), 2 given"), ("maen(x)", 'did you mean "mean"?'),
        ("round(1, 2, 3)", "round() takes 1 to 2 argument(s)"),
        ("__import__('os')", 'no function "__import__"'), ("eval('1')", 'no function "eval"'),
        ("x" * 2001, "longer than 2000"), ("-" * 1900 + "1", "nested too deeply"),
        ("import os", "is not an expression"), ("1; 2", "is not an expression"),
        ("x\x00", "is not an expression"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_language_is_refused_when_read(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in str(caught.value)


@given(st.text(max_size=60))
def test_reading_never_executes_and_ends_in_a_tree_or_an_error(text: str) -> None:
    before = dict(os.environ)
    try:
        tree = parse(text).tree
    except ExpressionError:
        return
    finally:
        assert dict(os.environ) == before
    known = (
        ast.Constant, ast.Name, ast.Attribute, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare,
        ast.Call, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
    )  # fmt: skip
    assert all(isinstance(node, known) for node in ast.walk(tree))


_LEAF = st.sampled_from(["x", "y", "2", "0.5", "3"])
_TREES = st.recursive(
    _LEAF,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(
            lambda p: f"({' '.join(p)})"
        )
        | st.tuples(st.sampled_from(["abs", "sqrt", "exp", "sign", "floor"]), inner).map(
            lambda p: f"{p[0]}({p[1]})"
        )
        | inner.map(lambda t: f"(-{t})")
    ),
    max_leaves=6,
)


@given(_TREES, st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_arithmetic_on_columns_is_that_of_numpy(text: str, values: list[float]) -> None:
    columns = {"x": np.array(values), "y": np.array([1.0, 2.0, -3.0])}
    names = {n: getattr(np, n) for n in ("abs", "sqrt", "exp", "sign", "floor")}
    with np.errstate(all="ignore"):
        expected = eval(text, {"__builtins__": {}}, {**names, **columns, "x": columns["x"]})  # noqa: S307
        found = evaluate(parse(text), columns)
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=1e-12, equal_nan=True
    )


def test_a_column_is_seen_before_a_constant_of_its_name() -> None:
    assert evaluate(parse("sum(e)"), {"e": np.array([1.0, 2.0])}) == 3.0


def test_names_are_checked_with_near_misses() -> None:
    with pytest.raises(ExpressionError, match=r'no column "lc"; did you mean "llc"\?'):
        check_names(parse("mean(lc) < 1"), {"llc", "alpha"}, {})
    with pytest.raises(ExpressionError, match=r'no slice "sii"; did you mean "si"\?'):
        check_names(parse("sii.llc < 1"), set(), {"si": {"llc"}})
    with pytest.raises(ExpressionError, match=r'"si" has no column "lc"'):
        check_names(parse("si.lc < 1"), set(), {"si": {"llc"}})
    check_names(parse("anything < 1"), None, {})
    check_names(parse("si.anything < 1"), set(), {"si": None})


def test_arithmetic_on_text_is_refused() -> None:
    with pytest.raises(ExpressionError, match="'name' is text, not a number"):
        evaluate(parse("name + 1"), TABLE)


@pytest.mark.parametrize("name", ["mean", "max", "first", "spread", "median"])
def test_a_reduction_of_no_rows_is_an_error(name: str) -> None:
    with pytest.raises(ExpressionError, match=rf"{name}\(\) of no rows"):
        evaluate(parse(f"{name}(x)"), {"x": np.array([])})


def test_truths_do_arithmetic_as_numbers() -> None:
    assert evaluate(parse("sum(ok) - 1"), TABLE) == 3
    assert np.asarray(evaluate(parse("1 - ok"), TABLE)).tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    "text", ["x < 1", "ok", "s.ok", "all(ok)", "not ok", "x < 1 and y > 2", "increasing(x)", "true",
             "max(ok)", "close(x, y, 1)", "where(ok, x < 1, y < 1)"]
)  # fmt: skip
def test_a_claim_may_be_true_or_false(text: str) -> None:
    assert is_claim(parse(text).tree)


@pytest.mark.parametrize(
    "text", ["1", "x + 1", "mean(x)", "'text'", "-x", "x < 1 and mean(y)", "not 1", "count(ok)",
    "pi",
             "max(x + 1)"]
)  # fmt: skip
def test_a_number_is_no_claim(text: str) -> None:
    assert not is_claim(parse(text).tree)
