"""A first spec's wires: which step fills a port, which columns a renderer draws, what varies."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError

from runner.numbers import number
from runner.planning.bind import marked_fields
from runner.plugin import Model, Perturbation, Plugin, Port, Renderer, signature
from runner.types import Dataset, Network, Split, Table, Trained

_GIVES = {Split: (Dataset,), Network: (Network, Trained), Table: (Table, Trained)}
_BEFORE = ("reference", "baseline", "original", "before", "start")  # ports for what is unchanged
_CURVE = ("step", "epoch")  # columns that a training curve runs along
_NO_NUMBER = re.compile(r"(whether|names?|reasons?|text|the rules)\b", re.IGNORECASE)
_STEPS = 1000  # of training, where a trainer must be told a number


@dataclass
class Draft:
    """A step being written; a port or parameter that nothing fits is None."""

    name: str
    use: str
    cls: type[Plugin]
    ports: dict[str, str | None] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Draft] = field(default_factory=dict)  # by port

    def above(self) -> Iterator[Draft]:
        """Yield the steps it reads, the nearest first, and what they read."""
        for source in reversed(list(self.sources.values())):
            yield source
            yield from source.above()

    def axes(self) -> list[str]:
        """Return the axes it varies over."""
        named = [
            value[1:]
            for step in [*reversed(list(self.above())), self]
            for value in step.values.values()
            if isinstance(value, str) and value.startswith("$")
        ]
        return list(dict.fromkeys(named))


def wired(drafts: Sequence[Draft]) -> dict[str, list[float]]:
    """Fill the ports and the needed parameters of steps; return the axes this takes.

    Every reference names a step further up. Renderers draw a table that has the columns they need:
    where one wants coordinates, numbers above its table are made to vary.
    """
    axes: dict[str, list[float]] = {}
    for at, draft in enumerate(drafts):
        for port in signature(draft.cls).references.values():
            _connect(draft, port, drafts[:at], axes)
        draft.values |= _needed(draft)
    for draft in drafts:
        _columns(draft)
    return axes


# -- ports -----------------------------------------------------------------------------------------


def _connect(
    draft: Draft, port: Port, earlier: Sequence[Draft], axes: dict[str, list[float]]
) -> None:
    found = list(_candidates(port, earlier))
    draft.ports[port.name] = None
    if not found:
        return
    if Table in port.takes:
        source, text = next((c for c in found if _shows(draft, c[0], axes)), found[0])
        _vary(source, _wanted(draft, source), axes)
    else:
        source, text = _fitting(draft, port, found)
    draft.ports[port.name], draft.sources[port.name] = text, source


def _candidates(port: Port, earlier: Sequence[Draft]) -> Iterator[tuple[Draft, str]]:
    """Yield steps with references that give what a port takes, the latest first; models lead."""
    for kind in sorted(port.takes, key=lambda kind: kind is not Model):
        for step in reversed(earlier):
            for output, given in signature(step.cls).outputs.items():
                if issubclass(given, _GIVES.get(kind, (kind,))):
                    inner = f".{output}" if output else ""
                    if kind is Split and given is Dataset:
                        splits = getattr(step.cls, "splits", ()) or ("train",)
                        inner += f".{port.name if port.name in splits else splits[0]}"
                    if kind is Table and given is Trained:
                        inner += ".history"
                    yield step, f"@{step.name}{inner}"


def _fitting(draft: Draft, port: Port, found: Sequence[tuple[Draft, str]]) -> tuple[Draft, str]:
    """Return the candidate named like the port, else one that no other port has, else the last.

    What is compared with itself says nothing: a second network of one trainer is its best one.
    """
    named = [c for c in found if c[0].name == port.name or c[0].use == port.name]
    if port.name in _BEFORE:
        found = found[::-1]
    free = [c for c in found if c[1] not in draft.ports.values()]
    source, text = [*named, *free, *found][0]
    given = signature(source.cls).outputs.get("")
    if text in draft.ports.values() and given is Trained and Network in port.takes:
        text += "@best"
    return source, text


# -- what varies -----------------------------------------------------------------------------------


def _wanted(draft: Draft, source: Draft) -> int:
    """Return how many axes a table must have for a renderer to draw it."""
    curve = any(name in source.cls.columns for name in _CURVE) and _is_curve(source)
    return max(0, len(_coordinates(draft.cls)) - curve)


def _is_curve(source: Draft) -> bool:
    return signature(source.cls).outputs.get("") is Trained


def _coordinates(cls: type[Plugin]) -> list[str]:
    """Return the required columns that are places, not measures: x, and y below a value."""
    names = [name for name in marked_fields(cls)[1] if cls.model_fields[name].is_required()]
    flat = "value" in names
    return [name for name in names if name == "x" or (name == "y" and flat)]


def _shows(draft: Draft, source: Draft, axes: Mapping[str, list[float]]) -> bool:
    there = len(source.axes())
    return there + len(list(_variable(source, axes))) >= _wanted(draft, source)


def _variable(source: Draft, axes: Mapping[str, list[float]]) -> Iterator[tuple[Draft, str]]:
    """Yield the numbers that may become axes: of perturbations above a table, then of its step."""
    above = [step for step in source.above() if issubclass(step.cls, Perturbation)]
    taken = {*axes, *source.cls.columns}
    for step in [*_unique(above), source]:
        for name, info in step.cls.model_fields.items():
            if info.annotation is not float or name in step.values or name in taken:
                continue
            if info.is_required() or _around(step.cls, name, info.default):
                taken.add(name)
                yield step, name


def _unique(steps: Sequence[Draft]) -> list[Draft]:
    return list({step.name: step for step in steps}.values())


def _around(cls: type[Plugin], name: str, default: float | str | None) -> list[float]:
    """Return values around a default that are all valid, or nothing."""
    default = float(number(default)) if isinstance(default, str) else default
    values = [default * factor for factor in (0.5, 1.0, 2.0)] if default else [0.0, 0.5, 1.0]
    return values if all(_wrong(cls, {name: value}, {name}) is None for value in values) else []


def _vary(source: Draft, count: int, axes: dict[str, list[float]]) -> None:
    found = list(_variable(source, axes))
    for step, name in found[: max(0, count - len(source.axes()))]:
        axes[name] = _around(step.cls, name, step.cls.model_fields[name].default)
        step.values[name] = f"${name}"


# -- parameters ------------------------------------------------------------------------------------


def _needed(draft: Draft) -> dict[str, Any]:
    """Return values of the parameters without which the plugin is not valid; None: unknown."""
    cls = draft.cls
    names = marked_fields(cls)[1]
    needed: dict[str, Any] = {}
    for name, info in cls.model_fields.items():
        if info.is_required() and name not in names:
            known = name == "path" and issubclass(cls, Renderer)
            needed[name] = _file(draft) if known else None
    if None in needed.values() or names or _wrong(cls, needed) is None:
        return needed
    for name, info in cls.model_fields.items():
        if info.default is None and int in typing.get_args(info.annotation):
            more = {**needed, name: _STEPS}
            if _wrong(cls, more) is None:
                return more
    return needed


def _file(draft: Draft) -> str:
    """Return a file name for a view, of the first format that the renderer names, or a picture."""
    return draft.name + (cast("type[Renderer]", draft.cls).writes or (".png",))[0]


def _wrong(
    cls: type[Plugin], values: Mapping[str, Any], only: set[str] | None = None
) -> str | None:
    """Return what is wrong with values, or with some of them."""
    try:
        return cls.model_validate_json(json.dumps(values)).check_parameters()
    except ValidationError as error:
        if only and not any(set(map(str, fault["loc"])) & only for fault in error.errors()):
            return None
        return str(error)


# -- columns ---------------------------------------------------------------------------------------


def _columns(draft: Draft) -> None:
    """Name the columns that a step draws; those of axes that are left tell curves apart."""
    names = marked_fields(draft.cls)[1]
    for port in dict.fromkeys(names.values()):
        source = draft.sources.get(port)
        fields = [name for name in names if names[name] == port]
        axes = source.axes() if source else []
        given = source.cls.columns if source else {}
        curve = [name for name in _CURVE if name in given] if source and _is_curve(source) else []
        places = [*curve, *axes]
        measures = [n for n in given if n not in curve and not _NO_NUMBER.match(given[n])]
        coordinates = _coordinates(draft.cls)
        for name in fields:
            if draft.cls.model_fields[name].is_required():
                left = places if name in coordinates else measures
                many = typing.get_origin(draft.cls.model_fields[name].annotation) is tuple
                one = left.pop(0) if left else None
                draft.values[name] = [one] if many and one else one
        for name in ("hue", "panels"):
            if places and name in fields and coordinates:
                draft.values[name] = places.pop(0)
        healthy = [name for name in given if given[name].startswith("whether")]
        if healthy and "mask" in fields:
            draft.values["mask"] = healthy[0]
