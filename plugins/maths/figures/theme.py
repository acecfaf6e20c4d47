"""The look of every picture: sizes, fonts, colours, and figures turned into equal bytes each time.

Figures are plain `matplotlib.figure.Figure` objects; pyplot and its global figures are not used.
"""

from __future__ import annotations

import gc
import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from runner.errors import listed
from runner.types import Files

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap

COLUMN = 3.4  # width of one paper column, inches
PAGE = 7.0  # width of a page's text, inches
DPI = 200
TITLE = 9  # points; above everything
SMALL = 6.5  # points; notes, footnotes, tick labels
INK, FADED, MASKED = "#1a1a1a", "#5c5c5c", "#d4d4d4"

# Okabe and Ito's colours, told apart by the colour-blind, less their yellow: too pale a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STEPS = (1, 2, 2.5, 5, 10)  # of linear ticks, times a power of ten
DASHES = ("-", "--", ":", "-.")

_RC = {
    "figure.dpi": 100,
    "savefig.dpi": DPI,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs everywhere
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": TITLE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.formatter.use_mathtext": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 2.8,
    "lines.markeredgewidth": 0,
    "hatch.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "pdf.fonttype": 42,  # TrueType: text stays text, as publishers ask
    "svg.fonttype": "path",
    "svg.hashsalt": "runner",  # else the ids inside an SVG are drawn anew each time
}

# Keys whose None keeps a date or a library version out of the bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the garbage collector: a figure's many parts would set it off again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def style() -> Iterator[None]:
    """Draw with this theme inside the block, whatever a local matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def sequential() -> Colormap:
    """Return the map for magnitudes: dark purple for the least, orange-yellow for the most."""
    inferno = mpl.colormaps["inferno"].colors[33:223]  # without near black and pale yellow
    return LinearSegmentedColormap.from_list("purple_to_yellow", inferno)


def colours(count: int) -> list[str]:
    """Return `count` line colours: distinct ones while they last, else a graded series."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    return [to_hex(c) for c in sequential()(np.linspace(0.0, 1.0, count))]


def figure_files(figure: Figure, suffixes: Iterable[str], dpi: int = DPI) -> Files:
    """Return the figure in each format; equal figures give equal bytes, with no date in them.

    Args:
        figure: drawn under `style()`.
        suffixes: out of ".png", ".svg" and ".pdf".
        dpi: dots an inch of a PNG, and of what the other two hold as dots.

    Raises: ValueError for any other suffix.
    """
    suffixes = list(dict.fromkeys(suffixes))
    for suffix in suffixes:
        if suffix not in _METADATA:
            raise ValueError(f"cannot draw {suffix!r}; use one of {listed(_METADATA)}")
    contents = {}
    with style():
        _lay_out(figure, dpi)
        for suffix in suffixes:
            stream = io.BytesIO()
            figure.savefig(stream, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
            contents[suffix] = stream.getvalue()
    return Files(contents)


def _lay_out(figure: Figure, dpi: int) -> None:
    """Place everything, once for all formats; left to savefig, each would be drawn twice for it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.set_dpi(dpi)  # whole dots: where a text ends depends on their size
        engine.execute(figure)
        figure.set_layout_engine("none")


def place_ticks(
    axis: Axis, positions: Iterable[float], labels: Iterable[str], minor: Iterable[float] = ()
) -> None:
    """Fix an axis's ticks and their labels; minor ticks stay unlabelled."""
    axis.set_ticks(list(positions), labels=list(labels))
    axis.set_ticks(list(minor), minor=True, labels=[])


class PlainFormatter(ScalarFormatter):
    """Linear ticks whose labels are text, not mathematics, which takes a hundred times as long.

    Only the power of ten that all labels share is mathematics.
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick."""
        label = super().__call__(x, pos)
        return label.removeprefix(r"$\mathdefault{").removesuffix("}$") if label else label


def linear_ticks(axis: Axis, most: int) -> None:
    """Set round ticks on a linear axis, `most` steps apart at most."""
    axis.set_major_locator(MaxNLocator(most, steps=STEPS))
    axis.set_major_formatter(PlainFormatter())


def head_and_foot(figure: Figure, title: str, footnote: str) -> None:
    """Write the title above and the footnote, small and at the left, below all panels."""
    if title:
        figure.suptitle(wrapped(figure, title, TITLE))
    if footnote:
        text = wrapped(figure, footnote, SMALL)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=SMALL, color=FADED)


def wrapped(figure: Figure, text: str, size: float) -> str:
    """Return text broken into lines that fit the figure's width in letters of `size` points."""
    return textwrap.fill(text, int(figure.get_figwidth() * 72 / (size * 0.57)))


def legend_and_foot(
    figure: Figure, entries: Sequence[tuple[str, dict[str, Any]]], footnote: str
) -> None:
    """Place a legend below all panels and the footnote below that; the figure grows by both.

    Args:
        figure: with constrained layout, its panels drawn.
        entries: label and line properties of each line of the legend.
        footnote: may be empty.
    """
    used, parts = 0.0, []  # inches
    if footnote:
        text = wrapped(figure, footnote, SMALL)
        parts.append(figure.text(0.01, 0.0, text, fontsize=SMALL, color=FADED, va="bottom"))
    if entries:
        longest = max(len(label) for label, _ in entries)
        fit = max(1, int(figure.get_figwidth() * 72 / (longest * 7 * 0.57 + 34)))
        rows = -(-len(entries) // fit)
        lines = [Line2D([], [], **look) for _, look in entries]
        parts.append(
            figure.legend(
                lines, [label for label, _ in entries], ncols=-(-len(entries) // rows),
                loc="lower center", bbox_to_anchor=(0.5, 0.0), borderaxespad=0,
                borderpad=0, handlelength=2.2, columnspacing=1.2,
            )
        )  # fmt: skip
    renderer = FigureCanvasAgg(figure).get_renderer()  # a layout of all panels is not needed here
    inches = [part.get_window_extent(renderer).height / figure.dpi + 0.05 for part in parts]
    height = figure.get_figheight() + sum(inches)
    for part, tall in zip(parts, inches, strict=True):
        part.set_in_layout(False)  # its room is kept by `rect` below
        if isinstance(part, Legend):
            part.set_bbox_to_anchor((0.5, (used + 0.03) / height))
        else:
            part.set_y((used + 0.03) / height)
        used += tall
    figure.set_figheight(height)
    figure.get_layout_engine().set(rect=(0, used / height, 1, 1 - used / height))
