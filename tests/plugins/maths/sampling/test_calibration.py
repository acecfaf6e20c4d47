"""What is recommended from a sweep: hand-made sweeps in which the answer is plain."""

import itertools

import numpy as np
import pandas as pd
import pytest

from plugins.maths.sampling.calibration import Survey, recommendation

STEPS = [0.1, 0.3, 1.0, 3.0, 10.0]
PULLS = [0.1, 1.0, 10.0]


def sweep(change=None, tasks=("add", "div")) -> pd.DataFrame:
    """Return a sweep in which every setting is healthy with llc 10 +- 1; `change` alters rows."""
    rows = []
    for task, pull, step in itertools.product(tasks, PULLS, STEPS):
        row = {
            "task": task, "pull": pull, "step": step, "llc": 10.0, "llc_se": 1.0, "ess": 20.0,
            "healthy": True, "step_size": 1e-5 * step, "localisation": 100.0 * pull,
        }  # fmt: skip
        rows.append(row | (change(task, pull, step) if change else {}))
    return pd.DataFrame(rows)


def recommended(frame: pd.DataFrame, tolerance: float = 2.0) -> dict:
    return recommendation(Survey.of(frame, "step", "pull", ["task"]), tolerance)


def test_where_all_is_flat_the_weakest_localisation_and_its_largest_inner_step_are_taken():
    found = recommended(sweep())
    assert (found["localisation"], found["step_size"]) == (10.0, 3e-5)
    assert found["flat"]
    assert found["flat_settings"] == len(PULLS) * (len(STEPS) - 2)


def test_one_unhealthy_task_rules_a_setting_and_its_neighbours_in_the_step_out():
    def change(task, pull, step):
        return {"healthy": not (task == "div" and pull == 0.1 and step == 10.0)}

    found = recommended(sweep(change))
    assert (found["localisation_factor"], found["step_factor"]) == (0.1, 1.0)


def test_a_localisation_without_a_stable_step_is_passed_over():
    found = recommended(sweep(lambda task, pull, step: {"healthy": pull > 0.1 or step == 1.0}))
    assert (found["localisation_factor"], found["step_factor"]) == (1.0, 3.0)


@pytest.mark.parametrize(("jump", "step"), [(2.8, 3.0), (2.9, 0.3)])
def test_flat_means_within_tolerance_combined_errors(jump, step):
    # Two errors of 1 combine to sqrt 2, twice that is 2.83. The jump lies between steps 1 and 3.
    frame = sweep(lambda task, pull, step: {"llc": 10.0 + jump * (step >= 3.0)}, tasks=("add",))
    assert recommended(frame)["step_factor"] == step


def test_a_weak_localisation_that_is_stable_goes_before_a_strong_one_that_is_flat():
    def change(task, pull, step):
        return {"llc": 10.0 * step if pull < 1.0 else 10.0}

    found = recommended(sweep(change))
    assert (found["localisation_factor"], found["step_factor"]) == (0.1, 3.0)
    assert found["stable"]
    assert not found["flat"]
    assert "stable, though not flat" in found["reason"]


def test_without_a_stable_setting_a_healthy_one_is_named_and_said_not_to_be_stable():
    found = recommended(sweep(lambda task, pull, step: {"healthy": step == 0.3}))
    assert not found["stable"]
    assert (found["localisation_factor"], found["step_factor"]) == (0.1, 0.3)
    assert "none is stable" in found["reason"]


def test_without_a_healthy_setting_nothing_is_recommended():
    found = recommended(sweep(lambda task, pull, step: {"healthy": False}))
    assert np.isnan(found["step_size"])
    assert "no setting is healthy" in found["reason"]


def test_the_setting_in_use_is_judged_at_both_labels_one():
    def change(task, pull, step):
        return {"healthy": not (pull == 1.0 and step == 3.0)}

    found = recommended(sweep(change))
    assert found["in_use_healthy"]
    assert not found["in_use_stable"]
    assert not found["in_use_flat"]
    assert recommended(sweep())["in_use_flat"]


def test_the_llc_and_ess_told_are_of_the_recommended_setting_over_all_repeats():
    def change(task, pull, step):
        here = pull == 0.1 and step == 3.0
        return {"llc": 10.5 if here and task == "div" else 10.0, "ess": 7.0 if here else 20.0}

    found = recommended(sweep(change))
    assert (found["llc_least"], found["llc_most"], found["ess"]) == (10.0, 10.5, 7.0)


def test_the_largest_step_is_recommended_whose_next_is_healthy():
    found = recommended(sweep(lambda task, pull, step: {"healthy": step <= 1.0}))
    assert found["step_factor"] == 0.3
    assert found["healthy_settings"] == 3 * len(PULLS)


def test_a_setting_that_a_repeat_lacks_is_not_healthy():
    frame = sweep()
    hole = (frame["task"] == "div") & (frame["pull"] == 0.1) & (frame["step"] == 3.0)
    found = recommended(frame[~hole])
    assert (found["localisation_factor"], found["step_factor"]) == (0.1, 0.3)


def test_the_order_of_rows_does_not_matter():
    frame = sweep(lambda task, pull, step: {"healthy": step < 10.0})
    shuffled = frame.sample(frac=1.0, random_state=0)
    assert recommended(frame) == recommended(shuffled)


def test_one_row_for_each_setting_needs_no_repeats():
    found = recommendation(Survey.of(sweep(tasks=("add",)), "step", "pull", []), 2.0)
    assert found["step_factor"] == 3.0


def test_two_rows_of_one_setting_are_refused():
    with pytest.raises(ValueError, match=r"they differ in task.*as `repeats`"):
        Survey.of(sweep(), "step", "pull", [])


def test_a_table_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        Survey.of(sweep().iloc[:0], "step", "pull", ["task"])
