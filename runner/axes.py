"""Axes: a list, a range with NumPy's meaning, or named variants whose values belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import listed, near
from runner.numbers import number

Label = Any  # str, int, float or bool: what stands in a table's column and in a node id
RANGES = ("linspace", "geomspace", "arange")
MOST_VALUES = 1_000_000


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
        return Axis(name, tuple(_range(form, value[form])))
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
            raise AxisError(f"{value!r} stands twice", (position,))
    kinds = {"number" if type(v) in (int, float) else type(v).__name__ for v in values}
    if len(kinds) > 1:
        raise AxisError(f"mixes {' and '.join(sorted(kinds))}; one kind an axis")
    if any(isinstance(v, float) for v in values):
        values = [float(v) for v in values]
    if len(set(values)) < len(values):
        raise AxisError("has a value twice")
    return tuple(values)


def _range(form: str, arguments: Any) -> list[Label]:
    usage = f"{form} takes [start, stop, {'step' if form == 'arange' else 'count'}]"
    if not isinstance(arguments, list) or len(arguments) != 3:
        raise AxisError(usage, (form,))
    values = []
    for position, argument in enumerate(arguments):
        try:
            value = number(argument) if isinstance(argument, str) else argument
        except ValueError as error:
            raise AxisError(str(error), (form, position)) from error
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise AxisError(f"{usage}; {argument!r} is not a number", (form, position))
        values.append(value)
    start, stop, third = values
    if form == "arange":
        if third == 0:
            raise AxisError("arange with step 0", (form, 2))
        count = max(0, -int(-(stop - start) // third))
    else:
        if third != int(third) or third < 1:
            raise AxisError(f"{usage}; the count is a whole number, at least 1", (form, 2))
        count = int(third)
    if count == 0:
        raise AxisError(f"{form} of {arguments} has no values", (form,))
    if count > MOST_VALUES:
        raise AxisError(f"has {count} values; at most {MOST_VALUES} are allowed", (form, 2))
    if form == "arange":
        return [start + position * third for position in range(count)]
    if form == "geomspace" and start * stop <= 0:
        raise AxisError("geomspace needs two ends of one sign, neither of them 0", (form,))
    if count > 1 and start == stop:
        raise AxisError("both ends are equal: a value would stand twice", (form,))
    return _spaced(form, float(start), float(stop), count)


def _spaced(form: str, start: float, stop: float, count: int) -> list[Label]:
    """Return NumPy's values, rounded to 12 digits: equal on every machine and readable in ids."""
    steps = [position / max(1, count - 1) for position in range(count)]
    if form == "linspace":
        values = [start + (stop - start) * step for step in steps]
    else:
        values = [start * (stop / start) ** step for step in steps]
    if count > 1:
        values[-1] = stop
    return [float(f"{value:.12g}") for value in values]
