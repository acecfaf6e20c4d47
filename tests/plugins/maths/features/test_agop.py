"""Outer products of single rows' gradients, against closed forms and a loop over rows."""

import pytest
import torch
from torch import Tensor, nn

from plugins.maths.features.agop import average, summed_up
from plugins.maths.features.gradients import RowGradients
from plugins.models.transformer import Transformer
from runner.types import Seed

DRAWS = torch.Generator().manual_seed(0)
X = torch.randn(23, 6, generator=DRAWS, dtype=torch.float64)
CLASSES = torch.randint(0, 4, (23,), generator=DRAWS)
SMALL = Transformer(layers=2, heads=2, width=8, vocabulary=7, length=4, outputs=7)
TOKENS = torch.randint(0, 7, (20, 4), generator=DRAWS)
ANSWERS = torch.randint(0, 7, (20,), generator=DRAWS)
ROOM = 1 << 25


class Form(nn.Module):
    """x -> x^T A x for each of several matrices A (C, d, d)."""

    def __init__(self, matrices: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrices", matrices)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bi,cij,bj->bc", x, self.matrices, x)


def linear(outputs: int = 4) -> nn.Linear:
    layer = nn.Linear(6, outputs).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, 6, generator=DRAWS, dtype=torch.float64))
    return layer


def decoder() -> nn.Module:
    return SMALL.initialise(Seed(1)).module().double()


def agop(
    module: nn.Module, x: Tensor, y: Tensor, of: str = "logits", *, centred: bool = False,
    memory: int = ROOM, block: str = "",
) -> Tensor:  # fmt: skip
    gradients = RowGradients.by(module, block, of, x)
    return average(gradients, x, y, centred=centred, memory=memory).matrix


