"""The drawing of scatter plots: panels that share axes and one colour bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from plugins.maths.figures import grids, theme
from plugins.maths.figures.colourbars import colour_bar
from plugins.maths.figures.views import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from plugins.renderers.scatter import Scatter


def draw_scatter(wish: Scatter, frame: pd.DataFrame) -> Figure:
    """Return the figure of all panels.

    Raises: ValueError as `Scatter` says.
    """
    frame, lost = _finite(wish, frame)
    names = list(frame[wish.panels].unique()) if wish.panels else [None]
    rows, columns = grids.layout(len(names), wish.wrap)
    page = wish.width == "page" or (wish.width == "auto" and columns > 1)
    width = theme.PAGE if page else theme.COLUMN
    side = (width - (0.7 if wish.colour else 0.2)) / columns
    height = rows * (min(side * 0.85, 3.4) + 0.3) + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    norm = _norm(wish, frame)
    for at, panel in enumerate(axes.flat):
        if at >= len(names):
            panel.set_axis_off()
            continue
        here = frame if wish.panels is None else frame[frame[wish.panels] == names[at]]
        _draw(wish, panel, here, norm)
        panel.set_title("" if names[at] is None else str(names[at]))
        bottom = at + columns >= len(names)
        panel.tick_params(labelbottom=bottom)
        panel.set_xlabel((wish.x_label or wish.x) if bottom else "")
        panel.set_ylabel((wish.y_label or wish.y) if at % columns == 0 else "")
    if norm is not None:
        colour_bar(
            figure, norm, mpl.colormaps["viridis"], ends="neither",
            label=wish.label or str(wish.colour), ax=list(axes.flat), length=height - 0.8,
        )  # fmt: skip
    words = f"{lost} row{'s' * (lost > 1)} without finite values not shown." if lost else ""
    theme.head_and_foot(figure, wish.title, " ".join(filter(None, [wish.footnote, words])))
    return figure


def _finite(wish: Scatter, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the rows that can be drawn, and how many cannot."""
    check_columns(
        frame, x=wish.x, y=wish.y, colour=wish.colour, joined=wish.joined, panels=wish.panels
    )
    columns = [wish.x, wish.y, *([wish.colour] if wish.colour else [])]
    fine = np.ones(len(frame), bool)
    for name in columns:
        try:
            fine &= np.isfinite(frame[name].to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {name!r} must hold numbers: {error}") from error
    if not fine.any():
        raise ValueError(f"no row of {len(frame)} has finite {', '.join(columns)}")
    return frame[fine], int((~fine).sum())


def _norm(wish: Scatter, frame: pd.DataFrame) -> Normalize | None:
    """Return how colour follows its column; None where dots have one colour."""
    if wish.colour is None:
        return None
    values = frame[wish.colour].to_numpy(dtype=np.float64)
    ends = grids.limits([values], wish.colour_scale)
    assert ends is not None  # noqa: S101  # there is a finite row
    return (LogNorm if wish.colour_scale == "log" else Normalize)(*ends)


def _draw(wish: Scatter, axes: Axes, frame: pd.DataFrame, norm: Normalize | None) -> None:
    if wish.zero:
        axes.axhline(0, color=theme.FADED, linewidth=0.4, zorder=0)
        axes.axvline(0, color=theme.FADED, linewidth=0.4, zorder=0)
    if wish.joined:
        for _, rows in frame.groupby(wish.joined, sort=False):
            axes.plot(rows[wish.x], rows[wish.y], color=theme.FADED, linewidth=0.4, zorder=1)
    look = (
        {"c": frame[wish.colour], "norm": norm, "cmap": "viridis"}
        if norm is not None
        else {"color": theme.PALETTE[0]}
    )
    axes.scatter(
        frame[wish.x], frame[wish.y], s=wish.size, linewidths=0.2, edgecolors="white", **look
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=theme.STEPS))
    if wish.equal:
        axes.set_aspect("equal", adjustable="datalim")
