"""What runs came to, for programs: JUnit XML for CI servers, JSON for everything else."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.language.faults import near_path
from runner.running.execute import Run
from runner.running.journey import Journey
from runner.running.outcome import BLOCKED, FAILED, NOT_RUN, Result
from runner.running.select import Choice
from runner.telling.report import Telling, outcome, slices, worst

FORMAT = 1  # of the JSON report; raised when a reader of the old one would go wrong
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Ended:
    """A spec that was run; `run` is None where it was not, and `error` says why it could not be."""

    journey: Journey
    choice: Choice
    run: Run | None
    seconds: float
    error: str = ""


def check_writable(path: Path) -> None:
    """Make the folder of a report before the run, so that the report is not lost after it.

    No empty file is left: a run that does not begin writes no report.

    Raises: UsageError when a file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a", encoding="utf-8"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, ended: Sequence[Ended], code: int, telling: Telling) -> None:
    """Write the nodes, verdicts and failures of runs as JSON; numbers that are none are text.

    Raises: OSError.
    """
    report = {
        "format": FORMAT,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "exit_code": code,
        "specs": [_spec(one, telling) for one in ended],
    }
    path.write_text(json.dumps(_plain(report), indent=1, allow_nan=False) + "\n", "utf-8")


def _spec(ended: Ended, telling: Telling) -> dict[str, Any]:
    journey, run = ended.journey, ended.run
    results = list(run.results.values()) if run else []
    return {
        "spec": near_path(journey.spec.path),
        "title": journey.spec.title,
        "run": run.token if run else None,
        "seconds": round(ended.seconds, 3),
        "interrupted": bool(run and run.interrupted),
        "error": ended.error or None,
        "counts": dict(Counter(result.status for result in results)),
        "deselected": ended.choice.deselected,
        "nodes": [_node(ended, result, telling) for result in results],
    }


def _node(ended: Ended, result: Result, telling: Telling) -> dict[str, Any]:
    node, journey = result.node, ended.journey
    entry: dict[str, Any] = {
        "id": f"{near_path(journey.spec.path)}::{node.label}",
        "step": node.step,
        "family": node.family,
        "cell": dict(zip(node.axes, node.cell, strict=True)),
        "key": node.key,
        "status": result.status,
        "outcome": outcome(result),
        "selected": node.key in ended.choice.keys,
        "seconds": round(result.seconds, 4),
        "command": telling.command(journey, node),
    }
    if result.log:
        entry["log"] = result.log
    if result.failure:
        failure = result.failure
        entry["failure"] = {
            "kind": failure.kind, "message": failure.message, "traceback": failure.traceback,
        }  # fmt: skip
    if result.verdict:
        verdict = result.verdict
        entry["verdict"] = {
            "check": verdict.check, "detail": verdict.detail, "holds": verdict.holds,
            "judged": verdict.judged, "worst": dict(verdict.worst),
            "slices": slices(journey.plan, node), "claim": getattr(node.plugin, "claim", ""),
        }  # fmt: skip
    return entry


def _plain(value: Any) -> Any:
    """Return a value as strict JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def write_junit(path: Path, ended: Sequence[Ended], telling: Telling) -> None:
    """Write runs as JUnit XML: a suite for each spec, a case for each node.

    A check that does not hold is a failure, a node that broke an error, one that was not reached
    skipped. Raises: OSError.
    """
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", name="runner")
    for one in ended:
        results = list(one.run.results.values()) if one.run else []
        suite = ET.SubElement(root, "testsuite", name=near_path(one.journey.spec.path))
        kinds: Counter[str] = Counter()
        for result in results:
            case = ET.SubElement(
                suite, "testcase", classname=f"{one.journey.spec.name}.{result.node.step}",
                name=_clean(result.node.label), time=f"{result.seconds:.3f}",
            )  # fmt: skip
            kinds[_case(ET, case, one, result, telling)] += 1
        if one.error:
            case = ET.SubElement(suite, "testcase", classname=one.journey.spec.name, name="run")
            ET.SubElement(case, "error", message=_clean(one.error))
            kinds["error"] += 1
        suite.attrib.update(
            tests=str(len(suite)), failures=str(kinds["failure"]), errors=str(kinds["error"]),
            skipped=str(kinds["skipped"]), time=f"{one.seconds:.3f}",
        )  # fmt: skip
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _case(xml: Any, case: Any, ended: Ended, result: Result, telling: Telling) -> str:
    """Fill a test case; return what it counts as."""
    word = outcome(result)
    properties = xml.SubElement(case, "properties")
    xml.SubElement(properties, "property", name="outcome", value=word)
    kind = ""
    if ended.run is not None and ended.run.fails(result):
        kind = "failure" if result.verdict is not None else "error"
        message, text = _why(ended, result, telling)
        xml.SubElement(case, kind, message=_clean(message)).text = _clean(text)
    elif result.status in (BLOCKED, NOT_RUN):
        kind = "skipped"
        xml.SubElement(case, kind, message=result.status)
    if result.log:
        xml.SubElement(case, "system-out").text = _clean(result.log)
    return kind


def _why(ended: Ended, result: Result, telling: Telling) -> tuple[str, str]:
    alone = f"alone: {telling.command(ended.journey, result.node)}"
    if result.verdict is not None:
        lines = [result.verdict.check, result.verdict.detail]
        lines += [f"slice: {text}" for text in slices(ended.journey.plan, result.node)]
        if result.verdict.worst:
            lines.append(f"worst: {worst(ended.journey.plan, result.verdict)}")
        word = "does not hold" if result.status == FAILED else "refuted"
        return f"{word}: {result.verdict.detail}", "\n".join([*lines, alone])
    failure = result.failure
    if failure is None:
        return result.status, alone
    return f"{failure.kind}: {failure.message}", f"{failure.traceback}\n{alone}"


def _clean(text: str) -> str:
    """Return text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
