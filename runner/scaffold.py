"""A spec to begin with: steps of chosen plugins, wired by type, every parameter told."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from runner.bind import marked_fields
from runner.errors import UsageError, listed, near
from runner.plugin import FAMILIES, Model, Plugin, Port, Renderer, signature
from runner.registry import Registry, find_project
from runner.types import Dataset, Network, Split, Table, Trained

_GIVES = {Split: (Dataset,), Network: (Network, Trained), Table: (Table, Trained)}
_SUFFIXES = {"csv": ".csv"}
_STEPS = 1000  # of training, where a trainer must be told a number


def scaffold(file: Path, chosen: Mapping[str, Sequence[str]]) -> str:
    """Return the text of a spec with a step for each plugin, in the order of the families.

    Raises: UsageError for an unknown plugin, PluginError for a broken one.
    """
    registry = Registry.of(find_project(file.resolve().parent))
    steps: dict[str, type[Plugin]] = {}
    parts = [f"title = {json.dumps(file.stem.replace('_', ' '))}\nseed = 0\n"]
    for family in FAMILIES:
        for use in chosen.get(family, ()):
            known = registry.names(family)
            if use not in known:
                hint = near(use, known) or f" (there are: {listed(known, 12)})"
                raise UsageError(f'no plugin "{use}" in {family}{hint}')
            cls = registry.load(family, use)
            name = next(n for n in _names(use) if n not in steps)
            parts.append("\n".join(_step(name, use, cls, steps)) + "\n")
            steps[name] = cls
    if not steps:
        raise UsageError("choose at least one plugin, such as --probe llc (runner list shows all)")
    return "\n".join(parts)


def _names(use: str) -> Iterable[str]:
    yield use
    number = 2
    while True:
        yield f"{use}_{number}"
        number += 1


def _step(name: str, use: str, cls: type[Plugin], steps: Mapping[str, type[Plugin]]) -> list[str]:
    first = (cls.__doc__ or "").strip().partition("\n")[0]
    lines = [f"# {first}", f"[{cls.family}.{name}]", f'use = "{use}"']
    source: type[Plugin] | None = None
    for port in signature(cls).references.values():
        found = _reference(port, steps)
        kinds = " or ".join(kind.__name__ for kind in port.takes)
        if found is None:
            word = "REQUIRED" if port.required else "optional"
            lines.append(f'# {port.name} = "@..."  # {word}: a reference to a {kinds}')
            continue
        if Table in port.takes:
            source = steps[found.removeprefix("@").partition(".")[0]]
        lines.append(f'{port.name} = "{found}"  # {kinds}')
    needed = _needed(use, cls, source)
    for field, info in cls.model_fields.items():
        told = f"  # {info.description}" if info.description else ""
        default = info.get_default(call_default_factory=True)
        if field in needed:
            value = needed[field]
            mark = "REQUIRED: " if value is None else ""
            lead = f"# {field} = ..." if value is None else f"{field} = {_toml(value)}"
            lines.append(lead + (told.replace("# ", f"# {mark}", 1) if told else f"  # {mark}"))
        elif default is None:
            lines.append(f"# {field} = ...{told} (left open)")
        else:
            lines.append(f"# {field} = {_toml(default)}{told}")
    return lines


def _reference(port: Port, steps: Mapping[str, type[Plugin]]) -> str | None:
    """Return a reference to the last step that gives what the port takes."""
    for kind in sorted(port.takes, key=lambda kind: kind is not Model):
        for name, cls in reversed(list(steps.items())):
            for output, given in signature(cls).outputs.items():
                if not issubclass(given, _GIVES.get(kind, (kind,))):
                    continue
                inner = f".{output}" if output else ""
                if kind is Split and given is Dataset:
                    inner += f".{next(iter(getattr(cls, 'splits', ())), 'train')}"
                if kind is Table and given is Trained:
                    inner += ".history"
                return f"@{name}{inner}"
    return None


def _needed(use: str, cls: type[Plugin], source: type[Plugin] | None) -> dict[str, Any]:
    """Return values of the parameters without which the plugin is not valid; None: unknown."""
    columns = list(source.columns) if source else []
    names = marked_fields(cls)[1]
    needed: dict[str, Any] = {}
    for field, info in cls.model_fields.items():
        if not info.is_required():
            continue
        if field == "path" and issubclass(cls, Renderer):
            needed[field] = use + _SUFFIXES.get(use, ".png")
        elif field in names:
            rank = sum(other in names for other in needed)
            needed[field] = columns[rank % len(columns)] if columns else None
        else:
            needed[field] = None
    if None in needed.values() or _wrong(cls, needed) is None:
        return needed
    for field, info in cls.model_fields.items():
        if info.default is None and int in typing.get_args(info.annotation):
            more = {**needed, field: _STEPS}
            if _wrong(cls, more) is None:
                return more
    return needed


def _wrong(cls: type[Plugin], values: Mapping[str, Any]) -> str | None:
    try:
        return cls.model_validate_json(json.dumps(values)).check_parameters()
    except ValidationError as error:
        return str(error)


def _toml(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)
