"""Places: where keys, values and tables stand in a TOML text."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.language.places import Places

TEXT = """\
# A comment with = and [brackets]
title = "x" # é

[probes.llc]
use = "llc"
sizes = [1, # one
  22, [3, 4],
]
options = { inner = { depth = 3, "odd key" = 4 }, last = 5 } # done
dotted.key.name = 6

[data]
points.use = "points"

[[items]]
a = 1

[[items]]
a = 2

["quoted table".'x']
"é" = "漢"
b = "🎲"
"""


def at(text: str, where: tuple[str | int, ...], what: str = "value") -> str:
    """Return the text that stands at a place."""
    line, column = Places(text).find(where, what)
    return text.split("\n")[line - 1][column - 1 :]


@pytest.mark.parametrize(
    ("where", "what", "starts"),
    [
        (("title",), "value", '"x" #'), (("title",), "key", "title ="),
        (("probes", "llc"), "table", "probes.llc]"), (("probes", "llc", "use"), "value", '"llc"'),
        (("probes", "llc", "sizes", 0), "value", "1, # one"),
        (("probes", "llc", "sizes", 1), "value", "22,"),
        (("probes", "llc", "sizes", 2, 1), "value", "4],"),
        (("probes", "llc", "options", "inner", "depth"), "value", "3, "),
        (("probes", "llc", "options", "inner", "depth"), "key", "depth = 3"),
        (("probes", "llc", "options", "inner", "odd key"), "value", "4 }"),
        (("probes", "llc", "options", "last"), "key", "last = 5"),
        (("probes", "llc", "dotted", "key", "name"), "value", "6"),
        (("probes", "llc", "dotted", "key"), "key", "dotted.key.name"),
        (("data", "points"), "table", "points.use"),
        (("data", "points", "use"), "value", '"points"'),
        (("items", 1, "a"), "value", "2"), (("items", 0, "a"), "key", "a = 1"),
        (("quoted table", "x", "é"), "value", '"漢"'),
        (("quoted table", "x", "b"), "value", '"🎲"'),
        (("probes",), "key", "probes.llc]"),
    ],
)  # fmt: skip
def test_a_place_is_that_of_the_token(where: Any, what: str, starts: str) -> None:
    assert at(TEXT, where, what).startswith(starts)


@pytest.mark.parametrize(
    ("where", "starts"),
    [
        (("probes", "llc", "missing"), "probes.llc]"),
        (("probes", "llc", "options", "inner", "no"), "inner ="),
        (("probes", "llc", "sizes", 9), "sizes ="), (("nowhere", "at", "all"), "# A comment"),
        (("probes", "other"), "probes.llc]"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_placed_at_the_nearest_parent(where: Any, starts: str) -> None:
    assert at(TEXT, where).startswith(starts)


def test_columns_are_counted_in_characters() -> None:
    assert Places('"é" = { "漢字" = 1, b = 2 }\n').find(("é", "b")) == (1, 23)


def test_broken_text_is_placed_as_far_as_it_can_be_read() -> None:
    assert Places("a = 1\n[b\nc = 2\n").find(("a",)) == (1, 5)
    assert Places("").find(("a", "b")) == (1, 1)


_WORD = st.text("abcxyz_", min_size=1, max_size=4)
_VALUE = st.recursive(
    st.integers(0, 999) | st.booleans(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


def toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return str(value).lower()


@given(
    st.dictionaries(
        _WORD, st.dictionaries(_WORD, _VALUE, min_size=1, max_size=3), min_size=1, max_size=4
    )
)
def test_every_value_of_any_file_is_found(tables: dict[str, dict[str, Any]]) -> None:
    text = "".join(
        f"[{table}] # {table}\n"
        + "".join(f"  {key} =  {toml(value)} # é\n" for key, value in rows.items())
        for table, rows in tables.items()
    )
    assert tomllib.loads(text) == tables
    places = Places(text)
    lines = text.split("\n")

    def check(value: Any, where: tuple[str | int, ...]) -> None:
        line, column = places.find(where)
        assert lines[line - 1][column - 1 :].startswith(toml(value))
        for position, inner in enumerate(value if isinstance(value, list) else []):
            check(inner, (*where, position))

    for table, rows in tables.items():
        for key, value in rows.items():
            check(value, (table, key))
