"""A run as one HTML page: no script, no network, readable on a phone, light and dark."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from runner.language.written import toml
from runner.telling.account import (
    DONE,
    PICTURES,
    TEXTS,
    Account,
    Sheet,
    StepTold,
    Summary,
    Told,
    command,
    duration,
    rounded,
    stamp,
    verdict_counts,
)
from runner.telling.graph import Box, drawing
from runner.telling.style import PAGE, STYLE

MOST_EMBEDDED = 6_000_000  # bytes before base64, of all files; what is beyond is linked
_MOST_IN_LINK = 200_000
_ROWS = 8
_CHECKS, _MORE = 12, 300  # verdicts of a family that are shown, and folded away
_SHEETS = 60  # tables of a step that are shown
_MIME = {
    ".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".gif": "image/gif", ".webp": "image/webp",
}  # fmt: skip
_FAMILIES = ("expect", "hypotheses")
_GOOD, _BAD = ("holds", "supported"), ("fails", "error", "refuted", "failed")
_BREAK = re.compile(r"(?<=[_,/])|(?=\[)")  # where a long name may go on in the next line


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


def page(told: Account) -> str:
    """Return the page of a run."""
    room = Embedded()
    sections = [
        ("verdicts", "Verdicts", "".join(_verdicts(told.checks))),
        ("failures", "Failures" if told.failures else "Left out", "".join(_failures(told))),
        ("figures", "Figures", "".join(_figures(told, room))),
        ("tables", "Tables", "".join(_tables(told, room))),
        ("files", "Other files", "".join(_files(told))),
        ("plan", "Plan", _plan(told)),
        ("timings", "Steps and timings", _timings(told.steps)),
        ("provenance", "Provenance", _provenance(told)),
        ("spec", "Resolved spec", _spec(told)),
    ]
    there = [section for section in sections if section[2]]
    question = told.manifest["question"]
    return PAGE.substitute(
        title=escape(told.manifest["title"]),
        stamp=stamp(told.manifest),
        style=STYLE,
        lead=f'<p class="lead">{escape(question)}</p>' if question else "",
        facts=_facts(told),
        links=" ".join(f'<a href="#{name}">{heading}</a>' for name, heading, _ in there),
        sections="\n".join(
            f'<section id="{name}"><h2>{heading}</h2>{body}</section>'
            for name, heading, body in there
        ),
    )  # fmt: skip


def _facts(told: Account) -> str:
    states = sum((step.states for step in told.steps), Counter[str]())
    done = sum(states.pop(state, 0) for state in DONE)
    nodes = [f"{done:,} done", *(f"{count:,} {state}" for state, count in states.items())]
    facts = [(name, words) for name, words in (_counted(told, family) for family in _FAMILIES)]
    facts += [("nodes", ", ".join(nodes)), ("work stored", duration(_work(told)))]
    if profile := told.manifest["wish"]["profile"]:
        facts.insert(0, ("profile", profile))
    items = "".join(f"<li><span>{k}</span><b>{escape(v)}</b></li>" for k, v in facts if v)
    why = "reached its time limit" if told.manifest.get("timed_out") else "was interrupted"
    stopped = f"<p>The run {why}: what follows is what there was.</p>"
    stopped = stopped if told.manifest["interrupted"] else ""
    return f'<ul class="facts">{items}</ul><p class="soft">{_when(told)}</p>{stopped}'


def _counted(told: Account, family: str) -> tuple[str, str]:
    name, _, words = verdict_counts(c for c in told.checks if c.family == family).partition(": ")
    return name, words


def _work(told: Account) -> float:
    return sum(step.seconds for step in told.steps)


def _when(told: Account) -> str:
    """Return what run the page tells of: it is not written again by runs that change nothing."""
    manifest = told.manifest
    computed = sum(step.states["passed"] for step in told.steps)
    run = f"Written by run <code>{escape(manifest['run'])}</code> of {_moment(manifest['started'])}"
    if not computed:
        made = " to ".join(dict.fromkeys(map(_moment, told.made)))
        return f"{run}, which computed nothing: the results are of {made or 'earlier runs'}."
    nodes = f"{computed:,} node{'s' if computed > 1 else ''}"
    took = duration(manifest["seconds"])
    return f"{run}, which computed {nodes} in {took}. Runs that change nothing leave it as it is."


def _moment(text: str) -> str:
    return escape(text.replace("T", " ").replace("Z", " UTC"))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "wide") -> str:
    """Return a table in a box that scrolls; cells are HTML, their opening tags included.

    One of the kind `stack` shows a row as a block where the page is narrow.
    """
    body = "".join(f"<tr>{''.join(f'{cell}</td>' for cell in row)}</tr>" for row in rows)
    names = "".join(f"{name}</th>" for name in head)
    inside = f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="box"><table class="{kind}">{inside}</table></div>'


def _badge(word: str) -> str:
    kind = "good" if word in _GOOD else "bad" if word in _BAD else "dull"
    return f'<span class="badge {kind}">{escape(word)}</span>'


def _verdicts(checks: list[Told]) -> Iterator[str]:
    for family, heading in zip(_FAMILIES, ("Expectations", "Hypotheses"), strict=True):
        found = [told for told in checks if told.family == family]
        if not found:
            continue
        if len(found) > _CHECKS:
            found.sort(key=lambda told: told.word in _GOOD)  # what does not hold comes first
        yield f"<h3>{heading}</h3>"
        yield _judged(found[:_CHECKS])
        if more := found[_CHECKS:]:
            rest = f"<p>{len(more) - _MORE} more are in run.json</p>" if more[_MORE:] else ""
            words = verdict_counts(more).partition(": ")[2]
            summary = f"<summary>{len(more)} more: {words}</summary>"
            yield f"<details>{summary}{_judged(more[:_MORE])}{rest}</details>"


def _judged(checks: list[Told]) -> str:
    rows = [
        [
            f'<td class="k">{_badge(told.word)}',
            f'<td class="w">{_claim(told)}',
            f'<td class="w"><code>{escape(told.check)}</code>',
            f'<td class="w"><code>{escape(told.detail)}</code>{_worst(told)}',
        ]
        for told in checks
    ]
    return _table(["<th>verdict", "<th>claim", "<th>check", "<th>numbers"], rows, "stack")


def _claim(told: Told) -> str:
    name = f"<code>{_name(told.label)}</code>"
    return f"{escape(told.claim)}<br>{name}" if told.claim else name


def _name(text: str) -> str:
    """Return a name that a narrow page may break where its words end."""
    return _BREAK.sub("<wbr>", escape(text))


def _worst(told: Told) -> str:
    if not told.worst or told.word not in ("fails", "refuted"):
        return ""
    row = ", ".join(f"{name}={rounded(str(value))}" for name, value in told.worst.items())
    return f'<br><span class="soft">worst: {escape(row)}</span>'


def _failures(told: Account) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for reason, label in told.failures:
        alike.setdefault(reason, []).append(label)
    for reason, labels in alike.items():
        shown = ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if labels[5:] else "")
        yield f"<p>{_badge('failed')} <code>{escape(shown)}</code></p><pre>{escape(reason)}</pre>"
    left = {
        state: sum(step.states[state] for step in told.steps)
        for state in ("blocked", "not run", "not selected")
    }
    for state, count in left.items():
        if count:
            yield f"<p>{_badge(state)} {count} node{'s' if count > 1 else ''}</p>"


# -- views -----------------------------------------------------------------------------------------


def _figures(told: Account, room: Embedded) -> Iterator[str]:
    drawn = set()
    for view in told.views:
        path = PurePosixPath(view)
        stem = str(path.with_suffix(""))
        if path.suffix not in PICTURES or stem in drawn:
            continue
        drawn.add(stem)
        data = (told.folder / view).read_bytes()
        others = [v for v in told.views if str(PurePosixPath(v).with_suffix("")) == stem]
        links = " ".join(f'<a href="{quote(v)}" download>{_name(v)}</a>' for v in others)
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


def _tables(told: Account, room: Embedded) -> Iterator[str]:
    for step in dict.fromkeys(sheet.step for sheet in told.sheets):
        found = [sheet for sheet in told.sheets if sheet.step == step]
        sheets = found[:_SHEETS]
        yield f"<h3><code>{_name(step)}</code></h3>"
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
    return f'<p class="soft">Mean; below it least … greatest{over}.</p>' + _table(head, rows)


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
    summary = f"<summary>{_name(sheet.view)} {count}</summary>"
    return f"<details>{summary}<p>{link}</p>{_table(head, rows)}</details>"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _files(told: Account) -> Iterator[str]:
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


# -- the plan and its circumstances ----------------------------------------------------------------


def _plan(told: Account) -> str:
    words: dict[str, set[str]] = {}
    for check in told.checks:
        words.setdefault(check.label.partition("[")[0], set()).add(check.word)
    boxes = []
    for step in told.steps:
        state = _state(step, words.get(step.name, set()))
        use = step.family if step.family in ("expect", "hypotheses") else step.use
        about = f"{use}, {step.count}" if step.count > 1 else use
        boxes.append(Box(step.name, about, state, step.reads, step.requires))
    note = (
        "Each box is a step: its name, its plugin or kind, its number of nodes. Lines run from "
        "what is read to its reader, broken ones from a required expectation."
    )
    return f'<p class="soft">{note}</p><div class="box drawn">{drawing(boxes)}</div>'


def _state(step: StepTold, words: set[str]) -> str:
    if step.states["failed"] or words & set(_BAD):
        return "bad"
    if not step.persist:
        return "dull"
    return "good" if words and words <= set(_GOOD) else "plain"


def _timings(steps: list[StepTold]) -> str:
    head = ["<th>step", "<th>plugin", "<th>over", '<th class="n">nodes', "<th>in this run",
            '<th class="n">work stored']  # fmt: skip
    rows = []
    for step in steps:
        states = ", ".join(f"{n} {state}" for state, n in step.states.items())
        use = (
            step.family if step.family in ("expect", "hypotheses") else f"{step.family}/{step.use}"
        )
        rows.append([
            f"<td><code>{_name(step.name)}</code>", f'<td class="k">{escape(use)}',
            f'<td class="k">{escape(", ".join(step.axes))}', f'<td class="n">{step.count}',
            f'<td class="k">{states or "computed where needed"}',
            f'<td class="n">{duration(step.seconds) if step.persist else ""}',
        ])  # fmt: skip
    note = "Work is the time that the nodes took where they were computed, summed over workers."
    return f'{_table(head, rows)}<p class="soft">{note}</p>'


def _provenance(told: Account) -> str:
    manifest = told.manifest
    rows = [[f"<td>{escape(name)}", f"<td>{escape(', '.join(sorted(found)))}"]
            for name, found in sorted(told.versions.items())]  # fmt: skip
    rows += [["<td>results made", f"<td>{escape(' to '.join(told.made))}"]] if told.made else []
    where = manifest.get("where") or "nothing computed"
    facts = [manifest["started"], duration(manifest["seconds"]), where, manifest["device"]]
    token = f"run <code>{escape(manifest['run'])}</code>"
    rows += [
        ["<td>this run", f"<td>{escape(', '.join(facts))}, {token}"],
        ["<td>do it again", f"<td><code>{escape(command(manifest))}</code>"],
    ]
    return _table(["<th>what", "<th>which"], rows, "stack")


def _spec(told: Account) -> str:
    text = escape(toml(told.manifest["resolved"]))
    summary = "<summary>with its profile and overrides merged</summary>"
    return f"<details>{summary}<pre>{text}</pre></details>"
