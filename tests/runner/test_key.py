"""Equal identities share a key, unequal ones do not, and what JSON lacks is refused."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.key import canonical, digest

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=4)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXT, v, max_size=4), max_leaves=12
)


def form(value: object) -> object:
    """Return a value in which 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, dict):
        return {"dict": sorted((k, repr(form(v))) for k, v in value.items())}
    if isinstance(value, list):
        return [form(v) for v in value]
    return type(value).__name__, repr(value)


@given(st.dictionaries(TEXT, VALUES), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, object], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert canonical(dict(items)) == canonical(value)
    assert digest(dict(items)) == digest(value)


@given(VALUES, VALUES)
def test_two_values_share_a_text_only_when_they_are_one(first: object, second: object) -> None:
    assert (canonical(first) == canonical(second)) == (form(first) == form(second))


@given(VALUES)
def test_the_text_reads_back_as_the_value(value: object) -> None:
    assert form(json.loads(canonical(value))) == form(value)


@given(VALUES)
def test_a_digest_is_the_sha256_of_the_text(value: object) -> None:
    assert digest(value) == hashlib.sha256(canonical(value).encode()).hexdigest()


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, 1.0), (1, True), (0, False), (0.0, -0.0), ("1", 1), (None, "null"), ([], {}),
     ([1, 2], [2, 1]), ([[1], 2], [1, [2]]), ({"a": {"b": 1}}, {"a.b": 1})],
)  # fmt: skip
def test_near_values_have_keys_of_their_own(first: object, second: object) -> None:
    assert digest(first) != digest(second)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused_at_any_depth(value: float) -> None:
    for nested in (value, [value], {"a": [{"b": value}]}):
        with pytest.raises(ValueError, match="JSON"):
            digest(nested)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="JSON"):
        digest([value])


def test_the_digest_of_a_known_value_stays_what_it_was() -> None:
    """A key that moves without a raised FORMAT would make every store forget what it holds."""
    value = {"b": [1, 1.0, True, None, "é\n"], "a": {"x": 1e-3, "y": -0.0}}
    assert canonical(value) == '{"a":{"x":0.001,"y":-0.0},"b":[1,1.0,true,null,"é\\n"]}'
    assert digest(value).startswith("8c52c5ddd1e7fc69")
