"""Axes: a list, a range with NumPy's meaning, or named variants whose values belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import given, listed, near
from runner.numbers import number

Label = Any  # str, int, float or bool: what stands in a table's column and in a node id
RANGES = ("linspace", "geomspace", "arange")
MOST_VALUES = 1_000_000
LARGEST = 1e100  # of the numbers of a range: no ratio of two of them overflows


class AxisError(ValueError):
    """An axis that cannot be read; `part` is the place below the axis."""

    def __init__(self, message: str, part: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class Axis:
    """A name with values. `labels` identify them; `variants` hold fields by label, if named."""

    name: str
    labels: tuple[Label, ...]
    variants: Mapping[Label, Mapping[str, Any]] | None = None

    def value(self, label: Label, field: str | None) -> Any:
        """Return the value that `$name` or `$name.field` stands for at `label`."""
        if field is None:
            return label
        assert self.variants is not None  # noqa: S101  # `check_field` ran when the spec was read
        return self.variants[label][field]

    def check_field(self, field: str | None) -> str | None:
        """Return what is wrong with `$name.field`, or None."""
        if field is None:
            return None
        if self.variants is None:
            return (
                f'"${self.name}.{field}": axis {self.name} has plain values; write "${self.name}"'
            )
        for label, fields in self.variants.items():
            if field not in fields:
                hint = near(field, fields) or f" (it has: {listed(fields)})"
                return f'variant "{label}" of axis {self.name} has no field "{field}"{hint}'
        return None


def read_axis(name: str, value: Any) -> Axis:
    """Return the axis that a spec writes as `value`.

    Raises: AxisError saying what would do.
    """
    if isinstance(value, list):
        return Axis(name, _labels(_numbers(value)))
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in RANGES:
        form = next(iter(value))
        labels = tuple(_range(form, value[form]))
        if len(set(labels)) < len(labels):
            raise AxisError("has values that are equal in 12 digits", (form,))
        return Axis(name, labels)
    if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
        return Axis(name, tuple(value), value)
    raise AxisError(
        "must be a list of values, a range such as { linspace = [0, 1, 5] } (also geomspace, "
        "arange), or a table of named variants"
    )


def _numbers(values: list[Any]) -> list[Any]:
    """Read a list of numbers in which some are expressions, ["-pi", 0, "pi/2"], as floats."""
    if not any(isinstance(v, str) for v in values):
        return values
    read = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return values
        try:
            read.append(number(value) if isinstance(value, str) else value)
        except ValueError:
            return values
    return read


def _labels(values: list[Any]) -> tuple[Label, ...]:
    if not values:
        raise AxisError("has no values; give at least one")
    for position, value in enumerate(values):
        if not isinstance(value, (str, int, float, bool)):
            raise AxisError(
                "an axis value is text, a number or a boolean; name tables and lists as variants",
                (position,),
            )
        if any(type(other) is type(value) and other == value for other in values[:position]):
            raise AxisError(f"{given(value)} stands twice", (position,))
    words = {int: "numbers", float: "numbers", str: "text", bool: "booleans"}
    kinds = {words[type(v)] for v in values}
    if len(kinds) > 1:
        raise AxisError(f"mixes {' and '.join(sorted(kinds))}; an axis has one kind")
    if any(isinstance(v, float) for v in values):
        values = [float(v) for v in values]
    if len(set(values)) < len(values):
        raise AxisError("has a value twice")
    return tuple(values)


def _range(form: str, arguments: Any) -> list[Label]:
    usage = f"{form} takes [start, stop, {'step' if form == 'arange' else 'count'}]"
    if not isinstance(arguments, list) or len(arguments) != 3:
        raise AxisError(usage, (form,))
    values = [_end(form, position, value, usage) for position, value in enumerate(arguments)]
    start, stop, third = values
    if form == "arange":
        if third == 0:
            raise AxisError("arange with step 0", (form, 2))
        steps = (float(stop) - float(start)) / float(third)  # as NumPy counts
        if not steps <= MOST_VALUES:
            raise AxisError(f"has more than {MOST_VALUES} values", (form,))
        count = max(0, math.ceil(steps))
    else:
        if third != int(third) or third < 1:
            raise AxisError(f"{usage}; the count is a whole number, at least 1", (form, 2))
        count = int(third)
    if count == 0:
        raise AxisError(f"{form} of {given(arguments)} has no values", (form,))
    if count > MOST_VALUES:
        raise AxisError(f"has {count} values; at most {MOST_VALUES} are allowed", (form, 2))
    if form == "arange":
        values = [start + position * third for position in range(count)]
        return [_rounded(v) for v in values] if isinstance(start + third, float) else values
    if form == "geomspace" and (start == 0 or stop == 0 or (start > 0) != (stop > 0)):
        raise AxisError("geomspace needs two ends of one sign, neither of them 0", (form,))
    if count > 1 and start == stop:
        raise AxisError("both ends are equal: a value would stand twice", (form,))
    return _spaced(form, float(start), float(stop), count)


def _end(form: str, position: int, argument: Any, usage: str) -> Any:
    """Return one of the three numbers of a range, which may be written as an expression."""
    try:
        value = number(argument) if isinstance(argument, str) else argument
    except ValueError as error:
        raise AxisError(str(error), (form, position)) from error
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise AxisError(f"{usage}; {given(argument)} is not a number", (form, position))
    if abs(value) > LARGEST:
        raise AxisError(f"{given(argument)} is too large", (form, position))
    return value


def _spaced(form: str, start: float, stop: float, count: int) -> list[Label]:
    """Return NumPy's values, rounded to 12 digits: equal on every machine and readable in ids."""
    steps = [position / max(1, count - 1) for position in range(count)]
    if form == "linspace":
        values = [start + (stop - start) * step for step in steps]
    else:
        values = [start * (stop / start) ** step for step in steps]
    if count > 1:
        values[-1] = stop
    return [_rounded(value) for value in values]


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")
