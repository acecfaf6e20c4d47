"""The study of AGOP and cycle bias as it is written, and its smoke size as it runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runner.language.spec import load, parse_reference
from tests.conftest import World

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "agop_cycle_bias.toml"
ITEMISED = ["step", "train_loss", "train_acc", "test_loss", "test_acc", "agop", "cycle_bias"]
STEPS = [0, 20, 40, 80, 120, 160, 200]


def bodies(profile: str | None = None) -> dict[str, dict[str, Any]]:
    return {name: step.body for name, step in load(SPEC, profile).steps.items()}


def sources(body: dict[str, Any]) -> set[str]:
    """Return the steps that a step's references name."""
    texts = [t for v in body.values() for t in (v if isinstance(v, list) else [v])]
    found = [parse_reference(text, ()) for text in texts if isinstance(text, str)]
    return {reference.step for reference in found if reference}


@pytest.mark.parametrize("picture", ["trend", "summary", "agop_vs_step", "cycle_bias_vs_step"])
def test_the_trend_figures_stand_on_the_exported_files_alone(picture: str) -> None:
    """S4.6: "from that CSV alone"."""
    found = bodies()
    body = found[picture] if "table" in found[picture] else found[found[picture]["like"]]
    assert sources(body) == {"trend_table"}
    assert sources(found["trend_table"]) == {"records"}


def test_the_published_size_is_that_of_the_items() -> None:
    spec, found = load(SPEC, "paper"), bodies("paper")
    assert list(spec.axes["task"].labels) == ["add", "sub", "mul", "div"]
    assert list(spec.axes["seed"].labels) == [42, 101, 2025]
    assert list(spec.axes["wd"].labels) == [0.0, 1.0]
    assert list(spec.axes["step"].labels) == list(range(0, 100_001, 100))
    net, data, trainer = found["net"], found["arithmetic"], found["grokked"]
    assert (net["layers"], net["heads"], net["width"], net["activation"]) == (2, 4, 128, "gelu")
    assert (data["modulus"], data["train_fraction"]) == (97, 0.5)
    assert (trainer["steps"], trainer["batch"]) == (100_000, 512)
    adamw = trainer["optimizer"]["adamw"]
    assert (adamw["lr"], adamw["betas"]) == (1e-3, [0.9, 0.98])


@pytest.mark.parametrize("profile", [None, "smoke", "paper"])
def test_checks_look_at_the_last_step(profile: str | None) -> None:
    spec, found = load(SPEC, profile), bodies(profile)
    last = spec.axes["step"].labels[-1]
    assert found["grokked"]["steps"] == last
    for body in found.values():
        parts = [body, *body.get("let", {}).values()]
        for where in (p["where"] for p in parts if isinstance(p, dict) and "where" in p):
            assert where.get("step", last) == last


def test_multiplicative_operations_have_logarithmic_order() -> None:
    axis = load(SPEC, "paper").axes["task"]
    order = {label: axis.value(label, "order") for label in axis.labels}
    assert order == {
        "add": "natural", "sub": "natural", "mul": "discrete_log", "div": "discrete_log",
    }  # fmt: skip
    assert all(axis.value(label, "operation") == label for label in axis.labels)


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the smoke size once; return its folder of views."""
    folder = tmp_path_factory.mktemp("artifacts")
    done = World(ROOT, "plugins").run_cli(
        "run", SPEC, "--profile", "smoke", "--artifacts", folder, "-n", 1
    )
    assert done.code == 0, done.out + done.err
    return folder / "agop_cycle_bias"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_each_run_has_the_itemised_file(views: Path) -> None:
    """S4.3: exactly these columns, in this order, sorted by step."""
    folder = views / "results" / "Data" / "AGOP_CycleBias"
    files = {path.name: path for path in folder.iterdir()}
    assert set(files) == {"add_wd_0_seed_42.csv", "add_wd_1_seed_42.csv"}
    for path in files.values():
        assert path.read_text("utf-8").splitlines()[0] == ",".join(ITEMISED)
        rows = rows_of(path)
        assert [int(row["step"]) for row in rows] == STEPS
        values = np.array([[float(row[name]) for name in ITEMISED] for row in rows])
        assert np.isfinite(values).all()
        assert (values[:, 5] > 0).all()
    # the network before training is the same for every weight decay
    first = [rows_of(path)[0] for path in files.values()]
    assert first[0] == first[1]


@pytest.mark.slow
def test_the_pictures_can_be_drawn_from_the_files_alone(views: Path, tmp_path: Path) -> None:
    """S4.6: a spec beside the files, without data, networks or probes, gives the same bytes."""
    data = views / "results" / "Data" / "AGOP_CycleBias"
    text = f"""
