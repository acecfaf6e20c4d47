"""Every travelling value survives the store to the bit, and nothing that is stored can execute."""

from __future__ import annotations

import ast
import io
import math
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.arrays import LazyArray
from runner.errors import StoreError
from runner.registry import Registry
from runner.storage.codec import INLINE, Reader, Writer
from runner.storage.store import Store
from runner.types import Arrays, Dataset, Files, Network, Split, Table, Trained, Verdict

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("codec") / "store")


@pytest.fixture
def registry(shared_world: Any) -> Registry:
    return Registry.of(shared_world.folder)


def described(store: Store, value: Any) -> tuple[Any, dict[str, int]]:
    """Return a value's description as a record gives it back, and its objects."""
    import json

    writer = Writer(store)
    description = writer.describe(value)
    return json.loads(json.dumps(description, allow_nan=False)), writer.objects


def loaded(store: Store, value: Any, registry: Any = None, *part: Any) -> Any:
    description, _ = described(store, value)
    return Reader(Store(store.folder), registry).load(description, *part)


def same(first: Any, second: Any) -> bool:
    """Whether two arrays are equal, in type, shape and the sign of zeros too."""
    first, second = np.asarray(first), np.asarray(second)
    if first.dtype.kind in "UO":
        return bool(first.shape == second.shape and first.tolist() == second.tolist())
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.kind == "f":
        numbers = ~np.isnan(first)
        if not np.array_equal(np.signbit(first)[numbers], np.signbit(second)[numbers]):
            return False
    return np.array_equal(first, second, equal_nan=first.dtype.kind in "fc")


def same_table(first: Table, second: Table) -> bool:
    return list(first.columns) == list(second.columns) and all(
        same(first.columns[name], second.columns[name]) for name in first.columns
    )


# -- tables --------------------------------------------------------------------------------------

INT64 = st.integers(-(2**63), 2**63 - 1)
CELLS = {
    "float": st.floats(),
    "int": INT64 | st.sampled_from([-(2**63), 2**63 - 1]),
    "bool": st.booleans(),
    "text": st.text(st.characters(codec="utf-8"), max_size=6),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 5))
    names = draw(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=5), unique=True, max_size=4)
    )
    dtypes = {"float": np.float64, "int": np.int64, "bool": np.bool_, "text": object}
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(sorted(CELLS)))
        values = draw(st.lists(CELLS[kind], min_size=rows, max_size=rows))
        columns[name] = np.asarray(values, dtype=dtypes[kind])
    return Table(columns)


@given(tables())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_table_in_its_record_comes_back_to_the_bit(store: Store, table: Table) -> None:
    description, objects = described(store, table)
    assert objects == {}
    assert same_table(Reader(store, None).load(description), table)  # type: ignore[arg-type]


@given(tables())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_a_large_table_comes_back_as_a_small_one_does(store: Store, table: Table) -> None:
    """Tables beyond INLINE values travel as Parquet; nobody may notice."""
    if not table.columns or not len(table):
        return
    rows = INLINE + 1
    large = Table({n: np.resize(np.asarray(v), rows) for n, v in table.columns.items()})
    description, objects = described(store, large)
    assert len(objects) == 1
    back = Reader(store, None).load(description)  # type: ignore[arg-type]
    small = Reader(store, None).load(described(store, table)[0])  # type: ignore[arg-type]
    assert same_table(back, large)
    assert {n: np.asarray(v).dtype for n, v in back.columns.items()} == {
        n: np.asarray(v).dtype for n, v in small.columns.items()
    }


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
)
@pytest.mark.parametrize("rows", [3, INLINE + 1])
def test_every_type_of_number_keeps_its_width(store: Store, dtype: str, rows: int) -> None:
    values = np.resize(np.array([0, 1, 100]), rows).astype(dtype)
    assert same_table(loaded(store, Table({"x": values})), Table({"x": values}))


