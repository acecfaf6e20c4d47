"""The look of every picture: sizes, fonts, colours, and figures turned into equal bytes each time.

Figures are plain `matplotlib.figure.Figure` objects; pyplot and its global figures are not used.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from runner.errors import listed
from runner.types import Files

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap

COLUMN = 3.4  # width of one paper column, inches
PAGE = 7.0  # width of a page's text, inches
DPI = 200
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
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs on every machine
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": 9,
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
    "lines.markersize": 3.0,
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
def style() -> Iterator[None]:
    """Draw with this theme inside the block, whatever the machine's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def sequential() -> Colormap:
    """Return the map for magnitudes: dark purple for the least, orange-yellow for the most."""
    inferno = mpl.colormaps["inferno"](np.linspace(0.13, 0.87, 256))
    return LinearSegmentedColormap.from_list("purple_to_yellow", inferno)


def colours(count: int) -> list[str]:
    """Return `count` line colours: distinct ones while they last, else a graded series."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    return [to_hex(c) for c in sequential()(np.linspace(0.0, 1.0, count))]


def figure_files(figure: Figure, suffixes: Iterable[str]) -> Files:
    """Return the figure in each format; equal figures give equal bytes, with no date in them.

    Args:
        figure: drawn under `style()`.
        suffixes: out of ".png" (200 dots per inch), ".svg" and ".pdf".

    Raises: ValueError for any other suffix.
    """
    suffixes = list(dict.fromkeys(suffixes))
    for suffix in suffixes:
        if suffix not in _METADATA:
            raise ValueError(f"cannot draw {suffix!r}; use one of {listed(_METADATA)}")
    contents = {}
    with style():
        for suffix in suffixes:
            stream = io.BytesIO()
            figure.savefig(stream, format=suffix[1:], metadata=_METADATA[suffix])
            contents[suffix] = stream.getvalue()
    return Files(contents)


def place_ticks(
    axis: Axis, positions: Iterable[float], labels: Iterable[str], minor: Iterable[float] = ()
) -> None:
    """Fix an axis's ticks and their labels; minor ticks stay unlabelled."""
    axis.set_ticks(list(positions), labels=list(labels))
    axis.set_ticks(list(minor), minor=True, labels=[])


def head_and_foot(figure: Figure, title: str, footnote: str) -> None:
    """Write the title above and the footnote, small and at the left, below all panels."""
    width = figure.get_figwidth() * 72
    if title:
        figure.suptitle(textwrap.fill(title, int(width / (9 * 0.58))))
    if footnote:
        text = textwrap.fill(footnote, int(width / (SMALL * 0.54)))
        figure.supxlabel(text, x=0.01, ha="left", fontsize=SMALL, color=FADED)
