"""Worlds to test in: a temporary project with tiny plugins, specs and the command line.

`world` is a project of its own whose plugin files may be edited. `shared_world` is made once: for
tests that only plan. Both run commands in this process (`cli`) or in a new one (`run_cli`).
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parent / "worlds" / "tiny"
GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parent.parent
_COUNT = itertools.count()


def pytest_configure() -> None:
    """Heed Ctrl-C, as a terminal's programs do: what is started in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected texts")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of the output, without its time."""
        return re.sub(r" in [\d.]+ s$", "", self.out.splitlines()[-1])


@dataclass(frozen=True)
class World:
    """A project folder with a package of tiny plugins; commands run with it as current folder."""

    folder: Path
    package: str

    @property
    def plugins(self) -> Path:
        return self.folder / self.package

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def spec(self, text: str, name: str = "study.toml") -> Path:
        """Write a spec (or any other file) and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def cli(self, *arguments: Any) -> Outcome:
        """Run a command in this process, with this folder as the current one."""
        from click.testing import CliRunner

        from runner.commands.cli import cli

        folder, handler = Path.cwd(), signal.getsignal(signal.SIGTERM)
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="runner")
        finally:
            os.chdir(folder)
            signal.signal(signal.SIGTERM, handler)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def run_cli(self, *arguments: Any, **env: str) -> Outcome:
        """Run a command in a process of its own, with this folder as the current one."""
        done = subprocess.run(
            [sys.executable, "-m", "runner", *map(str, arguments)],
            cwd=self.folder, env=self.env(**env), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment in which a process of this world runs."""
        calls = {"TINY_CALLS": str(self.folder / "calls.txt")}
        return {**os.environ, **calls, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}

    def calls(self) -> list[str]:
        """Return what the plugins noted since the last time, one line for each call."""
        file = self.folder / "calls.txt"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def manifest(self, spec: str = "study") -> dict[str, Any]:
        """Return run.json, what the last run of a spec wrote down."""
        return dict(json.loads((self.artifacts / spec / "run.json").read_text("utf-8")))

    def statuses(self, spec: str = "study") -> dict[str, str]:
        """Return what became of each node in the last run of a spec, by label."""
        return {entry["node"]: entry["status"] for entry in self.manifest(spec)["nodes"]}

    def plugin(self, name: str, source: str) -> Path:
        """Write a plugin file, `probes/value`, and forget the module if it was imported."""
        path = self.plugins / f"{name}.py"
        path.write_text(source, "utf-8")
        self.forget()
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text of a plugin file, `probes/value` or `maths/tally`."""
        source = (self.plugins / f"{name}.py").read_text("utf-8")
        assert old in source
        self.plugin(name, source.replace(old, new))

    def forget(self) -> None:
        """Drop this world's modules, so that the next command imports the files as they are."""
        import importlib

        for name in [n for n in sys.modules if n.split(".")[0] == self.package]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def plan(self, text: str, **wish: Any) -> Any:
        """Return the plan of a spec given as text; `wish` is profile, sets, sweeps ..."""
        from runner.running.journey import Wish, prepare

        return prepare(Wish(self.spec(text), **wish)).plan


def make_world(folder: Path) -> World:
    """Return a new world in a folder, its plugin package named as no other."""
    package = f"tiny{next(_COUNT)}_{os.getpid()}"
    shutil.copytree(TINY, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    text = f'[project]\nname = "world"\n\n[tool.runner]\nplugins = ["{package}"]\n'
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return World(folder, package)


def _closed(world: World) -> None:
    world.forget()
    sys.path[:] = [p for p in sys.path if p != str(world.folder)]


@pytest.fixture(autouse=True)
def ctrl_c_as_before() -> Iterator[None]:
    """A test that leaves Ctrl-C ignored would leave it so in every process started later."""
    before = signal.getsignal(signal.SIGINT)
    yield
    after = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    assert after is before, "the test changed what SIGINT does and did not change it back"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of the test's own."""
    monkeypatch.setenv("TINY_CALLS", str(tmp_path / "calls.txt"))
    world = make_world(tmp_path)
    yield world
    _closed(world)


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a world that tests share: they may write specs into it and plan, and no more."""
    world = make_world(tmp_path_factory.mktemp("shared"))
    yield world
    _closed(world)


@pytest.fixture
def study(world: World, request: pytest.FixtureRequest) -> World:
    """Return a world whose study.toml holds the STUDY of the test's module."""
    world.spec(request.module.STUDY)
    return world


@pytest.fixture
def spec(world: World) -> Callable[..., Path]:
    """Return the function that writes a spec into the world."""
    return world.spec


@pytest.fixture
def run_cli(world: World) -> Callable[..., Outcome]:
    """Return the function that runs `runner` in a process of its own."""
    return world.run_cli


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str | Path], None]:
    """Return a function that compares text with a file; `--update-golden` rewrites the file.

    A name stands for a file of tests/golden.
    """

    def compare(text: str, name: str | Path) -> None:
        file = GOLDEN / name
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        assert file.is_file(), f"no expected text {file}; write it with pytest --update-golden"
        assert text == file.read_text("utf-8")

    return compare
