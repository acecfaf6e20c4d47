"""Numbers on fine-tuned networks against networks whose function is known."""

import math

import numpy as np
import pytest
import torch

from plugins.data.function_1d import Function1d
from plugins.models.mlp import Mlp
from plugins.perturbations.append_points import AppendPoints
from plugins.probes.fit_metrics import Fit, FitMetrics
from runner import Circumstance, Dataset, Network, Seed

LINE = Function1d(function="linear", low=-4.0, high=4.0, train=9, test=200).run(Seed(1))
NET = Mlp(activation="identity", hidden=(), inputs=1, outputs=1)
OUTLIERS = ((0.0, 5.0), (1.0, -3.0))


def line(slope: float, shift: float) -> Network:
    """Return the network x -> slope x + shift."""
    weights = {"layers.0.weight": torch.tensor([[slope]]), "layers.0.bias": torch.tensor([shift])}
    return Network(NET, weights)


def fit(
    tuned: Network, base: Network, points: tuple = OUTLIERS, keep: bool = True, **parameters: float
) -> Fit:
    data = AppendPoints(points=points, keep=keep).run(LINE)
    given = {"near": 0.5, "far": 3.0, "order": 8} | parameters
    return FitMetrics(**given).run(tuned, base, data, LINE, Circumstance())


def number(found: Fit, name: str) -> float:
    return float(found.metrics.columns[name][0])


def test_a_shifted_line_is_wrong_by_its_shift_everywhere() -> None:
    found = fit(line(1.0, 0.5), line(1.0, 0.0))
    for name in ("train_rms_ft", "test_rms_ft", "y_distortion_rms", "global_damage_rms",
                 "far_distortion_rms", "near_distortion_rms"):  # fmt: skip
        assert number(found, name) == pytest.approx(0.5, abs=1e-7), name
    assert number(found, "far_near_ratio") == pytest.approx(1.0)
    for name in ("train_rms_base", "test_rms_base", "spectrum_error_base"):
        assert number(found, name) == pytest.approx(0.0, abs=1e-7), name
    # |0.5 - 5| and |1.5 + 3|
    assert number(found, "local_fit_error") == pytest.approx(4.5)
    # a shift by s has one coefficient, s sqrt(2), in an orthonormal basis of 9 functions
    assert number(found, "spectrum_error_ft") == pytest.approx(0.5 * math.sqrt(2) / 3)


def test_training_error_is_over_the_original_points_only() -> None:
    """BUG of earlier implementations: it was over the set with the outliers."""
    found = fit(line(1.0, 0.0), line(1.0, 0.0))
    assert number(found, "train_rms_ft") == pytest.approx(0.0, abs=1e-7)
    # squares 25 and 16 among 11 points
    assert number(found, "train_rms_ft_all") == pytest.approx(math.sqrt(41 / 11))


def test_far_and_near_are_told_apart() -> None:
    """The change is 0.1 x, so that it tells where it was measured."""
    x = LINE["test"]["x"][:, 0]
    found = fit(line(1.1, 0.0), line(1.0, 0.0), points=((0.0, 5.0),))
    far, near = x[np.abs(x) > 3], x[np.abs(x) < 0.5]
    assert len(far) > 10
    assert len(near) > 10
    assert number(found, "far_distortion_rms") == pytest.approx(
        0.1 * np.sqrt((far**2).mean()), rel=1e-5
    )
    assert number(found, "near_distortion_rms") == pytest.approx(
        0.1 * np.sqrt((near**2).mean()), rel=1e-5
    )


def test_the_floor_is_the_compromise_with_contradicting_labels() -> None:
    """At 0 the labels are 0 and 5, at 1 they are 1 and -3: half of the gaps 5 and 4."""
    found = fit(line(1.0, 0.0), line(1.0, 0.0))
    assert number(found, "local_fit_floor") == pytest.approx(2.25)
    alone = fit(line(1.0, 0.0), line(1.0, 0.0), keep=False)
    assert number(alone, "local_fit_floor") == 0.0
    assert number(alone, "train_rms_ft") == pytest.approx(0.0, abs=1e-7)


def test_numbers_over_no_points_are_nan() -> None:
    found = fit(line(1.0, 0.5), line(1.0, 0.0), far=100.0)
    assert math.isnan(number(found, "far_distortion_rms"))
    assert math.isnan(number(found, "global_damage_rms"))
    same = fit(line(1.0, 0.0), line(1.0, 0.0))
    assert math.isnan(number(same, "far_near_ratio"))


@pytest.mark.parametrize("keep", [True, False])
def test_curves_hold_every_point_with_its_part(keep: bool) -> None:
    columns = fit(line(2.0, 0.0), line(1.0, 0.0), keep=keep).curves.columns
    part = np.asarray(columns["part"])
    assert [(part == name).sum() for name in ("test", "train", "appended")] == [200, 9, 2]
    x = np.asarray(columns["x"])
    assert np.allclose(columns["ft"], 2 * x, atol=1e-6)
    assert np.allclose(columns["change"], x, atol=1e-6)
    used = np.asarray(columns["tuned_on"])
    assert used[part == "appended"].all()
    assert used[part == "train"].all() == keep
    assert not used[part == "test"].any()


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "fourier"])
def test_spectra_come_in_each_basis(basis: str) -> None:
    found = FitMetrics(basis=basis, order=12).run(
        line(1.0, 0.0),
        line(0.0, 0.0),
        AppendPoints(points=OUTLIERS).run(LINE),
        LINE,
        Circumstance(),
    )
    columns = found.spectrum.columns
    assert list(columns["k"]) == list(range(13))
    assert np.allclose(columns["coef_ft"], columns["coef_true"], atol=1e-6)
    assert np.allclose(columns["coef_base"], 0)
    assert np.array_equal(columns["size_true"], np.abs(columns["coef_true"]))


def test_data_of_unknown_function_or_several_variables_are_refused() -> None:
    plain = Dataset(LINE.splits, {})
    with pytest.raises(ValueError, match="use function_1d"):
        FitMetrics().run(line(1, 0), line(1, 0), LINE, plain, Circumstance())
    flat = Dataset({n: {"x": np.zeros((3, 2)), "y": np.zeros(3)} for n in ("train", "test")}, {})
    with pytest.raises(ValueError, match="not of one variable"):
        FitMetrics().run(line(1, 0), line(1, 0), flat, LINE, Circumstance())
