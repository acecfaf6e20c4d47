"""The embedded digits, against scikit-learn's own."""

import numpy as np
from sklearn.datasets import load_digits

from plugins.data.digits import Digits


def test_row_i_is_row_i_of_the_set_and_pictures_are_upright() -> None:
    data = Digits(mean=0.0, std=1.0).run()
    pixels, labels = load_digits(return_X_y=True)
    grey = data["train"]["x"][:, 0]
    assert grey.shape == (1500, 28, 28)
    np.testing.assert_allclose(grey[:, 2:26:3, 2:26:3].reshape(1500, 64), pixels[:1500] / 16)
    assert data["train"]["y"].tolist() == labels[:1500].tolist()
    assert data["test"]["y"].tolist() == labels[1500:].tolist()


def test_the_margin_is_black_on_every_side() -> None:
    data = Digits(mean=0.0, std=1.0, enlarge=1).run()
    grey = data["test"]["x"][:, 0]
    assert not grey[:, :10].any()
    assert not grey[:, 18:].any()
    assert not grey[:, :, :10].any()
    assert not grey[:, :, 18:].any()
    assert grey[:, 10:18, 10:18].any()


def test_it_says_that_it_is_not_mnist() -> None:
    about = Digits().run().about
    assert "MNIST" not in about["name"]
    assert about["source"] == "scikit-learn's 8x8 digits, 3x enlarged, padded to 28x28"


def test_values_are_normalised_as_stated() -> None:
    plain, normal = Digits(mean=0.0, std=1.0).run(), Digits().run()
    wanted = (plain["test"]["x"] - 0.1307) / 0.3081
    np.testing.assert_allclose(normal["test"]["x"], wanted, atol=1e-6)
