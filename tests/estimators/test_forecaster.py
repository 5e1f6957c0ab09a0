"""The forecaster in scikit-learn's manners: arrays and long tables in, the same out."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from elman.errors import DataError, OptionError, ShapeError
from elman.sklearn import Forecaster

SMALL: dict[str, Any] = {
    "look_back": 12, "horizon": 4, "hidden": 16, "embedding": 16, "dropout": 0.0, "steps": 150, "batch": 32, "lr": 0.01,
}  # fmt: skip
WAVE = 10 + np.sin(2 * np.pi * np.arange(200) / 12)


def test_an_array_is_forecast_as_an_array() -> None:
    forecaster = Forecaster(**SMALL).fit(WAVE)
    expected = 10 + np.sin(2 * np.pi * np.arange(200, 204) / 12)
    assert np.abs(forecaster.predict() - expected).max() < 0.4
    # By what came before: six steps earlier the wave is at its other side.
    earlier = forecaster.predict(WAVE[:-6])
    assert np.abs(earlier - (20 - expected)).max() < 0.4
    both = clone(forecaster).set_params(steps=2).fit(np.stack([WAVE, -WAVE], 1))
    assert both.predict().shape == (4, 2)
    with pytest.raises(ShapeError, match="3 columns; 2 were fitted"):
        both.predict(np.zeros((20, 3)))


def test_a_long_table_is_forecast_as_columns() -> None:
    days = [f"2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(28)] + [f"2024-01-{n}" for n in (29, 30, 31)]
    table = {"unique_id": ["a"] * 31 + ["b"] * 31, "ds": days * 2, "y": np.arange(62.0)}
    forecaster = Forecaster(**{**SMALL, "steps": 2, "loss": "quantile"}).fit(table)
    found = forecaster.predict()
    assert list(found) == ["unique_id", "ds", "y", "q0.1", "q0.5", "q0.9"]
    assert found["unique_id"].tolist() == ["a"] * 4 + ["b"] * 4
    assert found["ds"][:2].tolist() == ["2024-02-01", "2024-02-02"]
    polars = pytest.importorskip("polars")
    again = clone(forecaster).fit(polars.DataFrame(table)).predict()
    assert np.array_equal(again["y"], found["y"])


def test_what_can_not_be_used_is_refused() -> None:
    small = Forecaster(**{**SMALL, "steps": 2})
    with pytest.raises(NotFittedError):
        small.predict()
    with pytest.raises(ShapeError, match="array of numbers"):
        small.fit(["a", "b"])
    with pytest.raises(ShapeError, match="it needs 'y'"):
        small.fit({"ds": [1, 2]})
    with pytest.raises(DataError, match="don't rise"):
        small.fit({"ds": [2, 1, 3], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match="missing or not finite"):
        small.fit(np.where(np.arange(200) == 50, np.nan, WAVE))
    with pytest.raises(DataError, match="no series is long enough"):
        small.fit(WAVE[:10])
    with pytest.raises(OptionError, match="--head 'sideways'"):
        Forecaster(head="sideways").fit(WAVE)
    filled = Forecaster(**{**SMALL, "steps": 2, "missing": "interpolate"})
    assert filled.fit(np.where(np.arange(200) == 50, np.nan, WAVE)).predict().shape == (4,)
