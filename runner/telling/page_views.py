"""What a run wrote, on its page: pictures and tables within it while there is room, else linked."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from runner.telling.account import PICTURES, TEXTS, Account, Sheet, Summary, rounded
from runner.telling.markup import breakable, table

MOST_EMBEDDED = 6_000_000  # bytes before base64, of all files; what is beyond is linked
_MOST_IN_LINK = 200_000
_ROWS = 8
_SHEETS = 60  # tables of a step that are shown
_MIME = {
    ".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".gif": "image/gif", ".webp": "image/webp",
}  # fmt: skip


@dataclass
class Embedded:
    """The bytes that the page holds in itself, which must stay small enough to be sent."""

    used: int = 0

    def takes(self, size: int) -> bool:
        """Whether a file of a size in bytes still has room; then it is counted."""
        if self.used + size > MOST_EMBEDDED:
            return False
        self.used += size
        return True


def figures(told: Account, room: Embedded) -> Iterator[str]:
    """Yield the pictures, each once, with links to its other formats."""
    drawn = set()
    for view in told.views:
        path = PurePosixPath(view)
        stem = str(path.with_suffix(""))
        if path.suffix not in PICTURES or stem in drawn:
            continue
        drawn.add(stem)
        data = (told.folder / view).read_bytes()
        others = [v for v in told.views if str(PurePosixPath(v).with_suffix("")) == stem]
        links = " ".join(f'<a href="{quote(v)}" download>{breakable(v)}</a>' for v in others)
        caption = f"{links} from step <code>{escape(told.step_of.get(view, ''))}</code>"
        if holes := told.manifest.get("partial", {}).get(view):
            caption += f", <b>drawn with holes: {escape(str(holes))}</b>"
        if not room.takes(len(data)):
            yield f"<p>{caption}, too large for this page</p>"
            continue
        image = f'<img alt="{escape(view)}" src="{_data(data, _MIME[path.suffix])}">'
        yield f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _data(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def tables(told: Account, room: Embedded) -> Iterator[str]:
    """Yield the tables of each step: a summary, and the first rows of each."""
    for step in dict.fromkeys(sheet.step for sheet in told.sheets):
        found = [sheet for sheet in told.sheets if sheet.step == step]
        sheets = found[:_SHEETS]
        yield f"<h3><code>{breakable(step)}</code></h3>"
        if any(sheet.columns for sheet in sheets):
            yield _summary(sheets)
        for sheet in sheets:
            yield _sheet(told, sheet, room)
        if rest := len(found) - len(sheets):
            yield f'<p class="soft">and {rest} more files beside this page</p>'


def _summary(sheets: list[Sheet]) -> str:
    names = list(dict.fromkeys(c.column for sheet in sheets for c in sheet.columns))
    health = any(sheet.unhealthy is not None for sheet in sheets)
    over = " over healthy rows" if health else ""
    head = ["<th>file", '<th class="n">rows', *(['<th class="n">unhealthy'] if health else [])]
    head += [f'<th class="n">{escape(name)}' for name in names]
    rows = []
    for sheet in sheets:
        found = {column.column: _range(column) for column in sheet.columns}
        row = [f'<td class="k">{escape(sheet.view)}', f'<td class="n">{len(sheet.rows)}']
        row += [f'<td class="n">{sheet.unhealthy or 0}'] if health else []
        rows.append(row + [f'<td class="n">{found.get(name, "–")}' for name in names])
    return f'<p class="soft">Mean; below it least … greatest{over}.</p>' + table(head, rows)


def _range(column: Summary) -> str:
    mean, low, high = (f"{value:.4g}" for value in (column.mean, column.low, column.high))
    return mean if low == high else f'{mean}<br><span class="soft">{low} … {high}</span>'


def _sheet(told: Account, sheet: Sheet, room: Embedded) -> str:
    numeric = {
        at
        for at in range(len(sheet.header))
        if all(_is_number(row[at]) for row in sheet.rows[:_ROWS] if len(row) > at)
    }
    marks = ['class="n"' if at in numeric else "" for at in range(len(sheet.header))]
    head = [f"<th {marks[at]}>{escape(name)}" for at, name in enumerate(sheet.header)]
    rows = [
        [f"<td {marks[at]}>{escape(rounded(cell))}" for at, cell in enumerate(row[: len(head)])]
        for row in sheet.rows[:_ROWS]
    ]
    target = quote(sheet.view)
    if sheet.size <= _MOST_IN_LINK and room.takes(sheet.size):
        target = _data((told.folder / sheet.view).read_bytes(), "text/csv;charset=utf-8")
    file = escape(PurePosixPath(sheet.view).name)
    shown = f"; here the first {_ROWS} rows" if len(sheet.rows) > _ROWS else ""
    link = f'<a download="{file}" href="{target}">download {file}</a>, {sheet.size:,} bytes{shown}'
    count = f'<span class="soft">{len(sheet.rows)} row{"s" if len(sheet.rows) != 1 else ""}</span>'
    summary = f"<summary>{breakable(sheet.view)} {count}</summary>"
    return f"<details>{summary}<p>{link}</p>{table(head, rows)}</details>"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def files(told: Account) -> Iterator[str]:
    """Yield links to what is neither table nor picture, and how texts begin."""
    shown = {sheet.view for sheet in told.sheets}
    pictured = {str(PurePosixPath(v).with_suffix("")) for v in told.views
                if PurePosixPath(v).suffix in PICTURES}  # fmt: skip
    for view in told.views:
        path = PurePosixPath(view)
        if view in shown or str(path.with_suffix("")) in pictured:
            continue
        size = (told.folder / view).stat().st_size
        yield f'<p><a href="{quote(view)}" download>{escape(view)}</a>, {size:,} bytes</p>'
        if path.suffix in TEXTS and size <= _MOST_IN_LINK:
            text = (told.folder / view).read_text("utf-8", errors="replace")
            lines = text.splitlines()
            more = f"\n... {len(lines) - 20} more lines" if lines[20:] else ""
            yield f'<div class="box"><pre>{escape(chr(10).join(lines[:20]) + more)}</pre></div>'
