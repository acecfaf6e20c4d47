"""The promises: nothing stale, nothing computed twice, the same numbers however it is computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.storage.store import Store

SPEC = """
title = "t"
seed = 1
[axes]
slope = [1.0, 2.0]
rate = [0.1, 0.2]
factor = [1.0, 3.0]
[data.points]
use = "points"
slope = "$slope"
[models.net]
use = "line"
[trainers.fit]
use = "descent"
model = "@net"
data = "@points"
rate = "$rate"
save_at = [2]
[perturbations.scaled]
use = "scaled"
model = "@fit"
factor = "$factor"
[probes.size]
use = "size"
model = "@scaled"
[probes.power]
use = "power"
data = "@points.train"
exponent = "$factor"
[renderers.page]
use = "page"
table = "@size"
path = "sizes.txt"
[expect.finite]
table = "@size"
check = "max(size) < 100"
[hypotheses.large]
table = "@size"
check = "max(size) > 50"
"""
COUNTS = {"points": 2, "descent": 4, "size": 8, "power": 2, "page": 1}


def ran(world: Any) -> dict[str, int]:
    """Return how often each plugin was called since the last time; never stored ones left out."""
    found: dict[str, int] = {}
    for line in world.calls():
        name = line.split()[0]
        if name != "scaled":
            found[name] = found.get(name, 0) + 1
    return found


def run(world: Any, spec: Path, *arguments: Any, code: int = 0) -> dict[str, int]:
    done = world.cli("run", spec, "-n", 1, *arguments)
    assert done.code == code, done.out + done.err
    return ran(world)


@pytest.fixture
def study(world: Any) -> Any:
    """Return a world with a study that ran once."""
    assert run(world, world.spec(SPEC)) == COUNTS
    return world


@pytest.fixture
def path(study: Any) -> Path:
    return study.folder / "study.toml"


def outputs(world: Any, artifacts: str = "artifacts") -> dict[str, Any]:
    store = Store(world.folder / artifacts / ".store")
    store.refresh()
    assert store.damaged == []
    return {
        r["label"]: [r["key"], r["recipe"], r["outputs"], r["objects"], r["inputs"]]
        for r in store.records.values()
    }


# -- nothing twice -------------------------------------------------------------------------------


def test_a_second_run_computes_nothing_and_writes_no_record(study: Any, path: Path) -> None:
    store = study.artifacts / ".store"
    before = {p: p.stat().st_mtime_ns for p in (store / "records").iterdir()}
    assert run(study, path) == {}
    assert {p: p.stat().st_mtime_ns for p in (store / "records").iterdir()} == before
    done = study.cli("plan", path)
    assert "21 nodes, 21 cached, 0 to run" in done.out


def test_a_new_process_finds_the_same_keys(study: Any, path: Path) -> None:
    done = study.run_cli("run", path)
    assert done.code == 0
    assert "21 cached" in done.out
    assert ran(study) == {}


def test_a_spec_written_otherwise_is_the_same_study(study: Any) -> None:
    other = SPEC.replace("rate = [0.1, 0.2]", "rate = [1e-1, 0.20]").replace(
        'title = "t"', 'title = "u"'
    )
    other = "# a comment\n" + other.replace('use = "points"\n', "").replace(
        "[data.points]\n", '[data.points]\nrows = 8  # the default\nuse = "points"\n'
    )
    assert run(study, study.spec(other)) == {}


def test_a_whole_number_for_a_real_field_is_the_same_node(study: Any) -> None:
    """Only who gathers sees the axis itself, whose column then holds whole numbers."""
    other = SPEC.replace("slope = [1.0, 2.0]", "slope = [1, 2]")
    assert run(study, study.spec(other)) == {"page": 1}


def test_another_spec_shares_what_is_equal(study: Any) -> None:
    text = SPEC.replace("points", "cloud").replace('use = "cloud"', 'use = "points"')
    assert run(study, study.spec(text, "sub/other.toml")) == {}


def test_a_value_added_to_an_axis_runs_its_cells_alone(study: Any) -> None:
    text = SPEC.replace("rate = [0.1, 0.2]", "rate = [0.1, 0.15, 0.2]")
    assert run(study, study.spec(text)) == {"descent": 2, "size": 4, "page": 1}
    assert run(study, study.spec(SPEC)) == {}
    fewer = SPEC.replace("rate = [0.1, 0.2]", "rate = [0.2]")
    assert run(study, study.spec(fewer)) == {"page": 1}


def test_a_value_added_to_a_batched_axis_runs_its_cells_alone(study: Any) -> None:
    text = SPEC.replace("factor = [1.0, 3.0]", "factor = [1.0, 2.0, 3.0]")
    assert run(study, study.spec(text)) == {"size": 4, "power": 2, "page": 1}


def test_a_setting_in_the_middle_leaves_what_is_above(study: Any, path: Path) -> None:
    found = run(study, path, "--set", "trainers.fit.steps=6")
    assert found == {"descent": 4, "size": 8, "page": 1}
    assert run(study, path, "--set", "trainers.fit.steps=6") == {}
    assert run(study, path, "--set", "probes.power.offset=1.0") == {"power": 2}
    assert run(study, path) == {}


def test_another_seed_is_another_study_for_those_who_draw(study: Any) -> None:
    assert run(study, study.spec(SPEC.replace("seed = 1", "seed = 2"))) == COUNTS


# -- nothing stale -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("trainers/descent", "import torch\n", "import torch  # heavy\n"),
        ("trainers/descent", '"""Descend on', '"""Walk down on'),
        ("trainers/descent", "rows: dict", "\n\n        rows: dict"),
        ("trainers/descent", 'description="step size"', 'description="length of a step"'),
        ("maths/tally", '"""Notes each', '"""Notes every'),
    ],
)
def test_an_edit_that_computes_nothing_new_runs_nothing(
    study: Any, path: Path, file: str, old: str, new: str
) -> None:
    study.edit(file, old, new)
    assert run(study, path) == {}


def test_an_edit_of_arithmetic_runs_its_step_and_what_depends_on_it(study: Any, path: Path) -> None:
    old = outputs(study)
    study.edit("trainers/descent", "self.rate * 2 *", "self.rate * 3 *")
    plan = study.cli("plan", path).out
    assert f"stale: {study.package}/trainers/descent.py changed" in plan
    assert "21 nodes, 6 cached, 15 to run" in plan
    lines = {line.split()[0]: line for line in plan.splitlines()[1:]}
    assert "cached" in lines["points"]
    assert "cached" in lines["power"]
    assert "stale: fit changed" in lines["page"] or "stale: size changed" in lines["page"]
    assert run(study, path) == {"descent": 4, "size": 8, "page": 1}
    new = outputs(study)
    assert new["fit[slope=1,rate=0.1]"][2] != old["fit[slope=1,rate=0.1]"][2]
    study.edit("trainers/descent", "self.rate * 3 *", "self.rate * 2 *")
    assert run(study, path) == {}
    assert (study.artifacts / "study" / "sizes.txt").read_text("utf-8") == page(old, study)


def page(found: dict[str, Any], world: Any) -> str:
    (digest,) = found["page"][3]
    return Store(world.artifacts / ".store").read(digest).read_text("utf-8")


def test_an_edit_of_a_helper_two_imports_away_is_seen(study: Any, path: Path) -> None:
    study.plugin("maths/deep", "FACTOR = 1.0\n")
    study.plugin("maths/middle", "from .deep import FACTOR\n\ndef f(x):\n    return FACTOR * x\n")
    study.edit(
        "probes/power",
        "import numpy as np\n",
        "import numpy as np\n        from ..maths.middle import f\n",
    )
    study.edit("probes/power", "node.base * mean", "f(node.base * mean)")
    assert run(study, path) == {"power": 2}
    for value in ("2.0", "3.0"):  # as long as before: only the content differs
        before = outputs(study)["power[slope=1,factor=1]"][2]
        study.plugin("maths/deep", f"FACTOR = {value}\n")
        assert f"{study.package}/maths/deep.py changed" in study.cli("plan", path).out
        assert run(study, path) == {"power": 2}
        assert outputs(study)["power[slope=1,factor=1]"][2] != before
    study.plugin("maths/unrelated", "X = 1\n")
    assert run(study, path) == {}


def test_stale_results_are_used_when_asked_for_and_only_then(study: Any, path: Path) -> None:
    study.edit("trainers/descent", "self.rate * 2 *", "self.rate * 3 *")
    assert run(study, path, "--allow-stale", "fit") == {}
    study.edit("probes/size", "total**0.5", "total**0.25")
    assert run(study, path, "--allow-stale", "fit") == {"size": 8, "page": 1}
    assert run(study, path) == {"descent": 4, "size": 8, "page": 1}


def test_allow_stale_of_a_step_that_is_not_there_is_an_error(study: Any, path: Path) -> None:
    done = study.cli("run", path, "--allow-stale", "fti")
    assert done.code == 2
    assert 'did you mean "fit"?' in done.err


def test_an_edited_input_file_is_seen(world: Any) -> None:
    text = 'title = "t"\n[probes.words]\nuse = "words"\nfile = "in.txt"\n'
    (world.folder / "in.txt").write_text("a b c", "utf-8")
    spec = world.spec(text)
    assert run(world, spec) == {"words": 1}
    (world.folder / "in.txt").write_text("a b d", "utf-8")
    assert run(world, spec) == {"words": 1}
    (world.folder / "in.txt").write_text("a b c", "utf-8")
    assert run(world, spec) == {}


# -- the same numbers ----------------------------------------------------------------------------


def test_two_workers_give_what_one_gives_to_the_bit(study: Any, path: Path) -> None:
    done = study.run_cli("run", path, "-n", 2, "--artifacts", "two")
    assert done.code == 0, done.out + done.err
    assert outputs(study, "two") == outputs(study)
    names = [sorted(p.name for p in (study.folder / a / ".store/objects").glob("*/*"))
             for a in ("artifacts", "two")]  # fmt: skip
    assert names[0] == names[1]
    views = [(study.folder / a / "study/sizes.txt").read_bytes() for a in ("artifacts", "two")]
    assert views[0] == views[1]


def test_a_study_made_piece_by_piece_is_the_study_made_at_once(study: Any) -> None:
    pieces = [
        SPEC.replace("factor = [1.0, 3.0]", "factor = [3.0]"),
        SPEC.replace("slope = [1.0, 2.0]", "slope = [2.0]"),
        SPEC.replace("rate = [0.1, 0.2]", "rate = [0.2]"),
        SPEC,
    ]
    for piece in pieces:
        run(study, study.spec(piece, "study.toml"), "--artifacts", "pieces")
    whole = outputs(study)
    found = outputs(study, "pieces")
    for label in whole:
        if label not in ("page", "finite", "large"):
            assert found[label] == whole[label]
    text = (study.folder / "pieces/study/sizes.txt").read_bytes()
    assert text == (study.artifacts / "study/sizes.txt").read_bytes()


def test_a_store_carried_elsewhere_is_still_full(study: Any, path: Path) -> None:
    import shutil

    shutil.copytree(study.artifacts, study.folder / "carried")
    assert run(study, path, "--artifacts", "carried") == {}


# -- a lost or damaged store -------------------------------------------------------------------


def test_what_is_deleted_is_computed_again_and_nothing_else(study: Any, path: Path) -> None:
    before = outputs(study)
    store = Store(study.artifacts / ".store")
    (digest,) = before["points[slope=1]"][3]
    store.object_path(digest).unlink()
    assert run(study, path) == {"points": 1}
    assert outputs(study) == before


def test_a_store_without_objects_is_made_anew(study: Any, path: Path) -> None:
    import shutil

    before = outputs(study)
    shutil.rmtree(study.artifacts / ".store" / "objects")
    found = run(study, path)
    assert {"points", "descent", "page"} <= set(found)
    assert outputs(study) == before


def test_a_damaged_line_is_told_of_and_computed_again(study: Any, path: Path) -> None:
    before = outputs(study)
    (log,) = (study.artifacts / ".store" / "records").glob("*.log")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(bytes(data))
    done = study.cli("run", path, "-n", 1)
    assert done.code == 0
    assert "damaged line" in done.err
    assert sum(ran(study).values()) >= 1
    store = Store(study.artifacts / ".store")
    store.refresh()
    assert {r["label"]: r["outputs"] for r in store.records.values()} == {
        label: entry[2] for label, entry in before.items()
    }


# -- early cutoff ----------------------------------------------------------------------------------


def test_what_reads_a_step_that_came_to_the_same_again_is_left_alone(
    study: Any, path: Path
) -> None:
    """Other code of a data source, the same data: only the data source is run."""
    study.edit("data/points", "splits = {}", "splits = {}\n        rows = self.rows")
    done = study.cli("run", path, "-n", 1)
    assert done.code == 0
    assert ran(study) == {"points": 2}
    assert "2 passed, 19 cached" in done.out
    assert run(study, path) == {}
    study.edit("data/points", "\n        rows = self.rows", "")
    assert run(study, path) == {}


def test_what_reads_a_step_that_came_to_something_else_is_run(study: Any, path: Path) -> None:
    study.edit("data/points", "y = self.slope * (", "y = 1.5 * self.slope * (")
    assert run(study, path) == COUNTS


def test_parts_that_stayed_the_same_count_by_themselves(study: Any, path: Path) -> None:
    """Of a trainer that gives another history and the same weights, only the history's readers."""
    more = '[renderers.losses]\nuse = "page"\ntable = "@fit.history"\npath = "losses.txt"\n'
    spec = study.spec(SPEC + more, "more.toml")
    assert run(study, spec) == {"page": 1}
    study.edit("trainers/descent", ".append(loss)", ".append(2 * loss)")
    assert run(study, spec) == {"descent": 4, "page": 1}