extends = "{ROOT / "specs" / "parts" / "_trend_figures.toml"}"
title = "Pictures of existing files"
[axes]
task = ["add"]
wd = [0.0, 1.0]
seed = [42]
[data.trend_table]
use = "csv_table"
file = "{data}/{{task}}_wd_{{wd}}_seed_{{seed}}.csv"
"""
    (tmp_path / "again.toml").write_text(text, "utf-8")
    done = World(ROOT, "plugins").run_cli(
        "run", tmp_path / "again.toml", "--artifacts", tmp_path / "artifacts", "-n", 1
    )
    assert done.code == 0, done.out + done.err
    again = tmp_path / "artifacts" / "again" / "results" / "Figures"
    found = [path for path in again.rglob("*") if path.is_file()]
    assert len(found) == 7
    for path in found:
        first = views / "results" / "Figures" / path.relative_to(again)
        assert path.read_bytes() == first.read_bytes(), path


@pytest.mark.slow
def test_the_five_files_of_the_density_of_states_are_there(views: Path) -> None:
    folder = views / "results" / "Data" / "WLMD" / "add_wd_1_seed_42"
    names = [f"fig{number}.csv" for number in range(1, 6)]
    assert sorted(path.name for path in folder.iterdir()) == names
    counts = sum(np.exp(float(row["log_count"])) for row in rows_of(folder / "fig1.csv"))
    assert counts == pytest.approx(len(STEPS))
    assert len(rows_of(folder / "fig4.csv")) == len(STEPS)


@pytest.mark.slow
def test_every_kind_of_figure_is_drawn(views: Path) -> None:
    names = {str(path.relative_to(views)) for path in (views / "results" / "Figures").rglob("*.*")}
    assert {name.removeprefix("results/Figures/") for name in names} == {
        "add_agop_cycle_bias.png", "add_agop_cycle_bias.pdf", "add_metrics.png",
        "add/summary_metrics_vs_step.png", "WLMD/add_wd_0_seed_42.png",
        "WLMD/add_wd_1_seed_42.png", "WLMD/add.png", "WLMD/add.pdf",
        *(f"add/wd_{wd}/{m}_vs_step.png" for wd in (0, 1) for m in ("agop", "cycle_bias")),
    }  # fmt: skip


# -- the published size, fewer steps and rows ------------------------------------------------------

EARLY = [0, 5, 10, 15, 20]  # a sigmoid takes four
LAST_STEP = (
    "trainers.grokked.steps", "renderers.checkpoint.where.step",
    "hypotheses.cycle_bias_rises_at_grokking.where.step",
    "hypotheses.frequencies_concentrate_at_grokking.where.step",
    "hypotheses.decay_concentrates_more.let.decayed.where.step",
    "hypotheses.decay_concentrates_more.let.free.where.step",
)  # fmt: skip
OPERATIONS = ("add", "sub", "mul", "div")
RUNS = [(operation, wd, 42) for operation in OPERATIONS for wd in (0, 1)]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published size run, of 100,000 steps the first twenty, of three seeds one."""
    folder = tmp_path_factory.mktemp("paper")
    sets = [f"{name}={EARLY[-1]}" for name in LAST_STEP]
    sets += [f"axes.step={EARLY}", "axes.seed=[42]", "trainers.grokked.evaluate_every=20"]
    sets += ["probes.agop.rows=64", "probes.agop_loss.rows=128"]
    options = [part for text in sets for part in ("--set", text)]
    done = World(ROOT, "plugins").run_cli(
        "run", SPEC, "--profile", "paper", "--artifacts", folder, "-n", 1, "-q", *options
    )
    assert done.code in {0, 1}, done.out + done.err
    return folder / "agop_cycle_bias"


