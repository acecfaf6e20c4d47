import numpy as np
import pytest
import torch

from plugins.data.linear_teacher import LinearTeacher
from plugins.models.analytic import Analytic
from plugins.trainers.closed_form import ClosedForm
from runner.errors import RunnerError
from runner.types import Seed, Split


def loss(network, split: Split) -> float:
    x, y = (torch.as_tensor(split[name]) for name in "xy")
    module = network.architecture.build().double()
    module.load_state_dict(dict(network.weights))
    return ((module(x) - y) ** 2).sum(1).mean().item() / 2


@pytest.mark.parametrize(
    ("widths", "rank"), [((4, 3), 2), ((4, 3, 5), 3), ((5, 3, 5), 0), ((5, 4, 6, 5), 2)]
)
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_the_minimum_has_no_loss_and_no_slope_and_is_the_most_singular_one(widths, rank, shift):
    sizes = {"inputs": widths[0], "outputs": widths[-1], "rank": rank}
    split = LinearTeacher(**sizes, points=60).run(Seed(0))["train"]
    model = Analytic(widths=widths, origin=(shift,) * (len(widths) - 1))
    network = model.minimum(split)
    assert loss(network, split) < 1e-25
    for weight in network.weights.values():
        size = torch.linalg.svdvals(weight - shift)
        assert (size > 1e-9).sum() == rank  # excess units are zero in every layer
        if rank and len(widths) > 2:
            assert size[:rank].max() / size[:rank].min() == pytest.approx(1.0)  # equal strengths


def test_a_bottleneck_below_the_rank_gives_the_best_map_of_its_rank():
    """Against alternating least squares from elsewhere, which has no minimum but the best map."""
    split = LinearTeacher(inputs=4, outputs=4, rank=4, points=30).run(Seed(0))["train"]
    x, y = split["x"], split["x"] @ np.diag([3.0, 2.0, 1.0, 0.5])
    best = loss(
        Analytic(widths=(4, 2, 4)).minimum(Split({"x": x, "y": y})), Split({"x": x, "y": y})
    )
    first = np.random.default_rng(1).normal(size=(4, 2))
    for _ in range(300):
        second = np.linalg.lstsq(x @ first, y, rcond=None)[0]
        first = np.linalg.lstsq(x, y @ np.linalg.pinv(second), rcond=None)[0]
    found = ((x @ first @ second - y) ** 2).sum(1).mean() / 2
    assert best > 0.01
    assert found == pytest.approx(best, rel=1e-6)


def test_monomials_have_the_stated_loss():
    """K = sum_o prod_j (w_j - c_j)^(2 k_oj), for inputs of mean square one and targets zero."""
    model = Analytic(powers=((2, 1), (0, 3)), origin=(1.0, -0.5))
    split = LinearTeacher(outputs=2, whiten=True).run(Seed(0))["train"]
    network = model.initialise(Seed(3))
    a = network.weights["tensors.0"].item() - 1.0
    b = network.weights["tensors.1"].item() + 0.5
    assert loss(network, split) == pytest.approx(a**4 * b**2 + b**6, rel=1e-5)
    assert loss(model.minimum(split), split) == 0.0


def test_the_trainer_places_the_network_and_names_what_is_missing():
    data = LinearTeacher(inputs=2, outputs=3, rank=1).run(Seed(0))
    network = ClosedForm().run(Analytic(widths=(2, 3)), data)
    assert loss(network, data["train"]) < 1e-25
    with pytest.raises(RunnerError, match="no split 'test'"):
        ClosedForm(train="test").run(Analytic(widths=(2, 3)), data)
    with pytest.raises(RunnerError, match="2 inputs and 3 outputs for a network of 3 and 2"):
        ClosedForm().run(Analytic(widths=(3, 2)), data)
    from plugins.models.transformer import Transformer

    with pytest.raises(RunnerError, match="Transformer states no minimum"):
        ClosedForm().run(Transformer(), data)


def test_monomials_are_not_placed_at_other_targets():
    data = LinearTeacher(rank=1).run(Seed(0))["train"]
    with pytest.raises(RunnerError, match="targets of zero"):
        Analytic(powers=((2,),)).minimum(data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, "either widths or powers"),
        ({"widths": (2, 2), "powers": ((1,),)}, "either widths or powers"),
        ({"widths": (2,)}, "two or more"),
        ({"powers": ((1, 2), (1,))}, "one number for each weight"),
        ({"powers": ((-1,),)}, "0 or more"),
        ({"widths": (2, 2), "origin": (1.0, 2.0)}, "origin needs 1 numbers"),
    ],
)
def test_impossible_shapes_are_named(change, problem):
    assert problem in Analytic(**change).check_parameters()
