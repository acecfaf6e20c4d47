"""Pieces of HTML that every part of a page is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_BREAK = re.compile(r"(?<=[_,/])|(?=\[)")  # where a long name may go on in the next line


def table(head: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "wide") -> str:
    """Return a table in a box that scrolls; cells are HTML, their opening tags included.

    One of the kind `stack` shows a row as a block where the page is narrow.
    """
    body = "".join(f"<tr>{''.join(f'{cell}</td>' for cell in row)}</tr>" for row in rows)
    names = "".join(f"{name}</th>" for name in head)
    inside = f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="box"><table class="{kind}">{inside}</table></div>'


def breakable(text: str) -> str:
    """Return a name that a narrow page may break where its words end."""
    return _BREAK.sub("<wbr>", escape(text))