@pytest.mark.slow
def test_in_the_published_size_nothing_breaks(paper: Path) -> None:
    """Twenty steps teach nothing; the density of states is that of any three checkpoints."""
    manifest = json.loads((paper / "run.json").read_text("utf-8"))
    failed = {node.partition("[")[0] for node in manifest["failed"]}
    assert failed <= {"learned_by_heart", "weight_decay_groks"}
    statuses = {entry["node"]: entry["status"] for entry in manifest["nodes"]}
    assert statuses["density_is_the_count"] == "passed"
    cells = [name for name in statuses if name.startswith("agop[")]
    assert len(cells) == len(RUNS) * len(EARLY)


@pytest.mark.slow
def test_the_published_size_leaves_every_itemised_file(paper: Path) -> None:
    """S4.1, S4.2, S4.3, S4.6, S4.13 and decision (g)."""
    wanted = {"report.html", "report.md", "run.json"}
    for task, wd, seed in RUNS:
        run = f"{task}_wd_{wd}_seed_{seed}"
        wanted |= {
            f"checkpoints/{task}/wd_{wd}/seed{seed}_step20.pt",
            f"results/Data/AGOP_CycleBias/{run}.csv", f"results/Data/Metrics/{run}.csv",
            f"results/Data/Metrics/{run}_agop_of_loss.csv", f"results/Figures/WLMD/{run}.png",
            *(f"results/Data/WLMD/{run}/fig{number}.csv" for number in range(1, 6)),
            *(f"results/Figures/{task}/wd_{wd}/{m}_vs_step.png" for m in ("agop", "cycle_bias")),
        }  # fmt: skip
    for task in OPERATIONS:
        wanted |= {
            f"results/Figures/{name}"
            for name in (
                f"{task}_agop_cycle_bias.png", f"{task}_agop_cycle_bias.pdf",
                f"{task}_metrics.png", f"{task}/summary_metrics_vs_step.png",
                f"WLMD/{task}.png", f"WLMD/{task}.pdf",
            )
        }  # fmt: skip
    there = {str(path.relative_to(paper)) for path in paper.rglob("*") if path.is_file()}
    assert {name for name in there if not name.startswith("runs/")} == wanted


@pytest.mark.slow
def test_the_published_files_have_the_itemised_columns_and_sizes(paper: Path) -> None:
    for task, wd, seed in RUNS:
        rows = rows_of(
            paper / "results" / "Data" / "AGOP_CycleBias" / f"{task}_wd_{wd}_seed_{seed}.csv"
        )
        assert list(rows[0]) == ITEMISED
        assert [int(row["step"]) for row in rows] == EARLY
        assert np.isfinite([[float(value) for value in row.values()] for row in rows]).all()
        every = rows_of(paper / "results" / "Data" / "Metrics" / f"{task}_wd_{wd}_seed_{seed}.csv")
        assert {float(row["circulant_baseline"]) for row in every} == {1 / 128}
        sizes = {(int(row["agop_rows"]), int(row["dimension"])) for row in every}
        assert sizes == {(64, 4 * 128)}  # rows; positions x width
    kept = torch.load(paper / "checkpoints/div/wd_1/seed42_step20.pt", weights_only=True)
    assert kept["step"] == 20
    assert kept["model_state_dict"]["token.weight"].shape == (99, 128)
