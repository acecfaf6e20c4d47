"""Problems of specs with their places, and how they are told: to people, to GitHub, to programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.errors import Problem, SpecError
from runner.language.layers import LayeredError, Origin
from runner.language.places import Places

FORMATS = ("text", "github", "json")


@dataclass(frozen=True)
class Fault:
    """A problem at its place; `file` is None where an option of the command line is wrong.

    `line` and `column` count from 1; they are None where the file or the plugin as a whole is
    wrong. `where` is the dotted place in the spec, `probes.llc.steps`, or an option.
    """

    file: str | None
    line: int | None
    column: int | None
    where: str
    message: str

    @property
    def text(self) -> str:
        """The fault as one line, `file:line:column: where: message`."""
        place = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        return ": ".join(part for part in (":".join(place), self.where, self.message) if part)


def near_path(path: Path) -> str:
    """Return a path as a person in the current folder would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return os.path.relpath(path) if path.is_absolute() else str(path)


def faults(error: Exception, spec: Path) -> list[Fault]:
    """Return what is wrong with a spec, in order of place; other errors concern the whole file."""
    if not isinstance(error, SpecError):
        return [Fault(near_path(spec), None, None, "", str(error))]
    texts: dict[Path, Places | None] = {}
    found = sorted(
        (_placed(problem, error, spec, texts) for problem in error.problems),
        key=lambda placed: placed[0],
    )
    return [fault for _, fault in found]


def _placed(
    problem: Problem, error: SpecError, spec: Path, texts: dict[Path, Places | None]
) -> tuple[tuple[str, int, int, str], Fault]:
    layers = error.layers if isinstance(error, LayeredError) else None
    origin = layers.origin(problem.where) if layers else Origin(problem.file or spec, problem.where)
    where = ".".join(str(part) for part in problem.where)
    if problem.where == () and problem.file is None and problem.message.startswith("--"):
        fault = Fault(None, None, None, "", problem.message)
        return ("", 0, 0, fault.text), fault
    if origin.file is None:
        where = f"{origin.text}: {where}" if where else origin.text
        fault = Fault(None, None, None, where, problem.message)
        return ("", 0, 0, fault.text), fault
    file = problem.file or origin.file
    line, column = problem.line or 1, problem.column or 1
    if problem.line is None and (places := _places(file, texts)) is not None:
        line, column = places.find(origin.where, problem.at)
    fault = Fault(near_path(file), line, column, where, problem.message)
    return (str(file), line, column, fault.text), fault


def _places(file: Path, texts: dict[Path, Places | None]) -> Places | None:
    if file not in texts:
        try:
            texts[file] = Places(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            texts[file] = None
    return texts[file]


def as_json(found: Sequence[Fault]) -> str:
    """Return faults as a JSON list of tables with file, line, column, where and message."""
    return json.dumps([asdict(fault) for fault in found], indent=1, ensure_ascii=False)


def as_github(found: Iterable[Fault]) -> list[str]:
    """Return faults as GitHub's workflow commands, each told once however many specs share it."""
    lines = []
    for fault in found:
        place = {"file": fault.file, "line": fault.line, "col": fault.column}
        given = [f"{k}={_property(str(v))}" for k, v in place.items() if v is not None]
        message = f"{fault.where}: {fault.message}" if fault.where else fault.message
        lines.append(f"::error{' ' if given else ''}{','.join(given)}::{_data(message)}")
    return list(dict.fromkeys(lines))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
