"""Scalars and pictures as an event file, which TensorBoard shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from plugins.maths.figures.views import check_columns, check_unique
from plugins.maths.training.optimisers import Options
from runner.errors import listed
from runner.parameters import Real
from runner.plugin import Renderer
from runner.types import Files, Table

if TYPE_CHECKING:
    import pandas as pd

Point = tuple[int, str, float]  # step, tag, value


class Scalar(Options):
    """A column over steps: one curve, or one for each value of the columns in `hue`."""

    table: Literal["table", "second", "third"] = Field("table", description="which table")
    where: dict[str, str | bool | int | Real] = Field(
        {}, description="column -> value: only these rows"
    )
    x: str = Field("step", description="column of whole numbers, the step")
    y: str = Field(description="column of the values")
    hue: tuple[str, ...] = Field((), description="columns whose values end the tag: loss/seed_1")
    tag: str = Field("", description="name of the curve; empty: y")


class Tensorboard(Renderer):
    """Write curves of up to three tables and up to four pictures into one event file.

    `tensorboard --logdir FOLDER` shows the files in a folder whose names hold "tfevents". Neither a
    clock nor a machine's name is in them: the time of an event is its step, in seconds after 1970.
    Values are kept in single precision, as the format has them. Pictures stand at the last step.

    Reads:  table, second, third: the columns that `scalars` names, values that are numbers or
            booleans; picture, second_picture, third_picture, fourth_picture: files with a .png.
    Raises: ValueError for a table that is not given, a missing column, no rows, two rows at one
            step of a curve, a step that is no whole number, a value that is no number or too large
            for single precision, two curves or pictures of one tag, or pictures that are not as
            many as their tags, or no PNG.
    Source: tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto; framing:
            tensorflow/core/lib/io/record_writer.h, with the CRC of RFC 3720.
    """

    writes: ClassVar[tuple[str, ...]] = (".tfevents",)

    scalars: tuple[Scalar, ...] = Field(min_length=1, description="curves")
    pictures: tuple[str, ...] = Field(
        (), max_length=4, description="tags of picture, second_picture, ..., in this order"
    )

    def check_parameters(self) -> str | None:
        if twice := [tag for tag in self.pictures if self.pictures.count(tag) > 1]:
            return f"pictures holds {twice[0]!r} twice"
        return None

    def run(
        self,
        table: Table,
        second: Table | None = None,
        third: Table | None = None,
        *,
        picture: Files | None = None,
        second_picture: Files | None = None,
        third_picture: Files | None = None,
        fourth_picture: Files | None = None,
    ) -> Files:
        from plugins.maths.files.event_files import written

        if problem := self.check_parameters():
            raise ValueError(problem)
        given = {"table": table, "second": second, "third": third}
        frames = {name: value.frame for name, value in given.items() if value is not None}
        points = list(self._points(frames))
        shown = [picture, second_picture, third_picture, fourth_picture]
        pictures = self._pictures([one for one in shown if one is not None])
        if twice := sorted({tag for _, tag, _ in points} & set(pictures)):
            raise ValueError(f"pictures: {twice[0]!r} is a curve's tag too")
        return Files({".tfevents": written(points, pictures, max(step for step, _, _ in points))})

    def _points(self, frames: Mapping[str, pd.DataFrame]) -> Iterator[Point]:
        taken: set[str] = set()
        for at, one in enumerate(self.scalars):
            if one.table not in frames:
                raise ValueError(f"scalars[{at}].table = {one.table!r}: no such table is given")
            found = list(_curves(frames[one.table], one, at))
            tags = {tag for _, tag, _ in found}
            if twice := sorted(taken & tags):
                raise ValueError(f"scalars[{at}]: {twice[0]!r} is there already; give it a tag")
            taken |= tags
            yield from found

    def _pictures(self, given: list[Files]) -> dict[str, bytes]:
        if len(given) != len(self.pictures):
            raise ValueError(
                f"{len(given)} pictures are given, but pictures = {list(self.pictures)} names "
                f"{len(self.pictures)}"
            )
        pictures = {}
        for tag, files in zip(self.pictures, given, strict=True):
            if ".png" not in files.contents:
                raise ValueError(f"{tag}: TensorBoard shows .png, not {listed(files.contents)}")
            pictures[tag] = files.contents[".png"]
        return pictures


def _curves(frame: pd.DataFrame, wish: Scalar, at: int) -> Iterator[Point]:
    place = f"scalars[{at}]"
    columns = {f"{place}.where": name for name in wish.where}
    columns |= {f"{place}.hue[{n}]": name for n, name in enumerate(wish.hue)}
    check_columns(frame, **{f"{place}.x": wish.x, f"{place}.y": wish.y}, **columns)
    for name, value in wish.where.items():
        frame = frame[frame[name] == value]
    if frame.empty:
        raise ValueError(f"{place}: there are no rows")
    for name in (wish.x, wish.y):
        if frame[name].dtype.kind not in "iufb":
            raise ValueError(f"{place}: column {name!r} holds {frame[name].dtype}, no numbers")
    steps = frame[wish.x].astype("float64")
    if not (whole := steps % 1 == 0).all():
        raise ValueError(f"{place}.x = {wish.x!r}: {steps[~whole].iloc[0]} is no whole number")
    check_unique(frame, [wish.x, *wish.hue], "Name what tells curves apart in hue, or use where.")
    frame = frame.sort_values([wish.x, *wish.hue], kind="stable")
    tags = [wish.tag or wish.y] * len(frame)
    for name in wish.hue:
        tags = [f"{tag}/{name}_{value}" for tag, value in zip(tags, frame[name], strict=True)]
    values = frame[wish.y].astype("float64")
    yield from zip(frame[wish.x].astype(int), tags, values, strict=True)
