"""Tables as Parquet, read in parts, so that no file of a stranger fills the memory.

Text is read by the words that occur, each held once however often it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.types import Table

EXPANDED = 2**30  # bytes; what a table may take in memory however small its file is
PART = 2**16  # rows that are read at once


@dataclass
class Room:
    """How many bytes arrays may take in memory: what is stored is not compressed."""

    left: int

    def take(self, name: str, size: int) -> None:
        """Take some; ValueError when none is left."""
        self.left -= size
        if self.left < 0:
            raise ValueError(f"{name!r} has more bytes in memory than in its file")


def load(path: Path) -> Table:
    """Return a stored table.

    Raises: ValueError where it holds what no table of ours does; the errors of the format.
    """
    import numpy as np
    from pyarrow.parquet import ParquetFile

    size = path.stat().st_size
    room = Room(max(EXPANDED, 100 * size))
    with ParquetFile(path) as file:
        words = _text_columns(file)
    with ParquetFile(path, read_dictionary=words) as file:
        names = file.schema_arrow.names
        parts: dict[str, list[Any]] = {name: [] for name in names}
        for batch in file.iter_batches(batch_size=PART):
            room.take("a table", 8 * batch.num_rows * batch.num_columns)
            for name, column in zip(names, batch.columns, strict=True):
                parts[name].append(_texts(column) if name in words else _numbers(name, column))
        kinds = dict(zip(names, file.schema_arrow.types, strict=True))
    nothing = {n: np.empty(0, object if n in words else kinds[n].to_pandas_dtype()) for n in names}
    return Table({name: np.concatenate([nothing[name], *parts[name]]) for name in names})


def _text_columns(file: Any) -> list[str]:
    """Return the columns of text; refuse what is neither text nor numbers nor written by us."""
    import pyarrow as pa

    schema = file.schema_arrow
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("two columns have one name")
    for field in schema:
        plain = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, _is_text
        if not any(is_a(field.type) for is_a in plain):
            raise ValueError(f"column {field.name!r} is of type {field.type}")
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        used = {group.column(at).compression for at in range(group.num_columns)}
        if not used <= {"SNAPPY", "UNCOMPRESSED"}:  # others shrink a gigabyte to nothing
            raise ValueError(f"it is compressed by {', '.join(sorted(used))}")
    return [field.name for field in schema if _is_text(field.type)]


def _texts(column: Any) -> Any:
    """Return a column of words as an array of objects, equal words being one object."""
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        raise ValueError("a text is missing")
    places, which = np.unique(column.indices.to_numpy(), return_inverse=True)
    words = column.dictionary.take(pa.array(places)).to_pylist()
    return np.fromiter(words, dtype=object, count=len(words))[which]


def _numbers(name: str, column: Any) -> Any:
    import pyarrow as pa

    if column.null_count and not pa.types.is_floating(column.type):
        raise ValueError(f"column {name!r} lacks values")
    return column.to_numpy(zero_copy_only=False)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
