"""The probe of gradient outer products as a step: what it reads, gives and refuses."""

import numpy as np
import pytest
import torch

from plugins.models.linear import Linear
from plugins.models.transformer import Transformer
from plugins.probes.agop import Agop, Found
from runner.errors import RunnerError
from runner.types import Circumstance, Network, Seed, Split

NETWORK = Linear(inputs=6, outputs=3).initialise(Seed(0))
DRAWS = np.random.default_rng(0)
DATA = Split({"x": DRAWS.normal(size=(40, 2, 3)).astype("f4"), "y": DRAWS.integers(0, 3, 40)})
WEIGHT = NETWORK.weights["layers.0.weight"].double().numpy()
DECODER = Transformer(layers=1, heads=2, width=8, vocabulary=5, length=3, outputs=5)
TOKENS = Split({"x": DRAWS.integers(0, 5, (30, 3)), "y": DRAWS.integers(0, 5, 30)})


def found(network: Network, data: Split, **parameters: object) -> Found:
    return Agop.model_validate(parameters).run(network, data, Circumstance())


def row(result: Found) -> dict[str, float]:
    assert list(result.table.columns) == list(Agop.columns)
    return {name: values[0] for name, values in result.table.columns.items()}


def test_a_linear_network_gives_its_weights_transposed_times_themselves() -> None:
    result = found(NETWORK, DATA)
    wanted = WEIGHT.T @ WEIGHT
    assert np.abs(result.matrix["matrix"] - wanted).max() < 1e-14 * np.abs(wanted).max()
    spectrum = np.linalg.svd(WEIGHT, compute_uv=False) ** 2
    assert result.matrix["eigenvalues"][:3] == pytest.approx(spectrum, rel=1e-12)
    numbers = row(result)
    assert numbers["agop"] == pytest.approx(np.linalg.norm(wanted), rel=1e-12)
    assert numbers["trace"] == pytest.approx(spectrum.sum(), rel=1e-12)
    assert (numbers["agop_rows"], numbers["dimension"]) == (40, 6)
    assert result.matrix.dimensions["matrix"] == ("row", "column")


def test_a_matrix_is_kept_only_when_asked_for() -> None:
    assert set(found(NETWORK, DATA, keep="spectrum").matrix.arrays) == {"eigenvalues"}


def test_the_first_rows_may_be_taken() -> None:
    few = Split({name: array[:7] for name, array in TOKENS.arrays.items()})
    network = DECODER.initialise(Seed(0))
    assert row(found(network, TOKENS, rows=7)) == row(found(network, few))
    assert row(found(network, TOKENS))["agop_rows"] == 30


@pytest.mark.parametrize(("precision", "rel"), [("float64", 1e-6), ("float32", 1e-3)])
def test_gradients_of_a_loss_that_is_nearly_zero_keep_their_digits(precision: str, rel: float):
    """p - 1 of a row predicted with e^-40 to spare is 0 in any precision, the others' sum not."""
    bias = torch.tensor([40.0, 0.0, 0.0])
    weight = NETWORK.weights["layers.0.weight"]
    network = Network(NETWORK.architecture, {"layers.0.weight": weight, "layers.0.bias": bias})
    data = Split({"x": np.zeros((4, 6), "f4"), "y": np.zeros(4, np.int64)})
    shares = np.exp(-40.0) * np.array([-2.0, 1.0, 1.0])
    wanted = ((shares @ WEIGHT) ** 2).sum()
    trace = row(found(network, data, of="loss", precision=precision))["trace"]
    assert trace == pytest.approx(wanted, rel=rel, abs=0)


def test_the_embedding_is_flattened_over_positions() -> None:
    numbers = row(found(DECODER.initialise(Seed(0)), TOKENS))
    assert numbers["dimension"] == 3 * 8
    assert 1 < numbers["effective_rank"] <= 24


def test_a_missing_layer_is_an_error_that_lists_what_is_there() -> None:
    with pytest.raises(RunnerError, match=r"agop: block = 'blocks': .*only layers"):
        found(NETWORK, DATA, block="blocks")
