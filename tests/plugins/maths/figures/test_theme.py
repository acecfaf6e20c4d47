"""The look: colours that can be told apart, and bytes that do not depend on local settings."""

import gc

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from plugins.maths.figures import theme


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Return the relative luminance of sRGB colours, by the definition of WCAG 2."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def drawn() -> Figure:
    with theme.style():
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([1, 2], [3, 4], label="curve")
    return figure


def test_larger_is_brighter_from_dark_purple_to_orange_yellow() -> None:
    colours = theme.sequential()(np.linspace(0, 1, 256))[:, :3]
    assert (np.diff(luminance(colours)) > 0).all()
    red, green, blue = colours[0]
    assert blue > red > green
    assert blue < 0.4
    red, green, blue = colours[-1]
    assert red > 0.9 > green > 0.6
    assert blue < 0.3


def test_line_colours_are_all_different_for_any_number() -> None:
    for count in (1, 7, 8, 30):
        assert len(set(theme.colours(count))) == count
    assert all(luminance(np.array(to_rgb(colour))) < 0.6 for colour in theme.PALETTE)


def test_local_settings_change_no_byte() -> None:
    before = theme.figure_files(drawn(), [".png", ".svg"])
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.hashsalt": "other"}):
        after = theme.figure_files(drawn(), [".png", ".svg"])
    assert before == after


def test_drawing_leaves_local_settings_as_they_were() -> None:
    before = mpl.rcParams["font.size"]
    with theme.style():
        assert mpl.rcParams["font.size"] == 8
    assert mpl.rcParams["font.size"] == before


def test_a_figure_is_laid_out_once_for_all_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    with theme.style():
        figure = Figure(figsize=(2, 1), layout="constrained")
        figure.subplots().plot([1, 2], [3, 4])
    before = figure.axes[0].get_position().height
    engine, times = figure.get_layout_engine(), []
    whole = engine.execute
    monkeypatch.setattr(engine, "execute", lambda one: times.append(whole(one)))
    theme.figure_files(figure, [".png", ".pdf", ".svg"], 300)
    assert len(times) == 1
    assert figure.axes[0].get_position().height != before  # room was made for the labels


def test_garbage_is_collected_again_after_a_picture() -> None:
    def draw() -> None:
        assert not gc.isenabled()
        raise ArithmeticError

    with pytest.raises(ArithmeticError), theme.uncollected():
        draw()
    assert gc.isenabled()


def test_an_unknown_suffix_is_refused_with_what_would_do() -> None:
    with pytest.raises(ValueError, match=r"'\.gif'; use one of \.png, \.svg, \.pdf"):
        theme.figure_files(drawn(), [".gif"])