@pytest.mark.parametrize("rows", [1, INLINE + 1])
def test_plain_lists_become_columns(store: Store, rows: int) -> None:
    table = Table({"i": [1] * rows, "f": [0.1] * rows, "b": [True] * rows, "t": ["ab"] * rows})
    back = loaded(store, table)
    kinds = {name: np.asarray(values).dtype.kind for name, values in back.columns.items()}
    assert kinds == {"i": "i", "f": "f", "b": "b", "t": "O"}
    assert {name: list(values) for name, values in back.columns.items()} == dict(table.columns)


@pytest.mark.parametrize("rows", [1, INLINE + 1])
@pytest.mark.parametrize(
    "value",
    [None, ["a", None], ["a", 1], [1, None], [2**70], [b"bytes"], [1j], [[1.0, 2.0]], [object()],
     [np.datetime64("2020-01-01")]],
)  # fmt: skip
def test_a_column_of_anything_else_is_refused_by_name(store: Store, value: Any, rows: int) -> None:
    values = [None] * rows if value is None else (value * rows)[: max(rows, len(value))]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    given = array if not isinstance(values[0], list) else np.asarray(values)
    with pytest.raises((TypeError, ValueError), match="'odd'"):
        described(store, Table({"odd": given}))


def test_columns_of_unequal_length_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="unequal length"):
        described(store, Table({"a": [1], "b": [1, 2]}))


@pytest.mark.parametrize("rows", [1, INLINE + 1])
def test_a_table_of_a_frame_comes_back(store: Store, rows: int) -> None:
    import pandas as pd

    frame = pd.DataFrame({"t": ["x"] * rows, "v": [math.nan] * rows})
    back = loaded(store, Table.of(frame))
    assert list(back.columns["t"]) == ["x"] * rows
    assert np.isnan(np.asarray(back.columns["v"])).all()


# -- arrays and data -----------------------------------------------------------------------------

ARRAYS = {
    "zero_d": np.array(1.5),
    "empty": np.zeros((0, 3), np.float32),
    "matrix": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(20)[::3],
    "flags": np.array([True, False]),
    "bytes": np.arange(256, dtype=np.uint8),
    "half": np.array([1, np.nan, np.inf], np.float16),
    "complex": np.array([1 + 2j]),
    "large": np.array([2**63 - 1, -(2**63)]),
}


def same_arrays(first: Any, second: Any) -> bool:
    return list(first) == list(second) and all(same(first[n], second[n]) for n in first)


def test_arrays_come_back_to_the_bit_with_their_dimensions(store: Store) -> None:
    dimensions = {"matrix": ("row", "column"), "zero_d": ()}
    back = loaded(store, Arrays(ARRAYS, dimensions))
    assert same_arrays(back.arrays, ARRAYS)
    assert all(isinstance(array, np.ndarray) for array in back.arrays.values())
    assert dict(back.dimensions) == dimensions


def test_no_arrays_at_all_come_back(store: Store) -> None:
    assert dict(loaded(store, Arrays({}, {})).arrays) == {}
    assert dict(loaded(store, Split({}, {})).arrays) == {}
    assert dict(loaded(store, Dataset({}, {})).splits) == {}
    assert loaded(store, Dataset({"train": {}}, {})).splits == {"train": {}}


def test_a_dataset_comes_back_whole_and_split_by_split(store: Store) -> None:
    about = {"classes": ["a", "b"], "vocabulary": 3, "scale": 0.1, "nested": {"x": None}}
    splits = {"test": ARRAYS, "train": {"y": np.arange(3), "x": np.eye(3)}}
    data = Dataset(splits, about)
    back = loaded(store, data)
    assert list(back.splits) == ["test", "train"]
    assert all(same_arrays(back.splits[name], splits[name]) for name in splits)
    assert back.about == about
    part = loaded(store, data, None, "train")
    assert isinstance(part, Split)
    assert same_arrays(part.arrays, splits["train"])
    assert part.about == about
    split = loaded(store, data["train"])
    assert same_arrays(split.arrays, splits["train"])
    assert split.about == about


