"""Option tables of training: schedules in closed form, monitors, refusals."""

import math

import pytest
from pydantic import ValidationError

from plugins.maths.training.optimisers import Adam, AdamW, Monitor, Optimizer, Schedule, Sgd


def factors(total, **given):
    schedule = Schedule.model_validate(given)
    return [schedule.factor(step, total) for step in range(total)]


def test_no_schedule_is_a_constant_rate():
    assert factors(4) == factors(4, constant={}) == [1.0] * 4


def test_a_linear_decay_falls_to_zero_over_the_last_share():
    assert factors(20, linear={"decay": 0.25}) == pytest.approx([1.0] * 16 + [0.8, 0.6, 0.4, 0.2])


def test_a_cosine_starts_at_one_passes_the_middle_and_ends_near_its_floor():
    values = factors(1000, cosine={"floor": 0.1})
    assert values[0] == 1.0
    assert values[500] == pytest.approx(0.55)
    assert values[-1] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.999)))


def test_a_warmup_rises_linearly_and_multiplies_the_schedule():
    assert factors(6, warmup=4) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    product = [a * b for a, b in zip(factors(6, warmup=4), factors(6, cosine={}), strict=True)]
    assert factors(6, warmup=4, cosine={}) == pytest.approx(product)


def test_two_schedules_are_refused():
    with pytest.raises(ValidationError, match="not linear, cosine"):
        Schedule.model_validate({"linear": {}, "cosine": {}})


def test_a_monitor_knows_its_direction_and_margin():
    low, high = Monitor(), Monitor(monitor="test_r2", mode="max")
    assert low.better(1.0, None)
    assert low.better(0.8, 1.0, 0.1)
    assert not low.better(0.95, 1.0, 0.1)
    assert high.better(1.2, 1.0, 0.1)
    assert not high.better(0.8, 1.0)
    assert not high.better(1.0, 1.0)


def test_the_given_optimizer_is_built_with_its_parameters():
    from torch import nn, optim

    weights = list(nn.Linear(2, 2).parameters())
    built = Optimizer(adamw=AdamW(lr=0.1, betas=(0.8, 0.9), weight_decay=1.0)).build(iter(weights))
    assert type(built) is optim.AdamW
    assert built.defaults["betas"] == (0.8, 0.9)
    assert built.defaults["weight_decay"] == 1.0
    assert type(Optimizer(adam=Adam()).build(iter(weights))) is optim.Adam
    sgd = Optimizer(sgd=Sgd(momentum=0.9, nesterov=True)).build(iter(weights))
    assert sgd.defaults["nesterov"]


def test_impossible_values_are_refused():
    with pytest.raises(ValidationError, match=r"betas = \[0.9, 1.0\] must lie in"):
        Adam(betas=(0.9, 1.0))
    with pytest.raises(ValidationError, match="needs momentum"):
        Sgd(nesterov=True)
    with pytest.raises(ValidationError, match="learning_rate"):
        Optimizer.model_validate({"adam": {"learning_rate": 1.0}})