def test_a_step_that_is_never_stored_counts_by_its_code_and_its_inputs(
    study: Any, path: Path
) -> None:
    study.edit("perturbations/scaled", "note(", "str()\n        note(")
    assert run(study, path) == {"size": 8}


def test_a_check_is_judged_anew_only_where_what_it_reads_is_new(study: Any, path: Path) -> None:
    study.edit("probes/size", "total = ", "total = 0.0 + ")
    done = study.cli("run", path, "-n", 1)
    assert done.code == 0
    assert ran(study) == {"size": 8}
    assert "8 passed, 13 cached" in done.out
    assert "hypothesis large: refuted" in done.out


# -- with the real plugins -----------------------------------------------------------------------

REAL = """
title = "smoke"
seed = 0
[axes]
sampler = ["sgld", "sisgld"]
alpha = [0.5, 2.0]
[data.arithmetic]
use = "modular_arithmetic"
operation = "add"
modulus = 11
train_fraction = 0.8
[models.net]
use = "transformer"
layers = 1
heads = 2
width = 16
[trainers.grokked]
use = "supervised"
model = "@net"
data = "@arithmetic"
steps = 60
evaluate_every = 20
optimizer = { adamw = { lr = 1e-3, weight_decay = 1.0 } }
[perturbations.rescaled]
use = "rescale"
model = "@grokked"
alpha = "$alpha"
beta = 1.0
[probes.llc]
use = "llc"
model = "@rescaled"
data = "@arithmetic.train"
sampler = "$sampler"
[probes.drift]
use = "function_drift"
model = "@rescaled"
reference = "@grokked"
data = "@arithmetic.train"
[renderers.table]
use = "csv"
table = "@llc"
path = "llc.csv"
"""


