"""A table as the named variants of an axis, in TOML that a spec takes over by `extends`."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pydantic import Field

from plugins.maths.figures.views import check_columns, check_unique
from runner.parameters import Column, Text
from runner.plugin import Renderer
from runner.types import Files, Table

_DOTTED = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\Z")
_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


class Variants(Renderer):
    """Write `name = { column = value, ... }` for each row, in order, below one header.

    Numbers are written so that reading them gives the same bits.

    Reads:  table: the columns of name, keep and note; numbers, booleans and text.
    Raises: ValueError for a missing column, a name that is no bare key or stands twice, a number
        that is not finite, or no rows.
    Source: TOML 1.0.
    """

    writes: ClassVar[tuple[str, ...]] = (".toml",)

    name: Column = Field(description="column whose values name the variants")
    keep: tuple[Column, ...] = Field(min_length=1, description="columns that become fields")
    header: Text = Field(description='the table that holds them, "axes.sampler"')
    extends: Text = Field("", description="what the file extends; empty: nothing")
    comment: Text = Field("", description="what the file says of itself, at its head")
    note: Column | None = Field(None, description="column written as a comment above each variant")

    def check_parameters(self) -> str | None:
        if not _DOTTED.match(self.header):
            return f'header = {self.header!r} must be names joined by points, as "axes.sampler"'
        return None

    def run(self, table: Table) -> Files:
        if problem := self.check_parameters():
            raise ValueError(problem)
        frame = table.frame
        wanted = {"name": self.name, "note": self.note}
        check_columns(frame, **wanted, **{f"keep[{i}]": name for i, name in enumerate(self.keep)})
        check_unique(frame, [self.name], "A variant has one row; gather fewer axes.")
        if frame.empty:
            raise ValueError("the table has no rows: an axis needs one value at least")
        lines = [f"# {line}" for line in self.comment.splitlines()]
        if self.extends:
            lines += [f"extends = {_spelled(self.extends, 'extends')}", ""]
        lines.append(f"[{self.header}]")
        for row in frame.to_dict("records"):
            name = str(row[self.name])
            if not _KEY.match(name):
                raise ValueError(f"{name!r} cannot name a variant: letters, digits, _ and - only")
            fields = [f"{key} = {_spelled(row[key], f'{name}.{key}')}" for key in self.keep]
            if self.note:
                lines.append(f"# {name}: {row[self.note]}")
            lines.append(f"{name} = {{ {', '.join(fields)} }}")
        return Files({".toml": ("\n".join(lines) + "\n").encode()})


def _spelled(value: Any, where: str) -> str:
    """Return a value as TOML writes it."""
    import json
    import math

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        raise ValueError(f"{where} = {value}: there is no number to write")
    return repr(float(value))
