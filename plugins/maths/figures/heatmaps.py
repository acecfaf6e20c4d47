"""The drawing of heat maps: panels, colour bars and what stands around them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from plugins.maths.figures import colourbars, grids, theme
from plugins.maths.figures.ticks import log_ticks, value_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap

    from plugins.renderers.heatmap import Heatmap


Blocks = Sequence[tuple[Any, int, int]]  # name, first and last place


def draw_heatmaps(wish: Heatmap, grid: grids.Grid, blocks: tuple[Blocks, ...] = ((), ())) -> Figure:
    """Return the figure of all panels.

    Args:
        wish: the renderer's parameters.
        grid: at least one panel.
        blocks: of the columns and of the rows; none: ticks are coordinates.

    Raises: ValueError if a log scale or axis cannot hold the values.
    """
    rows, columns = grids.layout(len(grid.panels), wish.wrap)
    page = wish.width == "page" or (wish.width == "auto" and columns > 1)
    width = theme.PAGE if page else theme.COLUMN
    norms = colour_norms(grid, wish)
    own = not wish.share_scale
    side = (width - 1.0) / columns - (0.65 if own and columns > 1 else 0.1)
    figure = Figure(figsize=(width, rows * (side + 0.45) + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    letters = int(side * 72 / (theme.SMALL * 0.56))  # 0.56: mean width of a letter over its size
    notes = [_lines(p.notes(wish.masked_as, spread=wish.annotate), letters) for p in grid.panels]
    for at, panel in enumerate(grid.panels):
        here = axes[at // columns, at % columns]
        _draw_panel(here, panel, grid, norms[at], wish)
        row = notes[at - at % columns :][:columns]
        _name_panel(here, panel.name, notes[at], max(map(len, row)))
        bottom = at + columns >= len(grid.panels)
        for axis, values, scale, own_blocks, labelled in (
            (here.xaxis, grid.x, wish.x_scale, blocks[0], bottom),
            (here.yaxis, grid.y, wish.y_scale, blocks[1], at % columns == 0),
        ):
            if own_blocks:
                _parted(axis, own_blocks, labelled, side)
            else:
                _coordinates(axis, values, scale, labelled, side)
        here.set_xlabel((wish.x_label or wish.x) if bottom else "")
        here.set_ylabel((wish.y_label or wish.y) if at % columns == 0 else "")
        if own and norms[at] is not None:
            _colour_bar(figure, norms[at], panel.shown, wish, ax=here, length=side)
    for spare in axes.flat[len(grid.panels) :]:
        spare.set_axis_off()
    shared = next((norm for norm in norms if norm is not None), None)
    if not own and shared is not None:
        pooled = np.concatenate([panel.shown for panel in grid.panels])
        _colour_bar(figure, shared, pooled, wish, ax=list(axes.flat), length=rows * side)
    theme.head_and_foot(figure, wish.title, wish.footnote)
    fit_height(figure, axes)
    return figure


def fit_height(figure: Figure, axes: NDArray[Any]) -> None:
    """Give the figure the height at which its panels are square, and keep them so.

    The panels are free while the layout is tried: it takes the room beside a square for a margin.
    """
    for _ in range(2):  # ticks may move a little with the height
        figure.draw_without_rendering()
        room = [panel.get_position(original=True) for panel in axes.flat]
        width = min(box.width for box in room) * figure.get_figwidth()
        height = min(box.height for box in room) * figure.get_figheight()
        figure.set_figheight(figure.get_figheight() + axes.shape[0] * (width - height))
    for panel in axes.flat:
        panel.set_box_aspect(1)
        panel.set_anchor("W")


def colour_norms(grid: grids.Grid, wish: Heatmap) -> list[Normalize | None]:
    """Return one norm per panel; one and the same object where the scale is shared.

    A panel with nothing to colour has None, unless it shares the scale of others.
    """
    make = LogNorm if wish.scale == "log" else Normalize
    shown = [panel.shown for panel in grid.panels]
    if wish.limits:
        return [make(*wish.limits)] * len(shown)
    if wish.share_scale:
        ends = grids.limits(shown, wish.scale, wish.clip)
        return [make(*ends) if ends else None] * len(shown)
    found = [grids.limits([values], wish.scale, wish.clip) for values in shown]
    return [make(*ends) if ends else None for ends in found]


def _spacing(values: Sequence[Any], scale: str) -> grids.Spacing:
    return grids.spacing(values) if scale == "auto" else scale  # type: ignore[return-value]


def _draw_panel(
    axes: Axes, panel: grids.Panel, grid: grids.Grid, norm: Normalize | None, wish: Heatmap
) -> None:
    even: grids.Spacing | None = "even" if wish.blocks else None
    across = grids.edges(grid.x, even or _spacing(grid.x, wish.x_scale))
    up = grids.edges(grid.y, even or _spacing(grid.y, wish.y_scale))
    if norm is not None:
        shown = np.ma.masked_invalid(np.where(panel.masked, np.nan, panel.values))
        # a hairline in the cell's own colour closes the seams that viewers of PDF show
        look = {"cmap": _colours(wish), "edgecolors": "face", "linewidth": 0.15}
        axes.pcolormesh(across, up, shown, norm=norm, **look)
    if panel.masked.any():
        axes.add_patch(masked_cells(panel, across, up))
    axes.set_xlim(across[0], across[-1])
    axes.set_ylim(up[0], up[-1])


def masked_cells(panel: grids.Panel, across: grids.Floats, up: grids.Floats) -> PathPatch:
    """Return the masked cells, one or more, as grey hatched rectangles.

    They are one path: drawing a hatch takes milliseconds, whatever the number of rectangles in it.
    """
    corners = np.array(
        [
            [(across[i + a], up[j + b]) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
            for j, i in np.argwhere(panel.masked)
        ]
    )
    path = Path.make_compound_path_from_polys(corners)
    return PathPatch(path, facecolor=theme.MASKED, edgecolor="#8c8c8c", hatch="//////", linewidth=0)


def _name_panel(axes: Axes, name: str, lines: Sequence[str], room: int) -> None:
    """Write the panel's name, and under it, small, what its colours leave out.

    `room` is the number of lines kept free for that, equal for all panels of a row.
    """
    axes.set_title(name, pad=4 + room * theme.SMALL * 1.25)
    if lines:
        axes.annotate(
            "\n".join(lines), (0.5, 1.0), (0, 3), xycoords="axes fraction",
            textcoords="offset points", ha="center", va="bottom",
            fontsize=theme.SMALL, color=theme.FADED, linespacing=1.1,
        )  # fmt: skip


def _lines(notes: Sequence[str], letters: int) -> list[str]:
    """Join notes on one line while they fit, else start a new one; a long note is wrapped."""
    lines: list[str] = []
    for note in notes:
        if lines and len(lines[-1]) + len(note) + 3 <= letters:
            lines[-1] += f" · {note}"
        else:
            lines += textwrap.wrap(note, letters)
    return lines


def _coordinates(
    axis: Axis, values: Sequence[Any], scale: str, labelled: bool, side: float
) -> None:
    """Scale an axis and set its ticks; an inner panel keeps the ticks without labels."""
    kind = _spacing(values, scale)
    few = len(values) <= 5
    axis.axes.set(**{f"{axis.axis_name}scale": "log" if kind == "log" else "linear"})
    if kind == "even":
        most = max(2, int(side * 72 / 16))
        stride = -(-len(values) // most)
        at = range(0, len(values), stride)
        labels = [_spell(values[i]) for i in at]
        theme.place_ticks(axis, at, labels)
        room = side * 72 * 0.85 / len(labels)  # points for each; the layout takes some of `side`
        if axis.axis_name == "x" and max(map(len, labels)) * theme.SMALL * 0.57 > room:
            axis.set_tick_params(rotation=40)
    elif few:
        theme.place_ticks(axis, *value_ticks(values))
    elif kind == "log":
        theme.place_ticks(axis, *log_ticks(values[0], values[-1]))
    else:
        theme.linear_ticks(axis, 5)
        axis.set_minor_locator(NullLocator())
    axis.set_tick_params(which="both", labelleft=labelled, labelbottom=labelled)


def _parted(axis: Axis, blocks: Blocks, labelled: bool, side: float) -> None:
    """Part blocks by thin lines and name as many in their middles as there is room for."""
    line = axis.axes.axvline if axis.axis_name == "x" else axis.axes.axhline
    for _, first, _ in blocks[1:]:
        line(first - 0.5, color="white", linewidth=0.35)
    stride = -(-len(blocks) // max(2, int(side * 72 / 16)))
    named = blocks[::stride]
    middles = [(first + last) / 2 for _, first, last in named]
    theme.place_ticks(axis, middles, [_spell(name) for name, _, _ in named])
    axis.set_tick_params(which="both", labelleft=labelled, labelbottom=labelled)


def _colours(wish: Heatmap) -> Colormap:
    return theme.sequential() if wish.colours == "theme" else mpl.colormaps["viridis"]


def _spell(value: Any) -> str:
    return value_ticks([value]).labels[0] if isinstance(value, float) else str(value)


def _colour_bar(
    figure: Figure, norm: Normalize, shown: grids.Floats, wish: Heatmap, **place: Any
) -> None:
    """Draw a colour bar beside panels; an end is pointed where values lie beyond it."""
    slack = 1e-5 * (norm.vmax - norm.vmin) if wish.limits else 0.0  # a cosine of 1.0000001 is 1
    ends = colourbars.extend([shown], norm.vmin - slack, norm.vmax + slack)
    label = wish.label or wish.value
    colourbars.colour_bar(figure, norm, _colours(wish), ends=ends, label=label, **place)
