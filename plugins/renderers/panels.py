"""Panels side by side, each with curves, bands and points of its own, out of up to three tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plugins.maths.figures.picture import Picture
from plugins.maths.training.optimisers import Options
from runner.parameters import Real
from runner.types import Files, Table

Scale = Literal["linear", "log"]
Source = Literal["table", "second", "third"]
Colour = Literal["black", "grey", "blue", "red", "green", "purple", "orange", "sky"]


class Mark(Options):
    """What is drawn of one column over another."""

    table: Source = Field("table", description="which table it is drawn from")
    where: dict[str, str | bool | int | Real] = Field(
        {}, description="column -> value: only these rows"
    )
    x: str = Field(description="column along the horizontal axis")
    y: str = Field(description="column along the vertical axis")
    right: bool = Field(False, description="whether it belongs to the second, right axis")
    hue: str | None = Field(None, description="column with a line for each of its values")
    hue_by: Literal["colour", "dash"] = Field("colour", description="what tells those apart")
    replicate: str | None = Field(None, description="column (seed) whose rows are averaged")
    band: Literal["std", "range", "none"] = Field(
        "std", description="around the mean: one sample standard deviation, or least to largest"
    )
    line: bool = Field(True, description="a line through the means; else every row is a dot")
    dots: Real = Field(0.0, ge=0, description="size of the dots, points; 0: none")
    colour: Colour | None = Field(None, description="of the palette; none: the next one")
    dash: Literal["-", "--", ":", "-."] = Field("-", description="kind of line")
    opacity: Real = Field(0.2, gt=0, le=1, description="of the band")
    smooth: Real = Field(
        0.0,
        ge=0,
        description="standard deviation of a Gaussian along x, decades on a log axis, that smooths "
        "the line; as measured it stays behind, faded; 0: none",
    )
    fit: Literal["none", "line", "sigmoid"] = Field(
        "none", description="dotted shape through the points, a power law on two log axes"
    )
    label: str = Field("", description="in the legend; empty: the hue's value, else y's name")


class Rule(Options):
    """A straight line across a panel at a number over a table: a baseline, the best epoch."""

    at: str = Field(description="expression over the columns of its rows, 'mean(r2)'")
    axis: Literal["x", "y"] = Field("y", description="axis that holds the number; y: horizontal")
    table: Source = Field("table", description="which table the number is over")
    where: dict[str, str | bool | int | Real] = Field(
        {}, description="column -> value: only these rows"
    )
    colour: Colour = Field("grey", description="of the palette")
    dash: Literal["-", "--", ":", "-."] = Field("--", description="kind of line")
    label: str = Field("", description="in the legend; empty: none")


class Panel(Options):
    """One panel. `{expression:format}` in its title is a number over a table: `{mean(x):.4f}`."""

    marks: tuple[Mark, ...] = Field(min_length=1, description="what it shows, back to front")
    rules: tuple[Rule, ...] = Field((), description="straight lines across, behind the marks")
    diagonal: bool = Field(False, description="a line where x = y")
    title: str = Field("", description="above it, with numbers in braces")
    x_label: str = Field("", description="empty: the first mark's column")
    y_label: str = Field("", description="empty: the first mark's column")
    right_label: str = Field("", description="empty: the first right mark's column")
    x_scale: Scale = Field("linear", description="of the horizontal axis")
    y_scale: Scale = Field("linear", description="of the left axis")
    right_scale: Scale = Field("linear", description="of the right axis")
    y_limits: tuple[Real, Real] | None = Field(None, description="of the left axis; none: the data")


class Panels(Picture):
    """Draw panels in a row or grid, with one legend below for all of them.

    Means, bands and log axes are as in `lines`; columns are looked for when it is drawn. A label
    that several marks share stands in the legend once.

    Reads:  table, second, third: the columns that marks, rules and titles name.
    Raises: ValueError for a table that is not given, a missing column, two rows at one point of a
        line, no rows, columns that are not numbers, or a log axis without any positive value.
    Source: none; colours after Okabe and Ito, Color Universal Design, 2008 (red is vermilion).
    """

    panels: tuple[Panel, ...] = Field(min_length=1, description="panels in order, row by row")
    wrap: int | None = Field(None, ge=1, description="panels per row; None chooses")
    names: dict[str, str] = Field({}, description="column -> its name in labels and legend")
    width: Literal["auto", "column", "page"] = Field(
        "auto", description="3.4 in or 7 in; auto: column for one panel, else page"
    )

    def check_parameters(self) -> str | None:
        for at, panel in enumerate(self.panels):
            if panel.y_limits and panel.y_limits[0] >= panel.y_limits[1]:
                return f"panels[{at}].y_limits = {list(panel.y_limits)}: the lower end comes first"
            for place, mark in enumerate(panel.marks):
                if not (mark.line or mark.dots):
                    return f"panels[{at}].marks[{place}] draws nothing; give it a line or dots"
                if not mark.line and (mark.smooth or mark.fit != "none"):
                    return f"panels[{at}].marks[{place}] has no line to smooth or fit"
        return None

    def run(self, table: Table, second: Table | None = None, third: Table | None = None) -> Files:
        from plugins.maths.figures.panelplots import draw_panels

        if problem := self.check_parameters():
            raise ValueError(problem)
        given = {"table": table, "second": second, "third": third}
        frames = {name: value.frame for name, value in given.items() if value is not None}
        return self.drawn(lambda: draw_panels(self, frames))
