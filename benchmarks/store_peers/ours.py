"""Our own four ways: cells alone or fused into batches, on one worker or on two."""

from __future__ import annotations

import sys
from pathlib import Path

from store_peers.contestant import Contestant

HERE = Path(__file__).parents[2]  # this checkout is measured, whichever is installed
PROBE = '''"""Squares a number."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from runner import Probe, Real, Table


class {cls}(Probe):
    """Square a number. Reads: nothing. Raises: nothing. Source: none."""

    columns: ClassVar = {{"y": "x squared"}}
    x: Real = Field(0.0, description="the number")

    def run(self) -> Table:
        return Table({{"y": [self.x**2]}})
'''
FUSED = """
    varies: ClassVar = ("x",)

    def batch_size(self) -> int:
        return 1024

    @classmethod
    def run_batch(cls, nodes: Sequence["{cls}"]) -> Iterator[Table]:
        for node in nodes:
            yield node.run()
"""
SPEC = """# What is x squared?
title = "trivial"

[axes]
x = {{ linspace = [0.0, {last}.0, {cells}] }}

[probes.square]
use = "{use}"
x = "$x"
"""


def _lay(folder: Path, cells: int, use: str) -> None:
    (folder / "pyproject.toml").write_text('[tool.runner]\nplugins = ["plugins"]\n')
    probes = folder / "plugins" / "probes"
    probes.mkdir(parents=True)
    for package in (probes.parent, probes):
        (package / "__init__.py").touch()
    text = PROBE + FUSED if use == "square_fused" else PROBE
    cls = "".join(word.title() for word in use.split("_"))
    (probes / f"{use}.py").write_text(text.format(cls=cls))
    last = max(cells - 1, 1)
    (folder / "trivial.toml").write_text(SPEC.format(last=last, cells=cells, use=use))


def _lay_single(folder: Path, cells: int) -> None:
    _lay(folder, cells, "square")


def _lay_fused(folder: Path, cells: int) -> None:
    _lay(folder, cells, "square_fused")


def _proof(first: bool, cells: int) -> str:
    return rf"(?m)^{cells} {'passed' if first else 'cached'} in "


def contestants() -> list[Contestant]:
    """Return ours, the plainest first."""
    return [
        Contestant(
            name=f"runner, {kind}, -n {workers}",
            lay=lay,
            command=(sys.executable, "-m", "runner", "run", "trivial.toml", "-n", workers),
            proof=_proof,
            checks="parameters; code and all it imports; SHA-256 of each result",
            durable="fsync before a cell counts",
            modules=HERE,
        )
        for kind, lay in (("one by one", _lay_single), ("fused", _lay_fused))
        for workers in ("1", "2")
    ]
