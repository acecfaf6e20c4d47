"""`runner diff` through the command line."""

from __future__ import annotations

import re
import shutil
import statistics

SPEC = """
title = "Small"

[axes]
seed = [0, 1, 2]
a = [1.0, 3.0]

[probes.value]
use = "draw"
seed = "$seed"

[probes.plain]
use = "value"
a = "$a"

[hypotheses.small]
table = "@plain"
check = "max(value) < 5"
"""


def run(world, *options: str) -> str:
    assert world.cli("run", "-n", "1", "study.toml", *options).code == 0
    return world.cli("log").out.splitlines()[-1].split()[1]


def test_diff_tells_parameters_means_and_verdicts_that_changed(world) -> None:
    world.spec(SPEC)
    first = run(world)
    second = run(world, "--set", "probes.plain.k=4")
    out = world.run_cli("diff", first[:8], second).out
    assert "probes.plain.k: not there -> 4" in out
    assert "plain: 2 common cells of 2 and 2" in out
    assert "value: 2 -> 6, delta +4" in out
    assert "double: 4 -> 12, delta +8" in out
    assert "small: supported (3 < 5) -> refuted (7 < 5)" in out


def test_equal_runs_do_not_differ_and_specs_stand_for_their_last_runs(world) -> None:
    world.spec(SPEC)
    token = run(world)
    out = world.run_cli("diff", token, "artifacts/study/run.json").out
    assert world.run_cli("diff", "study.toml", "study.toml").out.count("no difference") == 4
    assert out.count("no difference") == 4


def test_a_delta_is_held_against_the_spread_over_seeds(world) -> None:
    world.spec(SPEC)
    first = run(world)
    out = world.run_cli("diff", first, run(world, "--set", "probes.value.scale=2")).out
    # The same draws, twice as wide: the delta is the mean itself. Spread and mean from the draws.
    from runner.types import Seed

    means = [Seed(seed).numpy("draw").normal(size=2).mean() for seed in (0, 1, 2)]
    mean, spread = statistics.fmean(means), statistics.stdev(means)
    assert "value: 3 common cells of 3 and 3" in out
    (line,) = [line for line in out.splitlines() if line.startswith("    drawn:")]
    times = f"{abs(mean) / spread:.2g}"
    assert line.strip() == (
        f"drawn: {mean:.6g} -> {2 * mean:.6g}, delta {mean:+.4g} = {times} times the spread over "
        f"seeds, {spread:.4g}"
    )
    assert "rank" not in out  # equal in both runs


def test_the_spread_over_seeds_is_pooled_over_the_other_axes() -> None:
    from runner.telling.measured import _column

    cells = [(("a", a), ("seed", s)) for a in (1, 2) for s in (0, 1)]
    before = {cell: {"x": float(n % 2) * 2 + 9 * cell[0][1]} for n, cell in enumerate(cells)}
    after = {cell: {"x": values["x"] + 1} for cell, values in before.items()}
    (line,) = _column("x", before, after, cells)
    assert re.search(r"delta \+1 = 0\.71 times the spread over seeds, 1\.414", line)


TRAINED = """
title = "Trained"

[axes]
seed = [0, 1]

[data.points]
use = "points"

[models.line]
use = "line"

[trainers.fit]
use = "descent"
model = "@line"
data = "@points"
seed = "$seed"

[expect.falls]
table = "@fit.history"
per = ["seed"]
check = "last(loss) < 100"
"""


def test_networks_are_told_apart_by_the_distance_of_their_weights(world) -> None:
    world.spec(TRAINED)
    first = run(world)
    out = world.run_cli("diff", first, run(world, "--set", "trainers.fit.rate=0.01")).out
    assert "fit.history: 2 common cells of 2 and 2" in out
    (told,) = re.findall(r"  fit: (\S+) over 2 common cells, at most (\S+) at \[seed=([01])\]", out)
    distances = []
    for seed in (0, 1):
        a, b = (weights(world, rate, seed) for rate in (0.1, 0.01))
        distances.append(abs(b - a) / abs(a))
    assert told[0] == f"{statistics.fmean(distances):.4g}"
    assert told[1] == f"{max(distances):.4g}"
    assert int(told[2]) == distances.index(max(distances))


def weights(world, rate: float, seed: int) -> float:
    """A weight of a stored network, read as a user would."""
    from safetensors.torch import load_file

    from runner.storage.store import Store

    store = Store(world.artifacts / ".store")
    store.refresh()
    for record in store.records.values():
        if record["label"] == f"fit[seed={seed}]" and record["parameters"]["rate"] == rate:
            tensors = load_file(store.read(record["outputs"]["last"]["weights"])).values()
            tensor = next(iter(tensors))  # `descent` gives every entry the same value
            return tensor.double().flatten()[0].item()
    raise AssertionError(f"no network of rate {rate} and seed {seed}")


def test_a_verdict_that_stays_tells_both_sides_numbers(world) -> None:
    world.spec(SPEC)
    first = run(world)
    out = world.run_cli("diff", first, run(world, "--set", "probes.plain.k=1")).out
    assert "small: still supported (3 < 5 -> 4 < 5)" in out


def test_what_is_no_longer_stored_is_told(world) -> None:
    world.spec(TRAINED)
    first = run(world)
    second = run(world, "--set", "trainers.fit.rate=0.01")
    shutil.rmtree(world.artifacts / ".store" / "objects")
    out = world.run_cli("diff", first, second).out
    assert "fit: 2 common cells whose weights are not in the store; run it again" in out
    shutil.rmtree(world.artifacts / ".store")
    out = world.run_cli("diff", first, second).out
    assert "fit: 2 of 2 cells of A are not in the store; run it again" in out


def test_runs_of_other_specs_are_compared_by_the_steps_they_share(world) -> None:
    world.spec(SPEC)
    run(world)
    world.spec(SPEC.replace("a = [1.0, 3.0]", "a = [3.0, 4.0]"), "wider.toml")
    world.spec(TRAINED, "other.toml")
    assert world.cli("run", "-n", "1", "wider.toml").code == 0
    assert world.cli("run", "-n", "1", "other.toml").code == 0
    out = world.run_cli("diff", "study.toml", "wider.toml").out
    assert "plain: 1 common cell of 2 and 2, equal numbers" in out
    assert "axes.a: [1.0, 3.0] -> [3.0, 4.0]" in out
    out = world.run_cli("diff", "study.toml", "other.toml").out
    assert "no step in common: A has value, plain, small; B has points, fit, falls" in out


def test_what_is_no_run_is_told_with_what_to_do(world) -> None:
    world.spec(SPEC)
    token = run(world)
    world.spec("title = 'Never run'\n[probes.value]\nuse = 'value'\n", "never.toml")
    for asked, words in [
        ("never.toml", "there is no finished run of this spec; start one with `runner run`"),
        ("nowhere.json", "nowhere.json is no kept run"),
        ("nowhere/run.json", "there is no finished run"),
    ]:
        done = world.run_cli("diff", token, asked)
        assert (done.code, done.out) == (2, "")
        assert words in done.err
    for keys in (world.artifacts / "study" / "runs" / "keys").iterdir():
        keys.write_text("torn", "utf-8")
    done = world.run_cli("diff", token, "study.toml")
    assert done.code == 2
    assert "cannot be read" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_run_says_where_runs_are_listed(world) -> None:
    world.spec(SPEC)
    run(world)
    done = world.run_cli("diff", "zzzz", "study.toml")
    assert done.code == 2
    assert "zzzz is no kept run (`runner log` lists them)" in done.err
