"""TOML text -> one merged table: `extends`, then a profile, then `--set`; lists replace.

Every merged key remembers the file and place it came from, so that an error points there.
"""

from __future__ import annotations

import copy
import functools
import math
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from runner.errors import Problem, SpecError, Where, given, listed, near

_SYNTAX = re.compile(r"^(.*?) ?\(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)

_REWORDED: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^illegal character '\\n'$", "a text is not closed on its line"),
    (r"^unterminated string$", "a text is not closed"),
    (r"^cannot overwrite a value$", "this key is given twice"),
    (r"^cannot declare \((.*?),?\) twice$", lambda m: f"table [{_dotted(m[1])}] is given twice"),
)


def _dotted(names: str) -> str:
    return ".".join(part.strip().strip("'") for part in names.split(","))


@dataclass(frozen=True)
class Origin:
    """Where a merged value was written."""

    file: Path | None  # None: the command line
    where: Where
    text: str = ""  # the option as typed, for the command line


@dataclass
class Layers:
    """A spec's files merged into one table, with the origin of each key."""

    path: Path
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Where, Origin] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    overridden: bool = False  # by a profile or the command line

    def mentions(self, name: str) -> bool:
        """Whether some file writes `$name`, be it overridden."""
        pattern = re.compile(rf"\${name}\b")
        return any(pattern.search(text) for text in self.texts.values())

    def origin(self, where: Where) -> Origin:
        """Return the origin of the longest known prefix of `where`, extended by the rest."""
        for end in range(len(where), 0, -1):
            if where[:end] in self.origins:
                found = self.origins[where[:end]]
                return Origin(found.file, (*found.where, *where[end:]), found.text)
        return Origin(self.path, where)

    def merge(self, table: dict[str, Any], origin: Origin, base: Where = ()) -> None:
        """Merge a table below `base`: tables join key by key, everything else replaces."""
        target = self.data
        for part in base:
            target = target.setdefault(str(part), {})
        self._merge(target, table, origin, base)

    def _merge(self, old: dict[str, Any], new: dict[str, Any], origin: Origin, at: Where) -> None:
        for key, value in new.items():
            where = (*at, key)
            here = Origin(origin.file, (*origin.where, key), origin.text)
            whole = at == ("axes",)  # an axis is replaced whole: its forms exclude one another
            if isinstance(value, dict) and isinstance(old.get(key), dict) and not whole:
                self._merge(old[key], value, here, where)  # what it does not name stays where it is
                continue
            for known in [w for w in self.origins if w[: len(where)] == where]:
                del self.origins[known]
            old[key] = copy.deepcopy(value)
            self.origins[where] = here


def read(path: Path, profile: str | None = None, sets: Sequence[str] = ()) -> Layers:
    """Return the merged table of a spec file.

    Raises: SpecError for unreadable files, broken TOML, unknown profiles and bad `--set`.
    """
    layers = Layers(path)
    _read_into(layers, path, [])
    profiles = layers.data.pop("profiles", {})
    _check_profiles(layers, profiles)
    if profile is not None:
        if profile not in profiles:
            message = (
                f'no profile "{profile}"{near(profile, profiles)} (there are: {listed(profiles)})'
            )
            raise SpecError([Problem((), message, path)])
        origin = layers.origin(("profiles", profile))
        layers.merge(profiles[profile], origin)
    for option in sets:
        _set(layers, option)
    layers.overridden = profile is not None or bool(sets)
    if problems := alien(layers.data, ()):
        raise LayeredError(problems, layers)
    return layers


def profile_names(path: Path) -> list[str]:
    """Return the names of the profiles of a spec and of what it extends.

    Raises: SpecError for unreadable files, broken TOML and profiles that are no tables.
    """
    layers = Layers(path)
    _read_into(layers, path, [])
    profiles = layers.data.get("profiles", {})
    _check_profiles(layers, profiles)
    return list(profiles)


def _check_profiles(layers: Layers, profiles: Any) -> None:
    if not isinstance(profiles, dict):
        message = f"must be tables such as [profiles.paper.axes], not {given(profiles)}"
        raise LayeredError([Problem(("profiles",), message)], layers)
    wrong = [
        Problem(("profiles", name), f"a profile is a table, not {given(table)}")
        for name, table in profiles.items()
        if not isinstance(table, dict)
    ]
    if wrong:
        raise LayeredError(wrong, layers)


