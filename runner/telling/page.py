"""A run as one HTML page: no script, no network, readable on a phone, light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape

from runner.language.written import toml
from runner.telling.account import (
    DONE,
    Account,
    StepTold,
    Told,
    command,
    duration,
    rounded,
    stamp,
    verdict_counts,
)
from runner.telling.graph import Box, drawing
from runner.telling.markup import breakable, table
from runner.telling.page_views import Embedded, figures, files, tables
from runner.telling.style import PAGE, STYLE

_CHECKS, _MORE = 12, 300  # verdicts of a family that are shown, and folded away
_FAMILIES = ("expect", "hypotheses")
_GOOD, _BAD = ("holds", "supported"), ("fails", "error", "refuted", "failed")


def page(told: Account) -> str:
    """Return the page of a run."""
    room = Embedded()
    sections = [
        ("verdicts", "Verdicts", "".join(_verdicts(told.checks))),
        ("failures", "Failures" if told.failures else "Left out", "".join(_failures(told))),
        ("figures", "Figures", "".join(figures(told, room))),
        ("tables", "Tables", "".join(tables(told, room))),
        ("files", "Other files", "".join(files(told))),
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
    return table(["<th>verdict", "<th>claim", "<th>check", "<th>numbers"], rows, "stack")


def _claim(told: Told) -> str:
    name = f"<code>{breakable(told.label)}</code>"
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
            f"<td><code>{breakable(step.name)}</code>", f'<td class="k">{escape(use)}',
            f'<td class="k">{escape(", ".join(step.axes))}', f'<td class="n">{step.count}',
            f'<td class="k">{states or "computed where needed"}',
            f'<td class="n">{duration(step.seconds) if step.persist else ""}',
        ])  # fmt: skip
    note = "Work is the time that the nodes took where they were computed, summed over workers."
    return f'{table(head, rows)}<p class="soft">{note}</p>'


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
    return table(["<th>what", "<th>which"], rows, "stack")


def _spec(told: Account) -> str:
    text = escape(toml(told.manifest["resolved"]))
    summary = "<summary>with its profile and overrides merged</summary>"
    return f"<details>{summary}<pre>{text}</pre></details>"
