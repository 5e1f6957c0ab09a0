"""The regressor in scikit-learn's manners: series in, a number or some for each out."""

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from elman.errors import DataError, OptionError, ShapeError
from elman.models.series_regression import Measured, RegressionKind
from elman.sklearn import SequenceRegressor

# A few updates keep most laws, but learn little.
pytestmark = pytest.mark.filterwarnings("ignore:no better than the training mean")

SMALL: dict[str, Any] = {"cell": "gru", "hidden": 16, "layers": 1, "dropout": 0.0, "averaging": 0.0, "lr": 0.01}


def phases(count: int, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Waves, and how large and how fast each is."""
    drawn = np.random.default_rng(0)
    size_N, speed_N = drawn.uniform(1, 3, count), drawn.uniform(0.2, 0.8, count)
    x_NT = size_N[:, None] * np.sin(speed_N[:, None] * np.arange(steps))
    return x_NT[..., None], np.stack([size_N, 100 + 10 * speed_N], 1)


def test_it_learns_numbers_of_any_size_and_as_many_as_there_are() -> None:
    x_NTD, y_NV = phases(300)
    regressor = SequenceRegressor(**SMALL, steps=300).fit(x_NTD[:240], y_NV[:240])
    assert regressor.predict(x_NTD[240:]).shape == (60, 2)
    assert regressor.score(x_NTD[240:], y_NV[240:]) > 0.9
    assert regressor.scores_["mse"] < 0.1 * regressor.scores_["baseline_mse"]
    one = clone(regressor).set_params(steps=2).fit(x_NTD[..., 0], y_NV[:, 0])
    assert one.predict(x_NTD[:7, :, 0]).shape == (7,)


def test_series_may_be_of_any_lengths_and_padding_changes_nothing() -> None:
    x_NTD, y_NV = phases(60)
    series = [one[: 5 + place % 15] for place, one in enumerate(x_NTD)]
    regressor = SequenceRegressor(**SMALL, steps=5).fit(series, y_NV)
    alone = np.concatenate([regressor.predict([one]) for one in series[:5]])
    np.testing.assert_allclose(regressor.predict(series)[:5], alone, rtol=1e-5)


def test_scales_are_fitted_on_the_training_part_alone() -> None:
    x_NTD, y_NV = phases(40)
    options = SequenceRegressor(**SMALL, steps=1)._options()
    kind, regressor = RegressionKind(), SequenceRegressor(**SMALL, steps=1).fit(x_NTD, y_NV)
    items = [
        Measured(series, y_V) for series, y_V in zip(regressor.model_.reader.sequences(list(x_NTD)), y_NV, strict=True)
    ]
    train = kind.split(items, options).train
    assert 0 < len(train) < 40
    np.testing.assert_array_equal(regressor.model_.mean_V, np.mean([item.targets_V for item in train], 0))
    assert regressor.model_.reader.scale.mean[0] == pytest.approx(np.mean([item.series.values_TD for item in train]))


def test_the_same_seed_gives_the_same_network_and_searches_work() -> None:
    x_NTD, y_NV = phases(40)
    regressor = SequenceRegressor(**SMALL, steps=3)
    found = [clone(regressor).fit(x_NTD, y_NV).predict(x_NTD) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert len(cross_val_score(regressor, x_NTD, y_NV[:, 0], cv=2)) == 2
    search = GridSearchCV(regressor, {"hidden": [4, 8]}, cv=2).fit(x_NTD, y_NV[:, 0])
    assert search.best_params_["hidden"] in (4, 8)


def test_what_is_fitted_can_be_stored() -> None:
    x_NTD, y_NV = phases(30)
    regressor = SequenceRegressor(**SMALL, steps=3).fit(x_NTD, y_NV)
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(x_NTD), regressor.predict(x_NTD))


def test_it_says_where_it_is_no_better_than_the_mean() -> None:
    x_NTD, _ = phases(30)
    noise_N = np.random.default_rng(1).standard_normal(30)
    # One update, so large that whatever the noise of a few held out is, and however a machine rounds, it is missed by far.
    with pytest.warns(UserWarning, match="no better than the training mean"):
        SequenceRegressor(**{**SMALL, "lr": 1.0}, steps=1).fit(x_NTD, noise_N)


def test_targets_that_are_all_alike_are_learnt_as_they_are() -> None:
    x_NTD, _ = phases(30)
    with pytest.warns(UserWarning, match="no better than the training mean"):
        regressor = SequenceRegressor(**SMALL, steps=30).fit(x_NTD, np.full(30, 7.0))
    np.testing.assert_allclose(regressor.predict(x_NTD), 7, atol=0.5)


def test_what_can_not_be_used_is_refused() -> None:
    x_NTD, y_NV = phases(30)
    small = SequenceRegressor(**SMALL, steps=2)
    with pytest.raises(NotFittedError):
        small.predict(x_NTD)
    with pytest.raises(ShapeError, match=r"X has the shape \(30,\)"):
        small.fit(np.zeros(30), y_NV)
    with pytest.raises(ShapeError, match="y is missing"):
        small.fit(x_NTD, None)
    with pytest.raises(ShapeError, match="it must be \\(30,\\)"):
        small.fit(x_NTD, y_NV[:3])
    with pytest.raises(ShapeError, match="must hold numbers"):
        small.fit([["a", "b"]] * 30, y_NV)
    with pytest.raises(ShapeError, match=r"X\[1\] has 2 features, X\[0\] has 1"):
        small.fit([np.zeros((3, 1)), np.zeros((3, 2))], y_NV[:2])
    with pytest.raises(DataError, match=r"X\[3\] has values that are missing"):
        small.fit([np.where(place == 3, np.nan, one) for place, one in enumerate(x_NTD)], y_NV)
    with pytest.raises(DataError, match="y has values that are missing"):
        small.fit(x_NTD, np.full(30, np.inf))
    with pytest.raises(OptionError, match="pooling"):
        clone(small).set_params(pooling="sideways").fit(x_NTD, y_NV)
    fitted = small.fit(x_NTD, y_NV)
    with pytest.raises(ShapeError, match="features"):
        fitted.predict(np.zeros((2, 5, 3)))
