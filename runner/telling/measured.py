"""What two runs came to, cell by cell: means of tables, and how far apart networks lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import StoreError
from runner.registry import Registry
from runner.storage.codec import Reader
from runner.storage.store import Record, Store

Cell = tuple[tuple[str, Any], ...]
Means = dict[Cell, dict[str, float]]


@dataclass(frozen=True)
class Side:
    """The stored nodes of a step in one of two runs, A or B."""

    name: str
    count: int  # nodes of the run; fewer records are stored when some failed or were dropped
    records: list[Record]
    store: Store

    def cells(self) -> dict[Cell, Record]:
        """Return the records by cell."""
        return {tuple(sorted(record["cell"].items())): record for record in self.records}


Pairs = Iterable[tuple[str, Side, Side]]


def tables(pairs: Pairs) -> Iterator[str]:
    """Yield how the means of each numeric column differ, over the cells that both runs have."""
    for step, one, other in pairs:
        if not (one.records and other.records):  # of no cell can anything be said
            for side in (one, other):
                yield from _gone(step, side, len(side.records))
            continue
        for output in _outputs(one, other, ("Table", "Trained")):
            yield from _table(f"{step}{output and '.'}{output}", output, one, other)


def networks(pairs: Pairs) -> Iterator[str]:
    """Yield how far the networks of each step lie apart, over the cells that both runs have."""
    for step, one, other in pairs:
        for output in _outputs(one, other, ("Network", "Trained")):
            name = "" if output == "history" else output
            yield from _networks(f"{step}{name and '.'}{name}", name, one, other)


def _outputs(one: Side, other: Side, kinds: tuple[str, ...]) -> list[str]:
    """Return the names of a step's outputs of some types; that of a training is its history."""
    found: dict[str, None] = {}
    for record in [*one.records, *other.records]:
        for name, part in _named(record["outputs"]):
            if part["type"] == "Trained" and not name:
                found["history"] = None
            elif part["type"] in kinds and (part["type"] != "Trained" or "Network" in kinds):
                found[name] = None
    return list(found)


def _named(outputs: Any) -> list[tuple[str, Any]]:
    return list(outputs["outputs"].items()) if outputs["type"] == "Outputs" else [("", outputs)]


def _gone(name: str, side: Side, left: int) -> Iterator[str]:
    if left < side.count:
        gone = side.count - left
        cells = f"{gone} of {side.count} cells" if side.count > 1 else "what it had"
        yield f"{name}: {cells} of {side.name} are not in the store; run it again"


# -- tables ----------------------------------------------------------------------------------------


def _table(name: str, output: str, one: Side, other: Side) -> Iterator[str]:
    a, b = _means(one, output), _means(other, output)
    yield from _gone(name, one, len(a))
    yield from _gone(name, other, len(b))
    common = [cell for cell in a if cell in b]
    if not common:
        if a and b:
            yield f"{name}: no common cells of {len(a)} and {len(b)}"
        return
    count = f"{len(common)} common cell{'s' if len(common) > 1 else ''} of {len(a)} and {len(b)}"
    names = dict.fromkeys(name for cell in common for name in a[cell] if name in b[cell])
    lines = [line for column in names for line in _column(column, a, b, common)]
    yield f"{name}: {count}{'' if lines else ', equal numbers'}"
    yield from lines


def _column(name: str, a: Means, b: Means, common: list[Cell]) -> Iterator[str]:
    cells = [cell for cell in common if name in a[cell] and name in b[cell]]
    if all(a[cell][name] == b[cell][name] for cell in cells):
        return
    before = sum(a[cell][name] for cell in cells) / len(cells)
    after = sum(b[cell][name] for cell in cells) / len(cells)
    text = f"  {name}: {before:.6g} -> {after:.6g}, delta {after - before:+.4g}"
    spread = _seed_spread(name, a, cells)
    if spread is not None:
        times = f" = {abs(after - before) / spread:.2g} times" if spread else ", above"
        text += f"{times} the spread over seeds, {spread:.4g}"
    yield text


def _seed_spread(name: str, means: Means, cells: list[Cell]) -> float | None:
    """Return the standard deviation over the axis `seed`, pooled over the other axes, or None."""
    groups: dict[Cell, list[float]] = {}
    for cell in cells:
        if any(axis == "seed" for axis, _ in cell):
            rest = tuple(pair for pair in cell if pair[0] != "seed")
            groups.setdefault(rest, []).append(means[cell][name])
    squares, freedom = 0.0, 0
    for values in groups.values():
        middle = sum(values) / len(values)
        squares += sum((value - middle) ** 2 for value in values)
        freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _means(side: Side, output: str) -> Means:
    """Return each cell's mean of each numeric column of the tables that are still stored."""
    reader = Reader(side.store, Registry.of(Path()))  # tables name no plugin
    means = {}
    for cell, record in side.cells().items():
        try:
            columns = reader.load(record["outputs"], output).columns
        except StoreError:
            continue  # its object is gone: not a common cell
        found = {name: _mean(list(column)) for name, column in columns.items()}
        means[cell] = {name: mean for name, mean in found.items() if mean is not None}
    return means


def _mean(values: list[Any]) -> float | None:
    try:
        numbers = [float(v) for v in values if not isinstance(v, str)]
    except (TypeError, ValueError):
        return None
    finite = [number for number in numbers if math.isfinite(number)]
    return sum(finite) / len(finite) if finite else None


# -- networks --------------------------------------------------------------------------------------


def _networks(name: str, output: str, one: Side, other: Side) -> Iterator[str]:
    a, b = one.cells(), other.cells()
    distances: list[tuple[float, Cell]] = []
    odd = gone = 0
    for cell in a:
        if cell not in b:
            continue
        before, after = (_weights(record["outputs"], output) for record in (a[cell], b[cell]))
        try:
            distance = 0.0 if before == after else _distance(one, before, other, after)
        except StoreError:
            gone += 1
            continue
        if distance is None:
            odd += 1
        else:
            distances.append((distance, cell))
    if distances:
        mean = sum(distance for distance, _ in distances) / len(distances)
        most, cell = max(distances, key=lambda pair: pair[0])
        where = ",".join(f"{axis}={value}" for axis, value in cell)
        many = f" over {len(distances)} common cells, at most {most:.4g} at [{where}]"
        yield f"{name}: {mean:.4g}{many if len(distances) > 1 else ''}"
    if odd:
        yield f"{name}: {odd} common cells whose tensors have other names or shapes"
    if gone:
        yield f"{name}: {gone} common cells whose weights are not in the store; run it again"


def _weights(outputs: Any, output: str) -> str:
    """Return the digest of the weights of a network, or of the last one of a training."""
    part = outputs["outputs"][output] if outputs["type"] == "Outputs" else outputs
    digest: str = part["last"]["weights"] if part["type"] == "Trained" else part["weights"]
    return digest


def _distance(one: Side, before: str, other: Side, after: str) -> float | None:
    """Return |B - A| / |A| over all weights as one vector; None where the tensors do not match."""
    from safetensors.torch import load_file

    a, b = load_file(one.store.read(before)), load_file(other.store.read(after))
    if {n: w.shape for n, w in a.items()} != {n: w.shape for n, w in b.items()}:
        return None
    apart = sum(float((b[n].double() - w.double()).square().sum()) for n, w in a.items())
    size = sum(float(w.double().square().sum()) for w in a.values())
    return math.sqrt(apart / size) if size else math.inf