def test_a_split_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="validation"):
        loaded(store, Dataset({"train": {}}, {}), None, "validation")


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([None]), np.array([b"x"])])
def test_arrays_of_text_and_objects_are_refused(store: Store, value: Any) -> None:
    with pytest.raises(TypeError, match="'odd' may not hold"):
        described(store, Arrays({"odd": value}, {}))


def test_names_with_a_slash_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="'a/b'"):
        described(store, Arrays({"a/b": np.eye(2)}, {}))
    with pytest.raises(ValueError, match="'a/b'"):
        described(store, Dataset({"a/b": {"x": np.eye(2)}}, {}))


@pytest.mark.parametrize("about", [{"x": float("nan")}, {"x": {1, 2}}, {"x": np.float32(1)}])
def test_what_json_does_not_have_is_refused_in_about(store: Store, about: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Writer(store).describe(Dataset({"train": {}}, about))


# -- networks ------------------------------------------------------------------------------------


def network(registry: Registry, value: float = 1.0) -> Network:
    import torch

    model = registry.load("models", "line")(width=2)
    weights = {
        "weight": torch.full((2, 1), value),
        "bias": torch.tensor([math.nan, -0.0]),
        "count": torch.tensor(3),
    }
    return Network(model, weights)  # type: ignore[arg-type]


def same_network(first: Network, second: Network) -> bool:
    return first.architecture == second.architecture and {
        name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in first.weights.items()
    } == {name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in second.weights.items()}


def test_a_network_comes_back_with_its_architecture(store: Store, registry: Registry) -> None:
    net = network(registry)
    assert same_network(loaded(store, net, registry), net)
    assert loaded(store, net.architecture, registry) == net.architecture


def test_weights_of_every_type_and_layout_come_back(store: Store, registry: Registry) -> None:
    import torch

    base = torch.arange(6.0).reshape(2, 3)
    weights = {
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "turned": base.t(),
        "part": torch.stack([base, base + 1])[1],
        "flags": base > 2,
        "empty": torch.zeros(0),
    }
    net = Network(network(registry).architecture, weights)
    back = loaded(store, net, registry)
    assert all(torch.equal(back.weights[name], w) for name, w in weights.items())
    assert all(back.weights[name].dtype == w.dtype for name, w in weights.items())


def test_tied_weights_come_back(store: Store, registry: Registry) -> None:
    import torch

    tied = torch.arange(4.0)
    net = Network(network(registry).architecture, {"in": tied, "out": tied, "part": tied[:2]})
    back = loaded(store, net, registry)
    assert {name: w.tolist() for name, w in back.weights.items()} == {
        "in": [0.0, 1.0, 2.0, 3.0], "out": [0.0, 1.0, 2.0, 3.0], "part": [0.0, 1.0],
    }  # fmt: skip


def trained(registry: Registry) -> Trained:
    nets = {step: network(registry, float(step)) for step in (1, 20, 300)}
    history = Table({"step": np.arange(3), "loss": np.array([1.0, math.inf, math.nan])})
    return Trained(nets, nets[20], network(registry, 9.0), history)


def test_a_trained_value_comes_back_whole(store: Store, registry: Registry) -> None:
    value = trained(registry)
    back = loaded(store, value, registry)
    assert list(back.checkpoints) == [1, 20, 300]
    assert all(same_network(back.checkpoints[s], n) for s, n in value.checkpoints.items())
    assert same_network(back.best, value.best)
    assert same_network(back.last, value.last)
    assert same_table(back.history, value.history)


@pytest.mark.parametrize("wish", [1, "20", 300, "best", "last"])
def test_one_checkpoint_is_read_and_no_other(
    tmp_path: Path, registry: Registry, wish: int | str
) -> None:
    store = Store(tmp_path / "store")
    value = trained(registry)
    description, objects = described(store, value)
    named = {"best": value.best, "last": value.last}
    expected = named[str(wish)] if wish in named else value.checkpoints[int(wish)]
    _, wanted = described(store, expected)
    for digest in set(objects) - set(wanted):
        store.object_path(digest).unlink()
    back = Reader(Store(store.folder), registry).load(description, "", wish)
    assert same_network(back, expected)


def test_a_history_is_read_without_any_network(tmp_path: Path, registry: Registry) -> None:
    store = Store(tmp_path / "store")
    value = trained(registry)
    description, objects = described(store, value)
    for digest in objects:
        store.object_path(digest).unlink()
    back = Reader(Store(store.folder), registry).load(description, "history")
    assert same_table(back, value.history)


def test_a_checkpoint_that_is_not_there_is_named(store: Store, registry: Registry) -> None:
    with pytest.raises(StoreError, match="7"):
        loaded(store, trained(registry), registry, "", 7)


# -- the rest ------------------------------------------------------------------------------------


def test_files_come_back_to_the_byte(store: Store) -> None:
    files = Files({".png": bytes(range(256)), ".csv": b"", ".pdf": b"a\r\nb"})
    assert loaded(store, files) == files


@pytest.mark.parametrize("holds", [True, False])
def test_a_verdict_comes_back(store: Store, holds: bool) -> None:
    worst = {"task": "add", "alpha": 0.1, "value": math.inf, "low": -math.inf, "n": 3, "ok": False}
    verdict = Verdict(holds, "a < 1", "2 < 1", worst)
    assert loaded(store, verdict) == verdict
    nan = loaded(store, Verdict(holds, "c", "d", {"x": math.nan}))
    assert math.isnan(nan.worst["x"])


@pytest.mark.parametrize("value", [None, 3, {"a": 1}, np.eye(2), [Table({})]])
def test_what_does_not_travel_is_refused(store: Store, value: Any) -> None:
    with pytest.raises(TypeError, match="may not yield"):
        described(store, value)


# -- equal values, equal bytes -------------------------------------------------------------------


def test_equal_values_have_equal_bytes_whenever_they_are_written(
    store: Store, registry: Registry
) -> None:
    """HDF5 and others stamp the time into files unless they are told not to."""

    def values() -> list[Any]:
        data = {name: array.copy() for name, array in ARRAYS.items()}
        rows = INLINE + 1
        return [
            Arrays(data, {}),
            Dataset({"train": data, "test": data}, {}),
            Table({"x": np.arange(rows), "t": np.asarray(["a"] * rows, dtype=object)}),
            trained(registry),
        ]

    first = [described(store, value) for value in values()]
    time.sleep(1.1)  # the clock of these formats ticks in seconds
    assert [described(store, value) for value in values()] == first


def test_a_change_of_one_bit_is_another_object(store: Store) -> None:
    one = described(store, Arrays({"x": np.array([0.0])}, {}))
    assert one != described(store, Arrays({"x": np.array([-0.0])}, {}))


# -- what does not belong ------------------------------------------------------------------------


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def containers(digest: str) -> list[dict[str, Any]]:
    """Return descriptions of every type whose content is one object."""
    model = {"use": "line", "parameters": {"width": 2}}
    net = {"type": "Network", "architecture": model, "weights": digest}
    table = {"type": "Table", "content": digest}
    return [
        table,
        net,
        {"type": "Arrays", "content": digest, "dimensions": {}},
        {"type": "Dataset", "content": digest, "about": {}},
        {"type": "Split", "content": digest, "about": {}},
        {"type": "Trained", "checkpoints": {}, "best": net, "last": net, "history": table},
    ]


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("how", ["pickle", "torch", "numpy", "joblib", "garbage", "empty"])
def test_content_of_another_kind_is_refused_and_never_run(
    tmp_path: Path, registry: Registry, position: int, how: str
) -> None:
    store = Store(tmp_path / "store")
    trap = tmp_path / "trapped"
    stream = io.BytesIO()
    if how == "pickle":
        pickle.dump(Trap(trap), stream)
    elif how == "torch":
        import torch

        torch.save(Trap(trap), stream)
    elif how == "numpy":
        np.save(stream, np.array([Trap(trap)], dtype=object), allow_pickle=True)
    elif how == "joblib":
        import joblib

        joblib.dump(Trap(trap), stream)
    elif how == "garbage":
        stream.write(bytes(range(256)) * 9)
    digest, _ = store.put(stream.getvalue())
    with pytest.raises(StoreError, match="cannot be read"):
        Reader(store, registry).load(containers(digest)[position])
    assert not trap.exists()


def hdf5(build: Any) -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        build(file)
    return stream.getvalue()


def _external(where: Any) -> None:
    import h5py

    where["x"] = h5py.ExternalLink("/etc/hostname.h5", "/x")


def _soft(where: Any) -> None:
    import h5py

    where["y"] = np.eye(2)
    where["x"] = h5py.SoftLink(where.name.rstrip("/") + "/y")


def _objects(where: Any) -> None:
    import h5py

    where.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype())


