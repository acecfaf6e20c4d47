import pytest
import torch

from plugins.models.transformer import Transformer
from plugins.perturbations.rescale import Rescale
from plugins.probes.function_drift import FunctionDrift
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split

SMALL = Transformer(layers=2, heads=2, width=8, vocabulary=9, length=4, outputs=9)
BASE = SMALL.initialise(Seed(0))
X = torch.randint(9, (50, 4), generator=torch.Generator().manual_seed(0))
DATA = Split({"x": X.numpy(), "y": X[:, 0].numpy()})


def rows(models: list[Network], node: FunctionDrift | None = None) -> list[dict]:
    node = node or FunctionDrift()
    tables = FunctionDrift.run_batch([node] * len(models), models, BASE, DATA, Circumstance())
    return [table.frame.iloc[0].to_dict() for table in tables]


def test_equal_networks_and_powers_of_two_differ_by_exactly_zero():
    for row in rows([BASE, Rescale(alpha=0.25, beta=8.0).run(BASE)]):
        assert (row["max_abs_logit"], row["mean_abs_logit"], row["changed"]) == (0.0, 0.0, 0.0)


def test_columns_follow_from_the_definition():
    other = SMALL.initialise(Seed(1))
    one, two = (network.module()(X).detach() for network in (other, BASE))
    row = rows([other])[0]
    assert set(row) == set(FunctionDrift.columns)
    assert row["max_abs_logit"] == pytest.approx((one - two).abs().max().item(), rel=1e-4)
    assert row["mean_abs_logit"] == pytest.approx((one - two).abs().mean().item(), rel=1e-4)
    assert row["changed"] == pytest.approx((one.argmax(1) != two.argmax(1)).float().mean().item())
    assert row["accuracy"] == pytest.approx((one.argmax(1) == X[:, 0]).float().mean().item())
    expected = (two.argmax(1) == X[:, 0]).float().mean().item()
    assert row["reference_accuracy"] == pytest.approx(expected)


def test_neither_company_nor_chunks_change_a_row():
    models = [Rescale(alpha=alpha).run(BASE) for alpha in (0.3, 1.7, 3.0)]
    together = rows(models)
    assert together == rows(models, FunctionDrift(chunk=2))
    alone = [
        FunctionDrift().run(m, BASE, DATA, Circumstance()).frame.iloc[0].to_dict() for m in models
    ]
    assert together == alone


def test_nan_counts_as_infinite():
    broken = Network(
        SMALL, {**BASE.weights, "head.weight": BASE.weights["head.weight"] * torch.nan}
    )
    row = rows([broken])[0]
    assert row["max_abs_logit"] == float("inf")
    assert row["accuracy"] == 0.0


def test_other_architectures_are_refused():
    other = SMALL.model_copy(update={"width": 4}).initialise(Seed(0))
    with pytest.raises(RunnerError, match="different architectures"):
        rows([other])
