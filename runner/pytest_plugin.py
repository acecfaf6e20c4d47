"""`pytest specs/`: specs as tests. Installed with runner; silent unless specs are asked for.

A spec is a *.toml that is named on the command line, or that lies in a folder named `specs` when
that folder (or one in it) is named, or `--specs-run` is given. Until then nothing of runner is
imported. `-p no:runner_specs` switches the plugin off.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from runner.commands.judging import Study
    from runner.planning.plan import Node

FOLDER = "specs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all of them named --specs-..."""
    group = parser.getgroup("runner", "specs of runner")
    group.addoption(
        "--specs-run",
        action="store_true",
        help="run the specs in folders named specs; without it they are judged by what is stored",
    )
    group.addoption("--specs-profile", metavar="NAME", help="merge [profiles.NAME] into each spec")
    place = "where results go (default: artifacts/ of the project)"
    group.addoption("--specs-artifacts", type=Path, metavar="DIR", help=place)
    group.addoption("--specs-workers", type=int, metavar="N", help="as `runner run -n N`")
    group.addoption("--specs-strict", action="store_true", help="a refuted hypothesis fails")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SpecFile | None:
    """Collect a file that is a spec, and was asked for."""
    if file_path.suffix == ".toml" and _asked_for(file_path, parent):
        return SpecFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Place what is skipped in its spec, not in this file."""
    report = yield
    if isinstance(item, Check) and report.skipped and isinstance(report.longrepr, tuple):
        _, _, reason = report.longrepr
        report.longrepr = str(item.path), item.study.line(item.node), reason
    return report


def _asked_for(file: Path, parent: pytest.Collector) -> bool:
    if file.name == "pyproject.toml":
        return False
    session, root = parent.session, parent.config.rootpath
    if parent.config.inipath is None:  # no project file: the folder named first is the root itself
        root = root.parent
    if session.isinitpath(file):
        return True
    if file.name.startswith(("_", ".")) or not file.is_relative_to(root):
        return False
    inside = [p for p in file.parents if p.is_relative_to(root) and _in_specs(p, root)]
    if parent.config.getoption("specs_run"):
        return bool(inside)
    return any(session.isinitpath(folder) for folder in inside)


def _in_specs(folder: Path, root: Path) -> bool:
    return FOLDER in folder.relative_to(root).parts


class Broken(Exception):  # noqa: N818  # it carries a text to be shown, and no traceback
    """What `runner` says of a wrong spec, a failed node or a check that does not hold."""


class SpecFile(pytest.File):
    """A spec: its validity, each expectation and hypothesis, and with --specs-run the run."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the items; only the first when the spec is wrong."""
        from runner.commands.judging import Study
        from runner.running.journey import Wish

        option = self.config.getoption
        wish = Wish(self.path, option("specs_profile"), artifacts=option("specs_artifacts"))
        study = Study.of(wish, option("specs_workers"), option("specs_strict"))
        yield Validity.from_parent(self, name="validity", study=study)
        if study.journey is None:
            return
        if option("specs_run"):
            yield Whole.from_parent(self, name="run", study=study)
        for node in study.checks():
            yield Check.from_parent(self, name=node.label, study=study, node=node)


class _SpecItem(pytest.Item):
    def __init__(self, *, study: Study, **rest: Any) -> None:
        super().__init__(**rest)
        self.study = study

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what `runner` shows, without a traceback through runner."""
        from runner.errors import RunnerError

        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        if isinstance(excinfo.value, RunnerError):
            return f"error: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the spec and the item's name."""
        return self.path, None, f"{self.path.stem}::{self.name}"


class Validity(_SpecItem):
    """The spec is what `runner validate` accepts."""

    def runtest(self) -> None:
        """Fail with every problem."""
        if self.study.wrong:
            raise Broken("\n".join(self.study.wrong))


class Whole(_SpecItem):
    """The spec runs: every node, and its views are put in place."""

    def runtest(self) -> None:
        """Fail with the nodes that failed; checks have items of their own."""
        if text := self.study.run():
            raise Broken(text)


class Check(_SpecItem):
    """An expectation or a hypothesis at one cell."""

    def __init__(self, *, node: Node, **rest: Any) -> None:
        super().__init__(**rest)
        self.node = node

    def runtest(self) -> None:
        """Pass, fail, skip what is not stored; a refuted hypothesis is an expected failure."""
        from runner.commands.judging import BROKEN, NOT_JUDGED, REFUTED

        judged = self.study.judge(self.node, bool(self.config.getoption("specs_run")))
        if judged.outcome == NOT_JUDGED:
            pytest.skip(judged.text)
        if judged.outcome == BROKEN:
            raise Broken(judged.text)
        if judged.outcome == REFUTED:
            pytest.xfail(judged.text)