def _elsewhere(where: Any) -> None:
    where.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def _virtual(where: Any) -> None:
    import h5py

    layout = h5py.VirtualLayout((2,), "f8")
    layout[:] = h5py.VirtualSource("/etc/hostname.h5", "x", (2,))
    where.create_virtual_dataset("x", layout)


def _fixed_text(where: Any) -> None:
    where.create_dataset("x", data=np.array([b"abc"]))


def _deeper(where: Any) -> None:
    where.create_group("x").create_group("z").create_dataset("w", data=np.eye(2))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "build", [_external, _soft, _objects, _elsewhere, _virtual, _fixed_text, _deeper]
)
def test_hdf5_with_links_objects_or_content_elsewhere_is_refused(
    store: Store, build: Any, inside: bool
) -> None:
    content = hdf5(lambda file: build(file.create_group("train") if inside else file))
    digest, _ = store.put(content)
    for description in containers(digest)[2:5]:
        with pytest.raises(StoreError, match="cannot be read"):
            Reader(store, None).load(description)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "description",
    [{"type": "Pickle"}, {"type": "Network", "architecture": {"use": "../x", "parameters": {}},
      "weights": "0" * 64}, {"type": "Model", "use": "os", "parameters": {}},
     {"type": "Model", "use": "line", "parameters": {"width": -1}},
     {"type": "Model", "use": "line", "parameters": {"depth": 1}},
     {"type": "Table", "content": "0" * 64}, {"type": "Table"}],
)  # fmt: skip
def test_a_description_that_makes_no_sense_is_refused(
    store: Store, registry: Registry, description: Any
) -> None:
    with pytest.raises(StoreError):
        Reader(store, registry).load(description)


