"""Where ticks stand on an axis and what they say. Numbers in, numbers and labels out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# Mantissas tried in turn, coarse to fine, until at least two ticks fall into the range.
_SERIES = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))


class Ticks(NamedTuple):
    """Positions in data units, one label for each, and unlabelled minor positions."""

    positions: list[float]
    labels: list[str]
    minor: list[float]


def log_ticks(low: float, high: float, most: int = 6) -> Ticks:
    """Return ticks for a logarithmic axis over [low, high].

    Powers of ten, written as such, where two or more fall into the range (every second, third, ...
    when there are more than `most`); else 0.3, 1, 3 and finer series, written as numbers.

    Raises: ValueError unless 0 < low < high.
    """
    if not 0 < low < high:
        raise ValueError(f"a log axis needs 0 < low < high, not {low!r} to {high!r}")
    low, high = low * (1 - 1e-9), high * (1 + 1e-9)  # a tick on the very edge counts
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    minor = [m * 10.0**n for n in powers for m in range(2, 10) if low <= m * 10.0**n <= high]
    for series in _SERIES:
        found = [m * 10.0**n for n in powers for m in series if low <= m * 10.0**n <= high]
        if len(found) >= 2:
            break
    else:
        return Ticks(*_even(low, high), [])
    if series == (1.0,):
        stride = -(-len(found) // most)
        if stride > 1:  # the labelled powers are multiples of the stride, 10^0 among them
            found = [v for v in found if round(math.log10(v)) % stride == 0]
            minor = [10.0**n for n in powers if low <= 10.0**n <= high and 10.0**n not in found]
        return Ticks(found, [power_label(value) for value in found], minor)
    return Ticks(found, [number_label(v) for v in found], [v for v in minor if v not in found])


def value_ticks(values: Sequence[float]) -> Ticks:
    """Return one tick at each of a few values; as powers of ten if each is one."""
    powers = all(v > 0 and math.isclose(v, 10.0 ** round(math.log10(v))) for v in values)
    spell = power_label if powers and len(values) > 1 else number_label
    return Ticks(list(values), [spell(value) for value in values], [])


def power_label(value: float) -> str:
    """Return a power of ten as mathematical text."""
    return f"$10^{{{round(math.log10(value))}}}$"


def number_label(value: float) -> str:
    """Return a number with three digits, plain where that is short, else with a power of ten."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{float(f'{value:.3g}'):.15g}".replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = f"10^{{{int(exponent)}}}"
    return f"${power}$" if mantissa == "1" else f"${mantissa}\\times {power}$"


def _even(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return evenly spaced round numbers for a range much narrower than a decade."""
    unit = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(m * unit for m in (5, 2, 1) if (high - low) / (m * unit) >= 2)
    found = [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    digits = max(0, -math.floor(math.log10(step)))
    if low >= 1e-3 and high < 1e5:
        return found, [f"{value:.{digits}f}" for value in found]
    power = math.floor(math.log10(high))
    digits = max(0, power - math.floor(math.log10(step)))
    return found, [f"${v / 10.0**power:.{digits}f}\\times 10^{{{power}}}$" for v in found]
