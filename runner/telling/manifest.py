"""What run.json and the history may say: read from files that anyone may have written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from runner.language.spec import CHECK_KEYS
from runner.registry import FAMILY_KEYS
from runner.storage.plain import open_plain

MOST = 2**28  # bytes of a manifest, of some million nodes
_KEYS = re.compile(r"[0-9a-f]{1,64}")
_NUMBER = (int, float)
_ANY = object()
_LINE = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*")  # is printed to terminals
_TABLE = {"*": _ANY}
_NODE = {
    "node": _LINE, "key": _LINE, "status": _LINE, "seconds": _NUMBER, "failure?": str,
    "verdict?": {"holds": bool, "check": str, "detail": str, "worst": _TABLE, "judged?": bool,
                 "*": _ANY},
    "*": _ANY,
}  # fmt: skip
_STEP = {
    "family": _LINE, "use": _LINE, "axes": [str], "reads": [str], "requires": [str], "nodes": int,
    "persist": bool, "views": [str], "*": _ANY,
}  # fmt: skip
_FAMILIES = (*FAMILY_KEYS, *CHECK_KEYS)
_BOTH = {
    "run": _LINE, "spec": _LINE, "started": _LINE, "seconds": _NUMBER, "interrupted": bool,
    "title": str, "question": str, "steps": {"*": _STEP}, "nodes": [_NODE], "rest": [_NODE],
    "views": [str], "failed": [str], "workers": int, "device": _LINE, "where?": _LINE,
    "timed_out?": bool, "partial?": {"*": str},
    "wish": {"spec": str, "profile": (str, type(None)), "sets": [str], "sweeps": [str], "*": _ANY},
    "resolved": {"axes?": _TABLE, "params?": _TABLE, **{f"{f}?": {"*": _TABLE} for f in _FAMILIES},
                 "*": _ANY},
    "*": _ANY,
}  # fmt: skip
_PAST = {**_STEP, "states": {"*": int}, "seconds": _NUMBER}
_HISTORY = {**_BOTH, "keys": _KEYS, "steps": {"*": _PAST}}


def read(path: Path) -> dict[str, Any]:
    """Return the manifest of a spec's last run.

    Raises: OSError; ValueError when it is not what a run writes.
    """
    return _checked(_json(path), _BOTH)


def read_history(path: Path) -> dict[str, Any]:
    """Return the entry of a past run; raises as `read` does."""
    return _checked(_json(path), _HISTORY)


def read_keys(folder: Path, entry: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return step -> how the keys of its nodes begin, of a past run; raises as `read` does."""
    found = _json(folder / "keys" / f"{entry['keys']}.json")
    if wrong := _misfit(found, {"*": [_LINE]}, ""):
        raise ValueError(wrong)
    return dict(found)


def views_inside(folder: Path, views: Any) -> list[str]:
    """Return those of some relative paths that are files below a folder, links followed."""
    inside = folder.resolve()
    return [view for view in views if isinstance(view, str) and _is_inside(inside, view)]


def _is_inside(folder: Path, view: str) -> bool:
    try:
        path = (folder / PurePosixPath(view)).resolve()
        return path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        return False


def _json(path: Path) -> Any:
    with open_plain(path) as stream:
        text = stream.read(MOST + 1)
    if len(text) > MOST:
        raise ValueError("it is too long to be read")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _checked(found: Any, shape: Any) -> dict[str, Any]:
    if wrong := _misfit(found, shape, ""):
        raise ValueError(wrong)
    for node in [*found["nodes"], *found["rest"]]:
        if node["node"].partition("[")[0] not in found["steps"]:
            raise ValueError(f"node {node['node']!r} is of no step")
    return dict(found)


def _misfit(value: Any, shape: Any, where: str) -> str:
    """Return where and how a value does not have a shape, empty when it has."""
    if shape is _ANY:
        return ""
    if isinstance(shape, re.Pattern):
        right = isinstance(value, str) and shape.fullmatch(value) is not None
        return "" if right else f"{where or 'it'} is of a wrong form"
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is no list"
        return next(filter(None, (_misfit(one, shape[0], where) for one in value)), "")
    if isinstance(shape, dict):
        return _table_misfit(value, shape, where)
    right = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return "" if right else f"{where} is of a wrong type"


def _table_misfit(value: Any, shape: Mapping[str, Any], where: str) -> str:
    if not isinstance(value, dict):
        return f"{where or 'it'} is no table"
    for name in shape:
        bare = name.removesuffix("?")
        if name != "*" and bare not in value and bare == name:
            return f"{where}{'.' if where else ''}{name} is missing"
    rest = shape.get("*", _ANY)
    for name, one in value.items():
        inner = shape.get(name, shape.get(f"{name}?", rest)) if name != "*" else rest
        if wrong := _misfit(one, inner, f"{where}.{name[:40]}" if where else name[:40]):
            return wrong
    return ""
