"""A run as a study report in Markdown: question, set-up, verdicts, results, limits, commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from runner.language import written
from runner.telling.account import PICTURES, Account, Sheet, Told, command, nodes_of, rounded

_ROWS = 8
_MOST_TEXT = 50_000  # bytes of a text that stands in the report
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")
_FRAME = ("use", "claim")


def study(told: Account) -> str:
    """Return the Markdown of a run."""
    manifest = told.manifest
    parts = [
        f"# {_plain(manifest['title'])}",
        _date(manifest),
        *([f"**Question.** {_plain(manifest['question'])}"] if manifest["question"] else []),
        "## Set-up", *_setup(manifest["resolved"]),
        *_checks(told.checks, "expect", "Expectations"),
        *_checks(told.checks, "hypotheses", "Hypotheses"),
        *_results(told), *_texts(told), *_figures(told),
        "## Limits", "\n".join(f"- {line}" for line in _limits(told)),
        "## Made with", _made(told),
        "## Do it again", f"```sh\n{command(manifest)}\n```",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _date(manifest: Mapping[str, Any]) -> str:
    profile = manifest["wish"]["profile"] or "none"
    return f"Date: {manifest['started'][:10]}. Profile: {profile}. Run: {manifest['run']}."


def _plain(text: str) -> str:
    """Return text so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _code(text: str) -> str:
    """Return text as code, also where it holds a bar or a backtick."""
    line = " ".join(str(text).split()).replace("|", "\\|")
    if not line:
        return ""
    fence = "``" if "`" in line else "`"
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _setup(resolved: Mapping[str, Any]) -> Iterator[str]:
    rows = [["seed", "", _code(resolved.get("seed", 0))]]
    for kind in ("params", "axes"):
        for name, value in resolved.get(kind, {}).items():
            word = "axis" if kind == "axes" else "parameter"
            rows.append([f"{word} {_code(name)}", "", _code(written.value(value))])
    for family in ("data", "models", "trainers", "perturbations", "probes", "renderers"):
        steps = resolved.get(family, {})
        for name, body in steps.items():
            given = {k: v for k, v in body.items() if k not in _FRAME}
            shown = ", ".join(f"{k} = {written.value(v)}" for k, v in given.items())
            rows.append([_code(name), _plain(f"{family}/{_use(steps, body)}"), _code(shown)])
    yield _table(["what", "plugin", "value"], rows)


def _use(steps: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Return the plugin of a step, its own or that of the step it is like."""
    while "use" not in body and body.get("like") in steps:
        body = steps[body["like"]]
    return str(body.get("use", ""))


def _checks(checks: list[Told], family: str, heading: str) -> Iterator[str]:
    found = [told for told in checks if told.family == family]
    if found:
        yield f"## {heading}"
        yield _table(
            ["name", "claim", "check", "numbers", "verdict"],
            [
                [_code(t.label), _plain(t.claim), _code(t.check), _code(t.detail), f"**{t.word}**"]
                for t in found
            ],
        )


def _results(told: Account) -> Iterator[str]:
    if told.sheets:
        yield "## Results"
    for step in dict.fromkeys(sheet.step for sheet in told.sheets):
        sheets = [sheet for sheet in told.sheets if sheet.step == step]
        names = list(dict.fromkeys(c.column for sheet in sheets for c in sheet.columns))
        health = any(sheet.unhealthy is not None for sheet in sheets)
        yield f"### {_plain(step)}"
        if names:
            yield f"Mean (least to greatest){' over healthy rows' if health else ''}."
        yield _table(
            ["file", "rows", *(["unhealthy"] if health else []), *map(_plain, names)],
            [_summary(sheet, names, health) for sheet in sheets],
        )
        if len(sheets) == 1:
            sheet = sheets[0]
            shown = f"The first {_ROWS} rows" if len(sheet.rows) > _ROWS else "The rows"
            yield f"{shown}:"
            rows = [[_plain(rounded(cell)) for cell in row] for row in sheet.rows[:_ROWS]]
            yield _table(map(_plain, sheet.header), rows)


def _summary(sheet: Sheet, names: list[str], health: bool) -> list[str]:
    found = {c.column: f"{c.mean:.4g} ({c.low:.4g} to {c.high:.4g})" for c in sheet.columns}
    row = [f"[{_plain(sheet.view)}]({quote(sheet.view)})", str(len(sheet.rows))]
    row += [str(sheet.unhealthy or 0)] if health else []
    return row + [found.get(name, "") for name in names]


def _texts(told: Account) -> Iterator[str]:
    """Yield the views that are Markdown themselves: tables made to be read."""
    for view in told.views:
        path = told.folder / view
        if path.suffix == ".md" and path.stat().st_size <= _MOST_TEXT:
            yield f"### {_plain(view)}"
            yield path.read_text("utf-8", errors="replace").strip()


def _figures(told: Account) -> Iterator[str]:
    drawn: set[str] = set()
    for view in told.views:
        path = PurePosixPath(view)
        stem = str(path.with_suffix(""))
        if path.suffix in PICTURES and stem not in drawn:
            if not drawn:
                yield "## Figures"
            drawn.add(stem)
            yield f"![{_plain(view)}]({quote(view)})"


def _limits(told: Account) -> Iterator[str]:
    states = {
        state: sum(step.states[state] for step in told.steps)
        for state in ("failed", "blocked", "not run", "not selected")
    }
    for state, count in states.items():
        if count:
            labels = [n["node"] for n in nodes_of(told.manifest) if n["status"] == state]
            shown = ", ".join(map(_code, labels[:5])) + (" ..." if labels[5:] else "")
            yield f"{count} node{'s' if count > 1 else ''} {state}: {shown}"
    for step in dict.fromkeys(sheet.step for sheet in told.sheets):
        sheets = [s for s in told.sheets if s.step == step and s.unhealthy]
        if sheets:
            total = sum(len(s.rows) for s in told.sheets if s.step == step)
            files = ", ".join(f"{_plain(s.view)} {s.unhealthy}" for s in sheets)
            count = sum(s.unhealthy or 0 for s in sheets)
            yield f"{_plain(step)}: {count} of {total} rows are unhealthy ({files})"
    unclear = [told for told in told.checks if told.word in ("not run", "not judged", "error")]
    for check in unclear:
        yield f"{_code(check.label)} was not judged: {_plain(check.detail) or check.word}"
    if told.manifest["interrupted"]:
        limit = told.manifest.get("timed_out")
        yield "The run reached its time limit." if limit else "The run was interrupted."
    for holes in told.manifest.get("partial", {}).values():
        yield f"Drawn with holes: {_plain(str(holes))}."
    missing = [view for view in told.manifest["views"] if view not in told.views]
    for view in missing:
        yield f"The file {_plain(view)} is no longer there."
    if not any(states.values()) and not told.manifest["interrupted"]:
        yield "Every node of the run ended as it should."


def _made(told: Account) -> str:
    facts = [f"{name} {', '.join(sorted(found))}" for name, found in sorted(told.versions.items())]
    when = f"; results of {' to '.join(told.made)}" if told.made else ""
    return f"{', '.join(facts)}{when}."
