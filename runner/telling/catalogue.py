"""What plugins there are, and what one of them takes and gives."""

from __future__ import annotations

import inspect
import textwrap
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from runner.errors import UsageError, listed, near
from runner.language.faults import near_path
from runner.plugin import FAMILIES, Plugin, signature
from runner.registry import Registry, find_project
from runner.types import Table, Trained


def listing(project: Path, family: str | None) -> list[str]:
    """Return the plugins of one family or all, with the first line of each file's docstring.

    Raises: UsageError for an unknown family.
    """
    if family is not None and family not in FAMILIES:
        raise UsageError(
            f'no family "{family}"{near(family, FAMILIES)} (there are: {listed(FAMILIES)})'
        )
    registry = Registry.of(find_project(project))
    lines = []
    for name in FAMILIES if family is None else (family,):
        lines.append(name)
        plugins = registry.names(name)
        width = max(map(len, plugins), default=0)
        lines += [f"  {p:<{width}}  {_first_line(file)}" for p, file in sorted(plugins.items())]
    return lines


def _first_line(file: Path) -> str:
    import ast

    try:
        text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    except (SyntaxError, OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    return text.partition("\n")[0]


def description(project: Path, plugin: str) -> list[str]:
    """Return parameters, ports, output and columns of a plugin.

    Raises: UsageError when no plugin has the name, PluginError when its file is broken.
    """
    registry = Registry.of(find_project(project))
    family, _, name = plugin.rpartition("/")
    families = [f for f in FAMILIES if (not family or f == family) and name in registry.names(f)]
    if not families:
        known = [p for f in FAMILIES for p in registry.names(f)]
        raise UsageError(f'no plugin "{plugin}"{near(name, known)} (runner list shows all)')
    lines: list[str] = []
    for found in families:
        cls = registry.load(found, name)
        lines += [*([""] if lines else []), f"{found}/{name}", *_class_lines(cls)]
        lines.append(f"file: {near_path(Path(inspect.getfile(cls)))}")
    return lines


def _class_lines(cls: type[Plugin]) -> list[str]:
    lines = textwrap.indent(inspect.getdoc(cls) or "", "  ").split("\n")
    found = signature(cls)
    if cls.model_fields:
        lines.append("parameters:")
    lines += _field_lines(cls, "  ")
    if found.references:
        lines.append("ports:")
    for port in found.references.values():
        kinds = " or ".join(kind.__name__ for kind in port.takes)
        lines.append(f"  {port.name}: {kinds}{'' if port.required else ' (may be left out)'}")
    lines.append("gives:")
    for name, kind in found.outputs.items():
        lines.append(f"  {name + ': ' if name else ''}{kind.__name__}")
        if kind in (Table, Trained):
            lines += [f"    {column}: {meaning}" for column, meaning in cls.columns.items()]
    if cls.varies:
        lines.append(f"computed in one call for many values of: {', '.join(cls.varies)}")
    return lines


def _field_lines(cls: type[BaseModel], indent: str) -> list[str]:
    """Return a line or two for each parameter; those of a table of options stand below it."""
    lines = []
    for name, info in cls.model_fields.items():
        default = "required" if info.is_required() else f"= {_default(info)}"
        shown = f"{name}: {_type(info.annotation)} {default}  {_limits(info.metadata)}"
        lines.append(f"{indent}{shown}".rstrip())
        if info.description:
            lines.append(f"{indent}    {info.description}")
        for table in _tables(info.annotation):
            lines += _field_lines(table, f"{indent}    ")
    return lines


def _tables(annotation: Any) -> list[type[BaseModel]]:
    """Return the tables of options among the members of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in typing.get_args(annotation) for table in _tables(part)]


def _default(info: Any) -> str:
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "{ ... }"
    return "" if value is PydanticUndefined else repr(value)


def _type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " | ".join(repr(value) for value in typing.get_args(annotation))
    if origin is not None:
        parts = [_type(part) for part in typing.get_args(annotation)]
        if origin is typing.Annotated:
            return parts[0]
        if "Union" in str(origin):
            return " | ".join(parts)
        return f"{getattr(origin, '__name__', origin)}[{', '.join(parts)}]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return "none" if annotation is type(None) else getattr(annotation, "__name__", "...")


def _limits(metadata: list[Any]) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [
        f"{word} {getattr(mark, attribute)}"
        for mark in metadata
        for attribute, word in words.items()
        if getattr(mark, attribute, None) is not None
    ]
    return f"({', '.join(found)})" if found else ""
