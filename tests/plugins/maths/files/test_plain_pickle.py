"""Pickles of plain values: others read what we write, we read what others write, nothing runs."""

import collections
import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.maths.files.plain_pickle import dumps, loads

NUMBERS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
PLAIN = st.recursive(
    NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(NUMBERS, inner), max_leaves=12
)
RESULTS = {
    "x_train": np.linspace(-1, 1, 17),
    "results": {1.0: {100: {10: {"y": np.arange(6.0).reshape(2, 3), "rms": 0.1}}}, 2.0: {}},
    "names": ["a", "b"],
}


def same(one: Any, other: Any) -> bool:
    if isinstance(other, np.ndarray):
        return (
            isinstance(one, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
        )
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in other)
    if isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(type(one) is type(other) and one == other)


@given(PLAIN)
@settings(deadline=None, max_examples=50)
def test_python_reads_what_is_written(value: Any) -> None:
    assert same(pickle.loads(dumps(value)), value)


@given(PLAIN, st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
@settings(deadline=None, max_examples=50)
def test_what_python_writes_is_read(value: Any, protocol: int) -> None:
    assert same(loads(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [np.arange(5), np.eye(3, dtype=np.float32)[::-1],
     np.asfortranarray(np.arange(6.0).reshape(2, 3)),
     np.array([True, False]), np.zeros((0, 4)), np.array(2.5), np.arange(3, dtype=">f8")],
    ids=str,
)  # fmt: skip
def test_arrays_of_every_protocol_are_read(protocol: int, array: np.ndarray) -> None:
    found = loads(pickle.dumps({"a": array, "again": [array, np.float64(0.5)]}, protocol))
    assert same(found["a"], array)
    assert same(found["again"][0], array)
    assert found["again"][1] == 0.5


def test_nested_results_go_out_and_come_back() -> None:
    assert same(pickle.loads(dumps(RESULTS)), RESULTS)
    assert same(loads(dumps(RESULTS)), RESULTS)
    assert dumps(RESULTS) == dumps(RESULTS)
    nested = collections.defaultdict(dict, {1.0: collections.OrderedDict(a=1)})
    assert loads(pickle.dumps(nested)) == {1.0: {"a": 1}}
    assert math.isnan(loads(dumps(float("nan"))))


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path: Path, how: Any = os.mkdir) -> None:
        self.path, self.how = path, how

    def __reduce__(self) -> Any:
        return self.how, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("how", [os.mkdir, os.system, eval, exec, open, __import__, np.fromfile])
def test_nothing_that_is_called_by_a_pickle_is_called(
    tmp_path: Path, protocol: int, how: Any
) -> None:
    content = pickle.dumps({"fine": 1, "trap": [Trap(tmp_path / "trap", how)]}, protocol)
    with pytest.raises(ValueError, match=r"this pickle names '.*'; only containers"):
        loads(content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [np.array([{}], dtype=object), np.zeros(2, dtype=[("a", "f8")]), Path("x"), 1j, len, int,
     collections.Counter("a")],
    ids=repr,
)  # fmt: skip
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="this pickle"):
        loads(pickle.dumps([value]))


@pytest.mark.parametrize(
    "content",
    [b"", b".", b"]", b"(.", b"junk", b"cos\nsystem\n(S'true'\ntR.", b"cnumpy\narray\n.",
     b"cnumpy\narray\n)R.", b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.", b"h\x05.", b"}b.",
     b"(lp0\ng0\na."[:-1], b"i\n\n(."],
)  # fmt: skip
def test_damage_is_told_and_never_obeyed(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"this pickle"):
        loads(content)


def test_what_cannot_be_written_plainly_is_refused() -> None:
    with pytest.raises(TypeError, match="a Path"):
        dumps({"a": Path()} if type(Path()).__name__ == "Path" else {"a": _named_path()})
    with pytest.raises(TypeError, match="an array of object"):
        dumps(np.array([{}], dtype=object))


def _named_path() -> Any:
    return type("Path", (), {})()