def test_a_parquet_file_that_asks_for_pickled_types_is_not_obeyed(store: Store) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    field = pa.field(
        "x", pa.int64(),
        metadata={b"ARROW:extension:name": b"arrow.py_extension_type",
                  b"ARROW:extension:metadata": pickle.dumps(Trap(store.folder / "trap"))},
    )  # fmt: skip
    stream = io.BytesIO()
    pq.write_table(pa.table([pa.array([1])], schema=pa.schema([field])), stream)
    digest, _ = store.put(stream.getvalue())
    description = {"type": "Table", "content": digest}
    with _quiet():
        Reader(store, None).load(description)  # type: ignore[arg-type]
    assert not (store.folder / "trap").exists()


def _quiet() -> Any:
    import contextlib
    import warnings

    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(StoreError):
                yield

    return quiet()


# -- the source ----------------------------------------------------------------------------------

UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "shelve", "marshal", "cloudpickle", "joblib"}


def unsafe(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that could unpickle what lies on a disk."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if UNPICKLERS & {a.name.split(".")[0] for a in names}:
                yield node.lineno
            case ast.ImportFrom(module=str(m)) if m.split(".")[0] in UNPICKLERS:
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="load", value=owner), keywords=keywords):
                options = {k.arg: k.value for k in keywords}
                flag = options.get("weights_only")
                if ast.unparse(owner) == "torch" and not (
                    isinstance(flag, ast.Constant) and flag.value is True
                ):
                    yield node.lineno
            case ast.Attribute(attr="read_pickle" | "to_pickle"):
                yield node.lineno
            case ast.keyword(arg="allow_pickle", value=flag) if ast.unparse(flag) != "False":
                yield flag.lineno


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from pickle import load", "torch.load(f)", "import joblib.numpy_pickle",
     "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "pd.read_pickle(f)"],
)  # fmt: skip
def test_the_search_for_unpickling_finds_it(line: str) -> None:
    assert list(unsafe(ast.parse(line))) == [1]
    fine = "torch.load(f, weights_only=True); np.load(f); json.load(f); x.load(1)"
    assert list(unsafe(ast.parse(fine))) == []


