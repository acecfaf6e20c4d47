"""The expressions of -k and -m."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.running.match import parse_match


def holds(text: str, *known: str) -> bool:
    return parse_match("-k", text).holds(known.__contains__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True), ("x", False), ("not a", False), ("not x", True), ("not not a", True),
        ("a and b", True), ("a and x", False), ("a or x", True), ("x or y", False),
        ("x and y or a", True), ("a or x and y", True), ("(a or x) and y", False),
        ("not (a and x)", True), ("not a or b", True), ("((a))", True), ("", True), ("  ", True),
        ("a\tand\nb", True), ("'a' and \"b\"", True), ("'and'", False), ("(a)and(b)", True),
    ],
)  # fmt: skip
def test_words_are_joined_as_in_pytest(text: str, expected: bool) -> None:
    assert holds(text, "a", "b") is expected


def test_ids_are_one_word_and_quotes_make_one() -> None:
    match = parse_match("-k", "llc[task=add,alpha=0.3] and 'two words'")
    assert match.words == ("llc[task=add,alpha=0.3]", "two words")


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("a and", 6, "found the end"), ("and a", 1, 'found "and"'), ("(a", 3, "closing bracket"),
        ("a b", 3, 'found "b"'), ("a)", 2, 'found ")"'), ("()", 2, 'found ")"'),
        ("a or 'b", 6, "quote"), ("not", 4, "found the end"), ("(" * 60 + "a", 51, "too deeply"),
        ("not " * 60 + "a", 201, "too deeply"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_column(text: str, column: int, what: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_match("-m", text)
    assert str(error.value).startswith(f"-m {text!r}: column {column}: ")
    assert what in str(error.value)


@given(st.text(alphabet="ab()'\" andortx.[]=", max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_match("-k", text).holds("ab".__contains__)
    except UsageError:
        assert text.strip()  # an empty one is never refused


def _python(text: str) -> bool:
    return bool(eval(text, {"__builtins__": {}}, {"a": True, "b": False}))  # noqa: S307


trees = st.recursive(
    st.sampled_from(["a", "b"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda t: f"not ({t})"),
        inner.map(lambda t: f"({t})"),
    ),
    max_leaves=8,
)


@given(trees)
@settings(max_examples=200, deadline=None)
def test_precedence_is_that_of_python(text: str) -> None:
    assert holds(text, "a") is _python(text)
