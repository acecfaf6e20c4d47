"""What a record may say: the shape of its fields, and of the descriptions of what a node gave.

Records are read from files that anyone may have written, so each is looked through when it is
parsed. Nothing is imported for it, and no content is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # what moves terminals
DTYPES = frozenset(
    ["text", "bool", *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64))]
    + [f"float{n}" for n in (16, 32, 64)]
)  # of the columns of a table that lies in its record
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "label": str, "cell": dict, "parameters": dict, "seed": (int, type(None)), "inputs": dict,
    "outputs": dict, "seconds": (int, float), "log": str, "made": dict,
}  # fmt: skip
_MADE: dict[str, type | tuple[type, ...]] = {
    "run": str, "at": str, "use": str, "device": str, "threads": int, "host": str, "pid": int,
    "python": str, "versions": dict, "code": dict,
}  # fmt: skip


def check_record(record: Mapping[str, Any]) -> None:
    """Check the fields of a record, and that its outputs lie in its own objects.

    Raises: ValueError saying what is wrong.
    """
    _check_fields(record, _FIELDS)
    made = record["made"]
    _check_fields(made, _MADE)
    for name, texts in (("versions", made["versions"]), ("code", made["code"])):
        if not all(isinstance(text, str) and not _CONTROL.search(text) for text in texts.values()):
            raise ValueError(f"{name} does not hold text alone")
    shown = [record["label"], *(made[name] for name, kind in _MADE.items() if kind is str)]
    if any(map(_CONTROL.search, shown)):  # they are printed to terminals
        raise ValueError("its text holds control characters")
    for digest in digests(record["outputs"]):
        if digest not in record["objects"]:
            raise ValueError(f"its outputs name {digest[:12]}, which is none of its objects")


def digests(outputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield the objects in which described outputs lie.

    Raises: ValueError when the description has not the shape of a known type.
    """
    if outputs.get("type") == "Outputs":
        for described in _table(outputs, "outputs").values():
            yield from _digests(described)
    else:
        yield from _digests(outputs)


def _digests(described: Any) -> Iterator[str]:
    kind = described.get("type") if isinstance(described, dict) else None
    check = _KINDS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise ValueError(f"an output is of no known type, {str(kind)[:40]!r}")
    yield from check(described)


def _check_fields(values: Mapping[str, Any], fields: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, kinds in fields.items():
        value = values.get(name, fields)  # a table that no field may be stands for a missing one
        right = value is not fields and isinstance(value, kinds)
        if not right or (isinstance(value, bool) and kinds is not bool):
            raise ValueError(f"{name} is missing or of a wrong type")


def _digest(described: Mapping[str, Any], name: str) -> str:
    value = described.get(name)
    if not (isinstance(value, str) and DIGEST.fullmatch(value)):
        raise ValueError(f"{name} of a {described['type']} is no digest")
    return value


def _table(described: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = described.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} of a {described['type']} is no table")
    return value


def _of_table(described: Mapping[str, Any]) -> Iterator[str]:
    if "content" in described:
        yield _digest(described, "content")
        return
    for column in _table(described, "columns").values():
        if not isinstance(column, dict) or not isinstance(column.get("values"), list):
            raise ValueError("a column has no values")
        if not isinstance(column.get("dtype"), str) or column["dtype"] not in DTYPES:
            raise ValueError("a column is neither numbers nor booleans nor text")


def _of_verdict(described: Mapping[str, Any]) -> Iterator[str]:
    _check_fields(described, {"holds": bool, "check": str, "detail": str, "judged": bool})
    worst = _table(described, "worst")
    texts = (described["check"], described["detail"], *worst, *worst.values())
    if any(_CONTROL.search(text) for text in texts if isinstance(text, str)):
        raise ValueError("its text holds control characters")
    for value in worst.values():
        if isinstance(value, list) or (isinstance(value, dict) and list(value) != ["float"]):
            raise ValueError("worst of a Verdict holds more than single values")
    yield from ()


def _of_model(described: Mapping[str, Any]) -> Iterator[str]:
    _check_fields(described, {"use": str, "parameters": dict})
    yield from ()


def _of_network(described: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_model({"type": "Network", **_table(described, "architecture")})
    yield _digest(described, "weights")


def _of_trained(described: Mapping[str, Any]) -> Iterator[str]:
    checkpoints = _table(described, "checkpoints")
    if not all(step.isdecimal() and step.isascii() and len(step) < 19 for step in checkpoints):
        raise ValueError("a checkpoint has no number")
    for network in [*checkpoints.values(), described.get("best"), described.get("last")]:
        yield from _one(network, "Network")
    yield from _one(described.get("history"), "Table")


def _one(described: Any, kind: str) -> Iterator[str]:
    if not isinstance(described, dict) or described.get("type") != kind:
        raise ValueError(f"a part of a Trained is no {kind}")
    yield from _digests(described)


def _of_files(described: Mapping[str, Any]) -> Iterator[str]:
    contents = _table(described, "contents")
    for suffix in contents:
        yield _digest({"type": "Files", **contents}, suffix)


def _of_arrays(described: Mapping[str, Any]) -> Iterator[str]:
    for names in _table(described, "dimensions").values():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("dimensions of an Arrays are no names")
    yield _digest(described, "content")


def _of_data(described: Mapping[str, Any]) -> Iterator[str]:
    _table(described, "about")
    yield _digest(described, "content")


_KINDS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "Table": _of_table, "Verdict": _of_verdict, "Model": _of_model, "Network": _of_network,
    "Trained": _of_trained, "Files": _of_files, "Arrays": _of_arrays, "Dataset": _of_data,
    "Split": _of_data,
}  # fmt: skip