# A runner hands parcels to its own Dask workers as messages, as loky and Dask themselves do: they
# are read from a connection, and never from a file.
MESSAGES = {"runner/computing/dask_pool.py", "runner/computing/dask_worker.py"}


def test_nothing_in_the_source_unpickles_but_messages_between_own_processes() -> None:
    files = [*(ROOT / "runner").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    assert len(files) > 40
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in files
        for line in unsafe(ast.parse(file.read_text("utf-8")))
    ]
    assert {place.partition(":")[0] for place in found} == MESSAGES
    assert len(found) == len(MESSAGES)  # each imports pickle once and does nothing else of the kind


# -- arrays that are not held ----------------------------------------------------------------------


class Made(LazyArray):
    """Rows that say their own number, made when asked for; counts the largest piece."""

    def __init__(self, rows: int, width: int) -> None:
        self.shape = rows, width
        self.dtype = np.dtype(np.float32)
        self.largest = 0

    def rows(self, start: int, stop: int) -> Any:
        self.largest = max(self.largest, stop - start)
        numbers = np.arange(start, stop, dtype=np.float32)
        return np.repeat(numbers[:, None], self.shape[1], axis=1)


def test_a_lazy_array_is_stored_in_pieces_and_read_in_rows(store: Store) -> None:
    made = Made(3000, 4096)  # 49 MB
    labels = np.arange(3000)
    data = Dataset({"train": {"x": made, "y": labels}}, {"name": "lazy"})
    back = loaded(store, data)
    assert made.largest * 4096 * 4 <= 2**24
    x = back.splits["train"]["x"]
    assert isinstance(x, LazyArray)
    assert same(back.splits["train"]["y"], labels)
    assert same(x[2990:], made[2990:])
    assert same(x[np.array([7, 2999, 7])][:, 0], np.array([7, 2999, 7], np.float32))


def test_lazy_or_not_the_content_of_the_rest_is_the_same(store: Store) -> None:
    lazy = loaded(store, Split({"x": Made(5, 3), "y": np.arange(5.0)}))
    held = loaded(store, Split({"x": Made(5, 3)[:], "y": np.arange(5.0)}))
    assert isinstance(held["x"], np.ndarray)
    assert same(np.asarray(lazy["x"]), held["x"])
    assert same(lazy["y"], held["y"])


def test_storing_a_lazy_array_twice_is_one_object(store: Store) -> None:
    first = described(store, Split({"x": Made(50, 3)}))
    assert first == described(store, Split({"x": Made(50, 3)}))
    assert not list((store.folder / "aside").iterdir())


def test_a_lazy_array_that_cannot_be_read_leaves_nothing_aside(store: Store) -> None:
    class Broken(Made):
        def rows(self, start: int, stop: int) -> Any:
            raise OSError("the file is cut short")

    with pytest.raises(OSError, match="cut short"):
        described(store, Split({"x": Broken(5, 3)}))
    assert not list((store.folder / "aside").iterdir())
