"""A resolved spec as TOML text, for people to read and to run again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_DEPTH = 2  # tables below [family.step] stand within their line


def toml(data: Mapping[str, Any]) -> str:
    """Return a spec's data as TOML: plain values first, then a table for each step."""
    return "\n".join(_table(data, ())).strip() + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    own = {k: v for k, v in data.items() if not (isinstance(v, Mapping) and len(path) < _DEPTH)}
    if path == ("axes",):
        own = dict(data)
    lines = []
    if own and path:
        lines += ["", f"[{'.'.join(map(_key, path))}]"]
    lines += [f"{_key(key)} = {value(item)}" for key, item in own.items()]
    for key, item in data.items():
        if key not in own:
            lines += _table(item, (*path, key))
    return lines


def value(item: Any) -> str:
    """Return a value as it stands in TOML."""
    if isinstance(item, Mapping):
        inside = ", ".join(f"{_key(k)} = {value(v)}" for k, v in item.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(item, list | tuple):
        return f"[{', '.join(map(value, item))}]"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float):
        return repr(item)
    return json.dumps(str(item), ensure_ascii=False)


def _key(key: str) -> str:
    return key if _BARE.match(key) else json.dumps(key, ensure_ascii=False)
