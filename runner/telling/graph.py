"""A plan as inline SVG: layers from left to right, a box for each step, curves of what it reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

_CHARACTER = 7.3  # px, of the 12 px fixed-width font that the page's style sets
_LINE, _PAD, _GAP, _BETWEEN = 16.0, 9.0, 14.0, 40.0
_WIDEST = 18  # characters of a line before a name is broken at an underscore
_SWEEPS = 8
_SMALLEST = 0.75  # of its size, to which a drawing shrinks before it scrolls


@dataclass
class Box:
    """A step to draw: its name, a second line, a class of colour, and what it reads."""

    name: str
    about: str
    state: str
    reads: Sequence[str]
    requires: Sequence[str] = ()


@dataclass
class _Item:
    """A box, or a bend of an edge that passes a layer (then without lines)."""

    lines: list[str]
    layer: int
    box: Box | None = None
    y: float = 0.0
    before: list[_Item] = field(default_factory=list)
    after: list[_Item] = field(default_factory=list)

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PAD if self.box else 6.0

    @property
    def width(self) -> float:
        return max(map(len, self.lines), default=0) * _CHARACTER + 2 * _PAD if self.box else 0.0


def drawing(boxes: Iterable[Box]) -> str:
    """Return the SVG of boxes given in an order in which each comes after what it reads."""
    given = {box.name: box for box in boxes}
    if not given:
        return ""
    items, routes = _items(given)
    layers = _ordered(items)
    _place(layers)
    lefts, width = _columns(layers)
    top = min(item.y - item.height / 2 for layer in layers for item in layer)
    bottom = max(item.y + item.height / 2 for layer in layers for item in layer)
    parts = [_edge(route, dashed, lefts) for route, dashed in routes]
    parts += [_box(item, lefts) for layer in layers for item in layer if item.box]
    size = f'width="{width:.0f}" style="width:{_fitting(width)}"'
    view = f'viewBox="0 {top - 1:.1f} {width:.0f} {bottom - top + 2:.1f}"'
    label = 'role="img" aria-label="The steps of the plan and what each reads"'
    return f'<svg class="plan" {size} {view} {label}>{"".join(parts)}</svg>'


def _fitting(width: float) -> str:
    """Return the CSS of a width: as drawn, or shrunk to fit while its text can still be read."""
    return f"clamp({_SMALLEST * width:.0f}px, 100%, {width:.0f}px)"


def _items(
    boxes: Mapping[str, Box],
) -> tuple[list[_Item], list[tuple[list[_Item], bool]]]:
    depth: dict[str, int] = {}
    for name, box in boxes.items():
        sources = [s for s in (*box.reads, *box.requires) if s in depth]
        depth[name] = max((depth[s] + 1 for s in sources), default=0)
    readers: dict[str, list[str]] = {name: [] for name in boxes}
    for name, box in boxes.items():
        for source in (*box.reads, *box.requires):
            readers.setdefault(source, []).append(name)
    for name in reversed(list(boxes)):  # what reads nothing stands next to its first reader
        if readers[name] and not boxes[name].reads:
            depth[name] = min(depth[reader] for reader in readers[name]) - 1
    items = {
        name: _Item([*_broken(name), *([box.about] if box.about else [])], depth[name], box)
        for name, box in boxes.items()
    }
    everything = list(items.values())
    routes = []
    for name, box in boxes.items():
        for source in dict.fromkeys([*box.reads, *box.requires]):
            if source not in items:
                continue
            route = [items[source]]
            route += [_Item([], layer) for layer in range(depth[source] + 1, depth[name])]
            route.append(items[name])
            everything += route[1:-1]
            for one, other in itertools.pairwise(route):
                one.after.append(other)
                other.before.append(one)
            routes.append((route, source not in box.reads))
    return everything, routes


def _broken(name: str) -> list[str]:
    """Return a name in lines, broken after underscores."""
    lines = [""]
    for part in name.replace("_", "_\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > _WIDEST:
            lines.append("")
        lines[-1] += part
    return lines


def _ordered(items: Iterable[_Item]) -> list[list[_Item]]:
    """Return the layers, each in an order with few crossings (barycentres, swept to and fro)."""
    layers: dict[int, list[_Item]] = {}
    for item in items:
        layers.setdefault(item.layer, []).append(item)
    ordered = [layers[number] for number in sorted(layers)]
    for sweep in range(_SWEEPS):
        rank = {id(item): i for layer in ordered for i, item in enumerate(layer)}
        for layer in ordered if sweep % 2 == 0 else reversed(ordered):

            def middle(item: _Item, rank: dict[int, int] = rank, sweep: int = sweep) -> float:
                near = item.before if sweep % 2 == 0 else item.after
                return sum(rank[id(n)] for n in near) / len(near) if near else rank[id(item)]

            layer.sort(key=middle)
            rank |= {id(item): i for i, item in enumerate(layer)}
    return ordered


def _place(layers: list[list[_Item]]) -> None:
    """Give every item the height of the middle of its neighbours, as far as there is room."""
    for layer in layers:
        _stack(layer, [0.0] * len(layer))
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            wished = []
            for item in layer:
                near = [*item.before, *item.after]
                wished.append(sum(n.y for n in near) / len(near) if near else item.y)
            _stack(layer, wished)


def _stack(layer: list[_Item], wished: list[float]) -> None:
    last: _Item | None = None
    for item, wish in zip(layer, wished, strict=True):
        room = last.y + (last.height + item.height) / 2 + _GAP if last else wish
        item.y = max(wish, room)
        last = item
    off = sum(i.y - w for i, w in zip(layer, wished, strict=True)) / len(layer)
    for item in layer:
        item.y -= off


def _columns(layers: list[list[_Item]]) -> tuple[dict[int, tuple[float, float]], float]:
    """Return the left edge and the width of each layer, and the width of all."""
    columns = {}
    x = 1.0
    for layer in layers:
        width = max(item.width for item in layer)
        columns[layer[0].layer] = x, width
        x += width + _BETWEEN
    return columns, x - _BETWEEN + 1


def _edge(route: list[_Item], dashed: bool, lefts: Mapping[int, tuple[float, float]]) -> str:
    left, width = lefts[route[0].layer]
    x, y = left + route[0].width, route[0].y
    path = f"M{x:.1f} {y:.1f}"
    if route[0].width < width:
        path += f"H{left + width:.1f}"
        x = left + width
    for item in route[1:]:
        goal, wide = lefts[item.layer]
        half = (x + goal) / 2
        path += f"C{half:.1f} {y:.1f} {half:.1f} {item.y:.1f} {goal:.1f} {item.y:.1f}"
        x, y = goal, item.y
        if item.box is None:
            path += f"H{goal + wide:.1f}"
            x = goal + wide
    return f'<path class="{"edge requires" if dashed else "edge"}" d="{path}"></path>'


def _box(item: _Item, lefts: Mapping[int, tuple[float, float]]) -> str:
    box = item.box
    if box is None:
        return ""
    x, y = lefts[item.layer][0], item.y - item.height / 2
    names = len(item.lines) - (1 if box.about else 0)
    texts = "".join(
        f'<text class="{"name" if n < names else "about"}" x="{x + _PAD:.1f}" '
        f'y="{y + _PAD + (n + 0.75) * _LINE:.1f}">{escape(line)}</text>'
        for n, line in enumerate(item.lines)
    )
    frame = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{item.width:.1f}" height="{item.height:.1f}" '
        f'rx="6"></rect>'
    )
    return f'<g class="step {escape(box.state)}">{frame}{texts}</g>'