@pytest.mark.slow
def test_the_real_study_killed_or_shared_among_workers_gives_the_same_bits(world: Any) -> None:
    (world.folder / "pyproject.toml").write_text("[project]\nname = 'world'\n", "utf-8")
    spec = world.spec(REAL)

    def command(artifacts: str, workers: int) -> list[str]:
        return [sys.executable, "-m", "runner", "run", str(spec), "-n", str(workers),
                "--artifacts", artifacts]  # fmt: skip

    def finish(artifacts: str, workers: int) -> None:
        done = subprocess.run(
            command(artifacts, workers), cwd=world.folder, env=world.env(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    finish("one", 1)
    calm = outputs(world, "one")
    assert len(calm) >= 8
    finish("two", 2)
    assert outputs(world, "two") == calm
    for number, seconds in enumerate((4.0, 6.0, 8.0)):
        for _ in range(2):
            process = subprocess.Popen(
                command(f"killed{number}", 1), cwd=world.folder, env=world.env(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        finish(f"killed{number}", 1)
        assert outputs(world, f"killed{number}") == calm
        text = (world.folder / f"killed{number}/study/llc.csv").read_bytes()
        assert text == (world.folder / "one/study/llc.csv").read_bytes()
        left = [p for name in ("aside", "scratch", "progress")
                for p in (world.folder / f"killed{number}/.store/{name}").glob("*")]  # fmt: skip
        assert left == []
