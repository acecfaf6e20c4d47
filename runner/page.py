"""A run as one HTML page: no script, no network, readable on a phone, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import PurePosixPath
from string import Template
from urllib.parse import quote

from runner.account import (
    PICTURES,
    TEXTS,
    Account,
    Sheet,
    StepTold,
    Told,
    command,
    duration,
    rounded,
    stamp,
    verdict_counts,
)
from runner.graph import Box, drawing
from runner.written import toml

MOST_EMBEDDED = 7_000_000  # bytes before base64; what is beyond is linked
_MOST_IN_LINK = 200_000
_ROWS = 8
_MIME = {
    ".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".gif": "image/gif", ".webp": "image/webp",
}  # fmt: skip
_GOOD, _BAD = ("holds", "supported"), ("fails", "error", "refuted", "failed")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #59636e; --paper: #ffffff;
  --panel: #f5f7f9; --line: #d5dbe1; --good: #116329; --goodbg: #dafbe1; --bad: #a40e26;
  --badbg: #ffebe9; --dull: #59636e; --dullbg: #e9edf1; --accent: #0b57b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #9aa5b1; --paper: #14181d;
  --panel: #1c2229; --line: #38414b; --good: #6fdd8b; --goodbg: #12361f; --bad: #ff9a94;
  --badbg: #4a1a1d; --dull: #a9b4bf; --dullbg: #2b333c; --accent: #7db8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 24px 16px 64px; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 8px; }
h2 { font-size: 1.2rem; margin: 40px 0 12px; padding-bottom: 4px; border-bottom: 1px solid
  var(--line); }
h3 { font-size: 1rem; margin: 20px 0 8px; }
p { margin: 8px 0; } a { color: var(--accent); }
.lead { font-size: 1.1rem; } .soft { color: var(--soft); font-size: .9rem; }
nav { margin: 16px 0; display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: .95rem; }
.facts { display: flex; flex-wrap: wrap; gap: 8px; margin: 16px 0; padding: 0; list-style: none; }
.facts li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 12px; }
.facts b { display: block; font-size: 1.05rem; } .facts span { color: var(--soft);
  font-size: .85rem; }
.box { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; margin: 8px 0;
  max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
tr:last-child td { border-bottom: 0; } th { background: var(--panel); white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.k { white-space: nowrap; } td.w { min-width: 16em; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
td code { font-size: 12.5px; overflow-wrap: normal; }
pre { margin: 0; padding: 12px 16px; overflow-x: auto; background: var(--panel); }
.badge { display: inline-block; border-radius: 99px; padding: 0 10px; font-size: .85rem;
  font-weight: 600; white-space: nowrap; background: var(--dullbg); color: var(--dull); }
.badge.good { background: var(--goodbg); color: var(--good); }
.badge.bad { background: var(--badbg); color: var(--bad); }
figure { margin: 16px 0 24px; }
figure img { display: block; max-width: min(100%, 880px); height: auto;
  background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: 6px; }
details { border: 1px solid var(--line); border-radius: 8px; margin: 8px 0; }
details > .box, details > pre { margin: 0; border-width: 1px 0 0; border-radius: 0; }
details > pre { border-top: 1px solid var(--line); } details > p { padding: 0 12px; }
summary { cursor: pointer; padding: 8px 12px; }
@media (max-width: 640px) { .stack thead { display: none; } .stack tr { display: block;
  padding: 8px 0; border-bottom: 1px solid var(--line); } .stack tr:last-child { border: 0; }
  .stack td { display: block; border: 0; padding: 2px 12px; white-space: normal;
  overflow-wrap: anywhere; } .stack td code { overflow-wrap: anywhere; } }
svg.plan { display: block; margin: 12px; max-width: none; }
svg.plan text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  fill: var(--ink); } svg.plan .name { font-weight: 600; }
svg.plan .about { fill: var(--soft); }
svg.plan rect { fill: var(--panel); stroke: var(--line); stroke-width: 1.2; }
svg.plan .good rect { stroke: var(--good); } svg.plan .bad rect { stroke: var(--bad); }
svg.plan .dull rect { stroke-dasharray: 4 3; }
svg.plan .edge { fill: none; stroke: var(--soft); stroke-width: 1.2; opacity: .75; }
svg.plan .requires { stroke-dasharray: 4 4; }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="runner-report" content="$stamp">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body><main>
<h1>$title</h1>
$lead
$facts
<nav>$links</nav>
$sections
</main></body>
</html>
""")


