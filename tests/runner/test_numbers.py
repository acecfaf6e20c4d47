"""Numbers written as expressions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.numbers import number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pi/2", math.pi / 2), ("-2*pi", -2 * math.pi), ("1/97", 1 / 97), ("sqrt(2)", math.sqrt(2)),
        ("log(10)", math.log(10)), ("exp(1)", math.e), ("tau", 2 * math.pi), ("2**-3", 0.125),
        (" 1e-3 ", 1e-3), ("--1", 1.0), ("1_000", 1000.0), ("-(1 - 3)", 2.0), ("7", 7.0),
    ],
)  # fmt: skip
def test_a_constant_expression_has_its_value(text: str, value: float) -> None:
    assert number(text) == value
    assert type(number(text)) is float


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "one half", "True", "'1'", "1j", "[1]", "(1, 2)", "1 if 1 else 2", "1 < 2",
        "pi.real",
        "__import__('os')", "sqrt(2, 3)", "sqrt(x=2)", "abs(1)", "lambda: 1", "f'{1}'", "1/0",
        "10**400", "sqrt(-1)", "log(0)", "(-1)**0.5", "9**9**9", "exp(1000)", "inf", "nan", "1e999",
        "0" * 101, "(" * 60 + "1" + ")" * 30, "1;2", "1\n2", "$a", "@a", "2 // 1", "5 % 2", "~1",
    ],
)  # fmt: skip
def test_what_is_no_finite_real_constant_is_refused_with_a_message(text: str) -> None:
    with pytest.raises(ValueError, match=r"number"):
        number(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives_being_written(value: float) -> None:
    assert number(repr(value)) == value


@given(st.text(max_size=30))
def test_any_text_is_a_finite_number_or_a_value_error(text: str) -> None:
    try:
        value = number(text)
    except ValueError:
        return
    assert math.isfinite(value)


@given(
    st.recursive(
        st.integers(0, 9).map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        max_leaves=8,
    )
)
def test_arithmetic_is_that_of_floats(text: str) -> None:
    if len(text) <= 100:
        assert number(text) == float(eval(text))  # noqa: S307  # digits and + - * only