def _read_into(layers: Layers, path: Path, chain: list[Path]) -> None:
    if path in chain:
        cycle = " -> ".join(p.name for p in [*chain, path])
        raise SpecError([Problem(("extends",), f"specs extend one another: {cycle}", chain[-1])])
    try:
        content = path.read_bytes()
    except OSError as error:
        where, file = (("extends",), chain[-1]) if chain else ((), path)
        message = f"cannot read {path}: {error.strerror or error}"
        raise SpecError([Problem(where, message, file)]) from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"not UTF-8 text (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        raise SpecError([Problem((), message, path, line=line, column=column)]) from error
    layers.texts[path] = text
    try:
        data = copy.deepcopy(_parsed(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError([_syntax_problem(path, text, str(error))]) from error
    except RecursionError as error:
        raise SpecError([Problem((), "nested too deeply", path)]) from error
    base = data.pop("extends", None)
    if base is not None:
        if not isinstance(base, str):
            message = f"must be the path of a spec, as text, not {given(base)}"
            raise SpecError([Problem(("extends",), message, path)])
        _read_into(layers, (path.parent / base).resolve(), [*chain, path])
    layers.merge(data, Origin(path, ()))


@functools.lru_cache(maxsize=32)
def _parsed(text: str) -> dict[str, Any]:
    """Return what TOML says; many specs extend one file. The result is shared: copy it."""
    return tomllib.loads(text)


def _syntax_problem(path: Path, text: str, message: str) -> Problem:
    lines = text.split("\n")
    match = _SYNTAX.match(message)
    if match is None:
        return Problem((), message, path, line=1, column=1)
    told = match[1][:1].lower() + match[1][1:]
    for pattern, words in _REWORDED:
        told = re.sub(pattern, words, told)
    if match[2] is None:
        column = len(lines[-1]) + 1
        return Problem((), f"{told}; the file ends here", path, line=len(lines), column=column)
    line, column = int(match[2]), int(match[3])
    shown = lines[line - 1] if line <= len(lines) else ""
    if match[1].startswith("Cannot"):  # it is the key that is wrong, not the end of its value
        column = len(shown) - len(shown.lstrip(" \t[")) + 1
    return Problem((), f"{told}: {shown.strip()}", path, line=line, column=column)


def _set(layers: Layers, option: str) -> None:
    """Apply `a.b.c=value`; inner tables of the path may be left out when only one place fits."""
    path, equals, text = option.partition("=")
    parts = tuple(part.strip() for part in path.split("."))
    if not equals or not all(parts):
        message = f"--set {option}: write table.key=value, for example --set probes.llc.steps=200"
        raise SpecError([Problem((), message)])
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    where = _full_path(layers.data, parts, option)
    origin = Origin(None, (), f"--set {option}")
    layers.merge({where[-1]: value}, origin, where[:-1])
    layers.origins[where] = origin


def _full_path(data: dict[str, Any], parts: tuple[str, ...], option: str) -> tuple[str, ...]:
    table: Any = data
    for position, part in enumerate(parts[:-1]):
        if not isinstance(table, dict) or not isinstance(table.get(part), dict):
            if position == 0 and part in ("params", "axes"):
                return parts
            known = [k for k, v in table.items() if isinstance(v, dict)] if table else []
            if position >= 2 and isinstance(table, dict) and part not in table:
                return parts  # a new option table: validation judges it
            message = (
                f'--set {option}: no table "{part}"{near(part, known)} (there are: {listed(known)})'
            )
            raise SpecError([Problem((), message)])
        table = table[part]
    if parts[-1] in table or not parts[:-1]:
        return parts
    inner = [(*parts[:-1], *found) for found in _paths_to(table, parts[-1])]
    if len(inner) > 1:
        options = listed(".".join(p) for p in inner)
        raise SpecError([Problem((), f"--set {option}: which one? {options}")])
    return inner[0] if inner else parts


def _paths_to(table: dict[str, Any], key: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            if key in value:
                found.append((name, key))
            found += [(name, *rest) for rest in _paths_to(value, key)]
    return found


def alien(value: Any, where: Where) -> list[Problem]:
    """Return a problem for each value that TOML has and a spec has not: infinities, nan, dates."""
    if isinstance(value, dict):
        return [p for key, inner in value.items() for p in alien(inner, (*where, key))]
    if isinstance(value, list):
        return [p for place, inner in enumerate(value) for p in alien(inner, (*where, place))]
    if isinstance(value, float) and not math.isfinite(value):
        return [Problem(where, f"{value} is not a finite number")]
    if isinstance(value, (date, time)):
        return [Problem(where, f'{value} is a date; write it as text, "{value}"')]
    return []


class LayeredError(SpecError):
    """Problems whose places are found through the layers they were merged from."""

    def __init__(self, problems: Sequence[Problem], layers: Layers) -> None:
        super().__init__(problems)
        self.layers = layers