def close(found: Tensor, wanted: Tensor, rtol: float = 1e-12) -> None:
    """Compare relative to the largest entry: small entries of a matrix are sums of large ones."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=rtol * wanted.abs().max().item())


def test_that_of_a_linear_map_is_its_weights_transposed_times_itself() -> None:
    layer = linear()
    close(agop(layer, X, CLASSES), (layer.weight.T @ layer.weight).detach(), 1e-14)


def test_centred_a_linear_map_has_none() -> None:
    layer = linear()
    size = (layer.weight.T @ layer.weight).abs().max().item()
    assert agop(layer, X, CLASSES, centred=True).abs().max().item() < 1e-14 * size


def test_that_of_quadratic_forms_is_their_closed_form() -> None:
    a = torch.randn(3, 6, 6, generator=DRAWS, dtype=torch.float64)
    twice = a + a.transpose(1, 2)  # the derivative of x^T A x is (A + A^T) x
    second = X.T @ X / len(X)
    wanted = sum(s @ second @ s for s in twice)
    close(agop(Form(a), X, CLASSES), wanted)
    mean = X.mean(0)
    centred = sum(s @ (second - torch.outer(mean, mean)) @ s for s in twice)
    close(agop(Form(a), X, CLASSES, centred=True), centred)


def test_that_of_the_cross_entropy_of_a_linear_map_is_its_closed_form() -> None:
    layer = linear()
    residual = layer(X).softmax(1) - nn.functional.one_hot(CLASSES, 4)
    rows = (residual @ layer.weight).detach()
    close(agop(layer, X, CLASSES, "loss"), rows.T @ rows / len(X))


def test_real_targets_are_fitted_by_squares() -> None:
    layer, y = linear(2), torch.randn(23, 2, generator=DRAWS, dtype=torch.float64)
    rows = ((layer(X) - y) @ layer.weight).detach()  # of the mean square over 2 outputs
    close(agop(layer, X, y, "loss"), rows.T @ rows / len(X))


@pytest.mark.parametrize("of", ["logits", "loss"])
def test_it_equals_a_loop_over_single_rows(of: str) -> None:
    network = decoder()
    wanted = torch.zeros(32, 32, dtype=torch.float64)
    for x, y in zip(TOKENS.split(1), ANSWERS.split(1), strict=True):
        wanted += agop(network, x, y, of) / len(TOKENS)
    close(agop(network, TOKENS, ANSWERS, of), wanted, 1e-11)


@pytest.mark.parametrize("of", ["logits", "loss"])
@pytest.mark.parametrize("centred", [False, True])
def test_it_does_not_depend_on_how_many_rows_are_computed_at_once(of: str, centred: bool) -> None:
    network = decoder()
    whole = agop(network, TOKENS, ANSWERS, of, centred=centred)
    for memory in (1, 20_000, 60_000):
        found = agop(network, TOKENS, ANSWERS, of, centred=centred, memory=memory)
        close(found, whole, 1e-11)


def test_the_rows_at_once_follow_from_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network, sizes = decoder(), []
    gradients = RowGradients.by(network, "", "loss", TOKENS)
    each = gradients.bytes_a_row(TOKENS)
    inner = RowGradients.each

    def noted(self: RowGradients, x: Tensor, y: Tensor) -> object:
        sizes.append(len(x))
        return inner(self, x, y)

    monkeypatch.setattr(RowGradients, "each", noted)
    average(gradients, TOKENS, ANSWERS, centred=False, memory=int(2 * 7.5 * each))
    assert sizes == [7, 7, 6]


def test_it_is_of_rows_and_not_of_the_mean_loss_of_a_batch() -> None:
    """BUG of earlier implementations: g g^T of a batch's mean loss, which shrinks with the batch.

    Rows that stand twice leave the average over rows as it was, and the order does not matter;
    of the mean loss over batches neither is true.
    """
    network = decoder()
    once = agop(network, TOKENS, ANSWERS, "loss")
    twice = agop(network, TOKENS.repeat(2, 1), ANSWERS.repeat(2), "loss")
    turned = agop(network, TOKENS.flip(0), ANSWERS.flip(0), "loss")
    close(twice, once, 1e-11)
    close(turned, once, 1e-11)

    def of_batches(size: int) -> Tensor:
        gradients = RowGradients.by(network, "", "loss", TOKENS)
        found = [
            next(iter(gradients.each(x, y))).mean(0)
            for x, y in zip(TOKENS.split(size), ANSWERS.split(size), strict=True)
        ]
        return sum(torch.outer(g, g) for g in found) / len(found)

    close(of_batches(1), once, 1e-11)
    traces = [of_batches(size).trace().item() for size in (1, 5, 20)]
    assert traces[0] > 1.5 * traces[1] > 1.5 * traces[2]


def test_tokens_are_differentiated_by_their_embedding_and_positions_do_not_matter() -> None:
    network = decoder()
    found = agop(network, TOKENS, ANSWERS)
    assert found.shape == (4 * 8, 4 * 8)  # T x width
    stream = (network.token(TOKENS) + network.position.weight).detach()

    class Rest(nn.Module):
        def forward(self, block: Tensor) -> Tensor:
            for layer in network.blocks:
                block = layer(block)
            return network.head(network.norm(block[:, -1]))

    close(agop(Rest(), stream, ANSWERS), found, 1e-11)


def test_a_layer_may_be_named() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    wanted = (network[2].weight.T @ network[2].weight).detach()
    close(agop(network, X, CLASSES, block="1"), wanted)
    with pytest.raises(ValueError, match=r"no such layer, only 0, 1, 2"):
        agop(network, X, CLASSES, block="3")


def test_what_cannot_be_differentiated_by_is_told() -> None:
    with pytest.raises(ValueError, match="has no embedding; name a layer"):
        agop(linear(), X.long(), CLASSES)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(6, 6).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.one(self.one(x))

    with pytest.raises(ValueError, match="called 2 times"):
        agop(Twice(), X, CLASSES, block="one")


def test_the_first_row_whose_gradient_is_not_finite_is_named() -> None:
    broken = X.clone()
    broken[17, 2] = torch.nan
    with pytest.raises(FloatingPointError, match=r"rows 0 to 23: row 17: gradient not finite"):
        agop(Form(torch.ones(1, 6, 6, dtype=torch.float64)), broken, CLASSES)


def test_the_network_is_as_before_and_its_parameters_have_no_gradients() -> None:
    network = decoder()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    agop(network, TOKENS, ANSWERS)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.token._forward_hooks


def test_the_numbers_are_those_of_the_spectrum() -> None:
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=DRAWS, dtype=torch.float64))
    values = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    numbers, spectrum = summed_up(turn @ values.diag() @ turn.T)
    assert spectrum == pytest.approx(values.numpy())
    assert numbers["agop"] == pytest.approx(22**0.5)
    assert numbers["trace"] == pytest.approx(8)
    assert numbers["top_eigenvalue"] == pytest.approx(4)
    assert numbers["effective_rank"] == pytest.approx(2**1.75)  # entropy 1.75 bits


def test_the_effective_rank_goes_from_one_to_all() -> None:
    assert summed_up(torch.ones(5, 5).double())[0]["effective_rank"] == pytest.approx(1)
    assert summed_up(torch.eye(5).double())[0]["effective_rank"] == pytest.approx(5)
    nothing = summed_up(torch.zeros(5, 5).double())[0]
    assert nothing["agop"] == 0
    assert nothing["effective_rank"] != nothing["effective_rank"]
