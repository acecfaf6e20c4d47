"""Values <-> JSON descriptions and objects: Parquet, HDF5, safetensors; nothing executes on load.

A description is what a record holds. `load` reads one output of it and touches no other.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from runner.arrays import LazyArray
from runner.errors import StoreError
from runner.key import canonical
from runner.plugin import Model
from runner.registry import Registry, use_of
from runner.storage import hdf5, parquet
from runner.storage.described import DTYPES
from runner.storage.store import Store
from runner.types import (
    Arrays,
    Dataset,
    Files,
    Json,
    Network,
    Split,
    Table,
    Trained,
    Verdict,
)

INLINE = 512  # values; a table up to this size lies in its record
_NON_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


class Writer:
    """Describes values, writing their content to a store. `objects` collects digest -> size."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects: dict[str, int] = {}

    def describe(self, value: Any) -> Json:
        """Return the description of a travelling value, its content durable in the store."""
        match value:
            case Table():
                return self._table(value)
            case Verdict():
                worst = {name: _scalar_json(v) for name, v in value.worst.items()}
                return {
                    "type": "Verdict", "holds": value.holds, "check": value.check,
                    "detail": value.detail, "worst": worst, "judged": value.judged,
                }  # fmt: skip
            case Model():
                return {"type": "Model", **_architecture(value)}
            case Network():
                return self._network(value)
            case Trained():
                return {
                    "type": "Trained",
                    "checkpoints": {
                        str(step): self._network(network)
                        for step, network in value.checkpoints.items()
                    },
                    "best": self._network(value.best),
                    "last": self._network(value.last),
                    "history": self._table(value.history),
                }
            case Files():
                contents = {suffix: self._put(data) for suffix, data in value.contents.items()}
                return {"type": "Files", "contents": contents}
            case Arrays():
                dimensions = {name: list(names) for name, names in value.dimensions.items()}
                content = self._hdf5({"": value.arrays})
                return {"type": "Arrays", "content": content, "dimensions": dimensions}
            case Dataset():
                content = self._hdf5(value.splits)
                return {"type": "Dataset", "content": content, "about": _about(value.about)}
            case Split():
                content = self._hdf5({"": value.arrays})
                return {"type": "Split", "content": content, "about": _about(value.about)}
        raise TypeError(f"a step may not yield a {type(value).__name__}")

    def _put(self, content: bytes) -> str:
        digest, size = self.store.put(content)
        self.objects[digest] = size
        return digest

    def _hdf5(self, groups: Mapping[str, Mapping[str, Any]]) -> str:
        """Write named groups of named arrays as an HDF5 file, equal for equal arrays.

        What is lazy goes there piece by piece, all else by way of memory.
        """
        if any(isinstance(array, LazyArray) for part in groups.values() for array in part.values()):
            digest, size = self.store.put_file(lambda path: hdf5.write(path, groups))
            self.objects[digest] = size
            return digest
        stream = io.BytesIO()
        hdf5.write(stream, groups)
        return self._put(stream.getvalue())

    def _table(self, table: Table) -> Json:
        lengths = {name: len(values) for name, values in table.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of unequal length: {lengths}")
        columns = {name: _column(name, values) for name, values in table.columns.items()}
        if len(table) * len(lengths) <= INLINE:
            texts = {name: _column_json(array) for name, array in columns.items()}
            return {"type": "Table", "columns": texts}
        stream = io.BytesIO()
        Table(columns).frame.to_parquet(stream, engine="pyarrow", index=False)
        return {"type": "Table", "content": self._put(stream.getvalue())}

    def _network(self, network: Network) -> Json:
        from safetensors.torch import save

        # Tied weights share memory, which the format refuses: each is written as a copy.
        weights = {n: w.detach().cpu().clone().contiguous() for n, w in network.weights.items()}
        return {
            "type": "Network",
            "architecture": _architecture(network.architecture),
            "weights": self._put(save(weights)),
        }


def _architecture(model: Model) -> Json:
    return {"use": use_of(type(model)), "parameters": model.model_dump(mode="json")}


def _column(name: str, values: Any) -> Any:
    """Return a column as an array of numbers or booleans, or of objects that are all text."""
    import numpy as np

    array = np.asarray(values)
    if array.dtype.kind in "UO":
        array = np.asarray(values, dtype=object)  # the type U would drop trailing zeros of text
        odd = [type(v).__name__ for v in array.flat if not isinstance(v, str)]
    else:
        plain = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
        odd = [] if plain else [array.dtype.name]
    if array.ndim != 1:
        odd = [f"arrays of shape {array.shape[1:]}"]
    if odd:
        raise TypeError(
            f"column {name!r} may not hold {odd[0]}; a column is all numbers (nan for a missing "
            "one), all booleans or all text"
        )
    return array


def _column_json(array: Any) -> Json:
    return {
        "dtype": "text" if array.dtype.kind == "O" else array.dtype.name,
        "values": [_scalar_json(v) for v in array.tolist()],
    }


def _about(about: Mapping[str, Json]) -> Json:
    """Return what is known of data, refused here if a record could not hold it."""
    return json.loads(canonical(dict(about)))


def _scalar_json(value: Any) -> Json:
    if isinstance(value, float) and value - value != 0:  # nan and both infinities
        return {"float": str(value)}
    return value


def _scalar(value: Json) -> Any:
    return _NON_FINITE[value["float"]] if isinstance(value, dict) else value


class Reader:
    """Reads described values from a store; `registry` finds the architectures of networks."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry

    def load(self, description: Json, output: str = "", checkpoint: Any = None) -> Any:
        """Return the value of a description, or of one part of it.

        Raises: StoreError when the content is missing, damaged or not what it should be.
        """
        try:
            return self._load(part(description, output, checkpoint), output)
        except StoreError:
            raise
        except Exception as error:  # each format has errors of its own
            raise StoreError(
                f"stored {description.get('type')} cannot be read: {type(error).__name__}: {error}"
            ) from error

    def _load(self, described: Json, output: str) -> Any:
        match described["type"]:
            case "Table":
                return self._table(described)
            case "Verdict":
                worst = {name: _scalar(v) for name, v in described["worst"].items()}
                return Verdict(
                    described["holds"], described["check"], described["detail"], worst,
                    described["judged"],
                )  # fmt: skip
            case "Model":
                return self._model(described)
            case "Network":
                return self._network(described)
            case "Trained":
                return Trained(
                    {int(s): self._network(n) for s, n in described["checkpoints"].items()},
                    self._network(described["best"]),
                    self._network(described["last"]),
                    self._table(described["history"]),
                )
            case "Files":
                contents = described["contents"].items()
                return Files({s: self.store.read(d).read_bytes() for s, d in contents})
            case "Arrays":
                dimensions = {n: tuple(names) for n, names in described["dimensions"].items()}
                return Arrays(self._arrays(described["content"]), dimensions)
            case "Dataset":
                groups = self._groups(described["content"], output or None)
                if output:
                    return Split(groups[output], described["about"])
                return Dataset(groups, described["about"])
            case "Split":
                return Split(self._arrays(described["content"]), described["about"])
        raise KeyError(f"unknown type {described['type']!r}")

    def _table(self, described: Json) -> Table:
        import numpy as np

        if "content" in described:
            return parquet.load(self.store.read(described["content"]))
        columns = {}
        for name, column in described["columns"].items():
            values = [_scalar(v) for v in column["values"]]
            dtype = object if column["dtype"] == "text" else column["dtype"]
            if column["dtype"] not in DTYPES:
                raise ValueError(f"column {name!r} is of no known type")
            columns[name] = _column(name, np.asarray(values, dtype=dtype))
        return Table(columns)

    def _model(self, described: Json) -> Model:
        cls = self.registry.load("models", described["use"])
        model = cls.model_validate_json(canonical(described["parameters"]), strict=True)
        if not isinstance(model, Model):
            raise KeyError(f"{described['use']} is not a model")
        return model

    def _network(self, described: Json) -> Network:
        from safetensors.torch import load_file

        weights = load_file(self.store.read(described["weights"]))
        return Network(self._model(described["architecture"]), weights)

    def _arrays(self, digest: str) -> dict[str, Any]:
        return self._groups(digest).get("", {})

    def _groups(self, digest: str, only: str | None = None) -> hdf5.Groups:
        return hdf5.read(self.store.read(digest), only)


def part(description: Json, output: str, checkpoint: Any) -> Json:
    """Return the part of a stored description that one output, at one checkpoint, is read from.

    Raises: StoreError when there is no such part.
    """
    try:
        return _part(description, output, checkpoint)
    except (KeyError, TypeError) as error:
        name = ".".join(str(p) for p in (output, checkpoint) if p not in ("", None)) or "its output"
        message = f"a stored {str(description.get('type'))[:40]} has no {name}: no run wrote it"
        raise StoreError(f"{message}; choose another --artifacts folder") from error


def _part(description: Json, output: str, checkpoint: Any) -> Json:
    if description["type"] == "Outputs":
        description = description["outputs"][output]
    if description["type"] == "Trained":
        if output == "history":
            return description["history"]
        if checkpoint in ("best", "last"):
            return description[checkpoint]
        if checkpoint is not None:
            return description["checkpoints"][str(checkpoint)]
    return description
