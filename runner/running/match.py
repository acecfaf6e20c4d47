"""The expressions of -k and -m, as in pytest: words joined by `and`, `or`, `not` and brackets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from runner.errors import UsageError

Test = Callable[[str], bool]  # whether a word holds of the node at hand
_TOKEN = re.compile(r"""\s*(?:(?P<mark>[()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'"""
                    r"""|(?P<word>[^\s()"']+))""")  # fmt: skip
_DEEPEST = 50


@dataclass(frozen=True)
class Match:
    """A parsed expression: ask `holds` with a test of words."""

    words: tuple[str, ...]
    holds: Callable[[Test], bool]


def parse_match(option: str, text: str) -> Match:
    """Return the expression that an option was given; an empty one holds of everything.

    A word is what stands between blanks and brackets; text in quotes is one word.

    Raises: UsageError with the column of what cannot be read.
    """
    if not text.strip():
        return Match((), lambda test: True)  # noqa: ARG005  # as in pytest
    return _Parser(option, text).parsed()


@dataclass(frozen=True)
class _Token:
    text: str
    column: int
    plain: bool  # not in quotes: may be a bracket, `and`, `or` or `not`


class _Parser:
    def __init__(self, option: str, text: str) -> None:
        self.option, self.text = option, text
        self.words: list[str] = []
        self.tokens: list[_Token] = []
        self.depth = 0
        end = len(text.rstrip())
        position = 0
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                self._stop("a quote that is not closed", start + 1)
            kind = found.lastgroup or "word"
            plain = kind in ("mark", "word")
            self.tokens.append(_Token(found[kind], found.start(kind) + plain, plain))
            position = found.end()
        self.tokens.append(_Token("", end + 1, True))

    def parsed(self) -> Match:
        holds = self._any()
        if self.tokens[0].text or not self.tokens[0].plain:
            self._stop(f"expected and, or, the end; found {self._here()}")
        return Match(tuple(self.words), holds)

    def _any(self) -> Callable[[Test], bool]:
        parts = [self._all()]
        while self._taken("or"):
            parts.append(self._all())
        return lambda test: any(part(test) for part in parts)

    def _all(self) -> Callable[[Test], bool]:
        parts = [self._not()]
        while self._taken("and"):
            parts.append(self._not())
        return lambda test: all(part(test) for part in parts)

    def _not(self) -> Callable[[Test], bool]:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._stop("nested too deeply")
        try:
            if self._taken("not"):
                inner = self._not()
                return lambda test: not inner(test)
            if self._taken("("):
                inner = self._any()
                if not self._taken(")"):
                    self._stop(f"expected and, or, a closing bracket; found {self._here()}")
                return inner
            return self._word()
        finally:
            self.depth -= 1

    def _word(self) -> Callable[[Test], bool]:
        token = self.tokens[0]
        if token.plain and token.text in ("", "and", "or", ")"):
            self._stop(f"expected not, a bracket or a word; found {self._here()}")
        self.tokens.pop(0)
        self.words.append(token.text)
        return lambda test: test(token.text)

    def _taken(self, text: str) -> bool:
        token = self.tokens[0]
        if not token.plain or token.text != text:
            return False
        self.tokens.pop(0)
        return True

    def _here(self) -> str:
        return f'"{self.tokens[0].text}"' if self.tokens[0].text else "the end"

    def _stop(self, message: str, column: int | None = None) -> NoReturn:
        at = column or self.tokens[0].column
        raise UsageError(f"{self.option} {self.text!r}: column {at}: {message}")
