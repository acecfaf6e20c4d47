"""A spec to begin with: steps of chosen plugins, wired by type and name, every parameter told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from runner.commands.wiring import Draft, wired
from runner.errors import UsageError, listed, near
from runner.plugin import FAMILIES, signature
from runner.registry import Registry, find_project

_AXES = "# What varies: a step varies over the axes it names, and over those of what it reads."


def scaffold(file: Path, chosen: Mapping[str, Sequence[str]]) -> str:
    """Return the text of a spec with a step for each plugin, in the order of the families.

    Raises: UsageError for an unknown plugin, PluginError for a broken one.
    """
    registry = Registry.of(find_project(file.resolve().parent))
    drafts: dict[str, Draft] = {}
    for family in FAMILIES:
        for use in chosen.get(family, ()):
            known = registry.names(family)
            if use not in known:
                hint = near(use, known) or f" (there are: {listed(known, 12)})"
                raise UsageError(f'no plugin "{use}" in {family}{hint}')
            name = next(n for n in _names(use) if n not in drafts)
            drafts[name] = Draft(name, use, registry.load(family, use))
    if not drafts:
        raise UsageError("choose at least one plugin, such as --probe llc (runner list shows all)")
    axes = wired(list(drafts.values()))
    parts = [f"title = {json.dumps(file.stem.replace('_', ' '))}\nseed = 0\n"]
    if axes:
        lines = [f"{name} = {_toml(values)}" for name, values in axes.items()]
        parts.append("\n".join([_AXES, "[axes]", *lines]) + "\n")
    parts += ["\n".join(_step(draft)) + "\n" for draft in drafts.values()]
    return "\n".join(parts)


def _names(use: str) -> Iterable[str]:
    yield use
    number = 2
    while True:
        yield f"{use}_{number}"
        number += 1


def _step(draft: Draft) -> Iterator[str]:
    cls = draft.cls
    yield f"# {(cls.__doc__ or '').strip().partition(chr(10))[0]}"
    yield f"[{cls.family}.{draft.name}]"
    yield f'use = "{draft.use}"'
    for port in signature(cls).references.values():
        kinds = " or ".join(kind.__name__ for kind in port.takes)
        reference = draft.ports.get(port.name)
        if reference is None:
            word = "REQUIRED" if port.required else "optional"
            yield f'# {port.name} = "@..."  # {word}: a reference to a {kinds}'
        else:
            yield f'{port.name} = "{reference}"  # {kinds}'
    for name, info in cls.model_fields.items():
        told = f"  # {info.description}" if info.description else ""
        default = info.get_default(call_default_factory=True)
        if draft.values.get(name) is not None:
            yield f"{name} = {_toml(draft.values[name])}{told}"
        elif name in draft.values:
            yield f"# {name} = ...  # REQUIRED: {info.description or 'a value'}"
        elif default is None:
            yield f"# {name} = ...{told} (left open)"
        else:
            yield f"# {name} = {_toml(default)}{told}"


def _toml(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)