def page(told: Account) -> str:
    """Return the page of a run."""
    sections = [
        ("verdicts", "Verdicts", "".join(_verdicts(told.checks))),
        ("failures", "Failures", "".join(_failures(told))),
        ("figures", "Figures", "".join(_figures(told))),
        ("tables", "Tables", "".join(_tables(told))),
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
    manifest = told.manifest
    states = {state: sum(step.states[state] for step in told.steps) for step in told.steps
              for state in step.states}  # fmt: skip
    facts = [
        (manifest["started"].replace("T", " ").replace("Z", " UTC"), "run of"),
        (manifest["wish"]["profile"] or "none", "profile"),
        (", ".join(f"{n} {state}" for state, n in states.items()) or "none", "nodes"),
        (duration(sum(step.seconds for step in told.steps)), "work stored"),
    ]
    if told.checks:
        facts.insert(0, (verdict_counts(told.checks), "verdicts"))
    items = "".join(f"<li><span>{k}</span><b>{escape(v)}</b></li>" for v, k in facts)
    stopped = "<p>The run was interrupted: what follows is what there was.</p>"
    return f'<ul class="facts">{items}</ul>' + (stopped if manifest["interrupted"] else "")


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
    for family, heading in (("expect", "Expectations"), ("hypotheses", "Hypotheses")):
        rows = [
            [
                f'<td class="k">{_badge(told.word)}',
                f'<td class="w">{_claim(told)}',
                f'<td class="w"><code>{escape(told.check)}</code>',
                f'<td class="w"><code>{escape(told.detail)}</code>{_worst(told)}',
            ]
            for told in checks
            if told.family == family
        ]
        if rows:
            yield f"<h3>{heading}</h3>"
            yield _table(["<th>verdict", "<th>claim", "<th>check", "<th>numbers"], rows, "stack")


def _claim(told: Told) -> str:
    name = f"<code>{escape(told.label)}</code>"
    return f"{escape(told.claim)}<br>{name}" if told.claim else name


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


def _figures(told: Account) -> Iterator[str]:
    used = 0
    drawn = set()
    for view in told.views:
        path = PurePosixPath(view)
        stem = str(path.with_suffix(""))
        if path.suffix not in PICTURES or stem in drawn:
            continue
        drawn.add(stem)
        data = (told.folder / view).read_bytes()
        others = [v for v in told.views if str(PurePosixPath(v).with_suffix("")) == stem]
        links = " ".join(f'<a href="{quote(v)}" download>{escape(v)}</a>' for v in others)
        caption = f"{links} from step <code>{escape(told.step_of.get(view, ''))}</code>"
        if used + len(data) > MOST_EMBEDDED:
            yield f"<p>{caption}, too large for this page</p>"
            continue
        used += len(data)
        image = f'<img alt="{escape(view)}" src="{_data(data, _MIME[path.suffix])}">'
        yield f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _data(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _tables(told: Account) -> Iterator[str]:
    for step in dict.fromkeys(sheet.step for sheet in told.sheets):
        sheets = [sheet for sheet in told.sheets if sheet.step == step]
        yield f"<h3><code>{escape(step)}</code></h3>"
        if any(sheet.columns for sheet in sheets):
            yield _summary(sheets)
        for sheet in sheets:
            yield _sheet(told, sheet)


def _summary(sheets: list[Sheet]) -> str:
    names = list(dict.fromkeys(c.column for sheet in sheets for c in sheet.columns))
    health = any(sheet.unhealthy is not None for sheet in sheets)
    over = " over healthy rows" if health else ""
    head = ["<th>file", '<th class="n">rows', *(['<th class="n">unhealthy'] if health else [])]
    head += [f'<th class="n">{escape(name)}' for name in names]
    rows = []
    for sheet in sheets:
        found = {c.column: f"{c.mean:.4g} ({c.low:.4g} … {c.high:.4g})" for c in sheet.columns}
        row = [f'<td class="k">{escape(sheet.view)}', f'<td class="n">{len(sheet.rows)}']
        row += [f'<td class="n">{sheet.unhealthy or 0}'] if health else []
        rows.append(row + [f'<td class="n">{found.get(name, "–")}' for name in names])
    return f'<p class="soft">Mean (least … greatest){over}.</p>' + _table(head, rows)


def _sheet(told: Account, sheet: Sheet) -> str:
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
    name = escape(sheet.view)
    target = quote(sheet.view)
    if sheet.size <= _MOST_IN_LINK:
        target = _data((told.folder / sheet.view).read_bytes(), "text/csv;charset=utf-8")
    file = escape(PurePosixPath(sheet.view).name)
    shown = f"the first {_ROWS} of " if len(sheet.rows) > _ROWS else ""
    link = f'<p><a download="{file}" href="{target}">download {file}</a>, {sheet.size:,} bytes</p>'
    count = f'<span class="soft">{shown}{len(sheet.rows)} rows</span>'
    return f"<details><summary>{name} {count}</summary>{link}{_table(head, rows)}</details>"


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
    return f'<p class="soft">{note}</p><div class="box">{drawing(boxes)}</div>'


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
            f"<td><code>{escape(step.name)}</code>", f'<td class="k">{escape(use)}',
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
    workers = f"{manifest['workers']} worker{'s' if manifest['workers'] > 1 else ''}"
    facts = [manifest["started"], duration(manifest["seconds"]), workers, manifest["device"]]
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
