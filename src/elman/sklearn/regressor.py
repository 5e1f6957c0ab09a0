"""An estimator that says numbers of whole series."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin  # type: ignore[import-untyped]
from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]

from elman.data.labelled_series import Series
from elman.errors import DataError, ShapeError
from elman.models.series_regression import Measured, RegressionKind
from elman.sklearn.base import SequenceEstimator


class SequenceRegressor(RegressorMixin, SequenceEstimator):
    """Says a number, or some, of each series, by a recurrent network over its steps (`elman.models.series_regression`).

    X is an array (N, T, D), or (N, T) of one feature, or a list of arrays (T, D) or (T,) of any lengths; y is (N,) or (N, V).
    Fitted attributes: `model_`, an `elman.models.series_regression.SeriesRegressor`; `n_steps_`; `scores_`, those on the part
    that was held out, with those of the training mean as `baseline_…`. `score` is R². Raises `OptionError` for parameters
    that make no sense, `ShapeError` for X and y of other shapes, `DataError` for values that are not finite.
    """

    # Its options are those of a classifier of series.
    _task = "classify-series"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden: int | None = None,
        layers: int | None = None,
        dropout: float | None = None,
        bidirectional: bool | None = None,
        pooling: str | None = None,
        stack: int | None = None,
        differences: bool | None = None,
        cell_options: dict[str, Any] | None = None,
        layer_options: dict[str, Any] | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        batch_tokens: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        averaging: float | None = None,
        valid_fraction: float | None = None,
        patience: int | None = None,
        device: str = "cpu",
        engine: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.stack = stack
        self.differences = differences
        self.cell_options = cell_options
        self.layer_options = layer_options
        self.minutes = minutes
        self.epochs = epochs
        self.steps = steps
        self.batch_tokens = batch_tokens
        self.lr = lr
        self.weight_decay = weight_decay
        self.averaging = averaging
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.device = device
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def _kind(self) -> RegressionKind:
        return RegressionKind()

    def fit(self, X: Any, y: Any) -> "SequenceRegressor":
        """Train on series and their numbers. Warns if what it learnt is no better than the training mean."""
        if y is None:
            raise ShapeError("y is missing: this regressor requires y to be passed, a number for each series.")
        series, targets = _series(X), np.asarray(y)
        if targets.ndim not in (1, 2) or len(targets) != len(series) or not targets.size:
            raise ShapeError(f"y has the shape {targets.shape}: it must be ({len(series)},) or ({len(series)}, V).")
        targets_NV = _numbers(targets, "y").reshape(len(series), -1)
        items = [Measured(one, targets_V) for one, targets_V in zip(series, targets_NV, strict=True)]
        self.model_, self.n_steps_, task = self._train(items)
        self.scores_ = task.validate()
        if self.scores_["mse"] >= self.scores_["baseline_mse"]:
            warnings.warn(f"no better than the training mean: {self.model_.headline(self.scores_)}.", stacklevel=2)
        self._flat = targets.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each series, (N,) or (N, V) as in `fit`."""
        check_is_fitted(self)
        found_NV: np.ndarray = self.model_.predict(_series(X))
        return found_NV[:, 0] if self._flat else found_NV

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = tags.input_tags.string = False
        tags.input_tags.three_d_array = True
        return tags


def _series(X: Any) -> list[Series]:
    """Series in memory. Raises `ShapeError` or `DataError` for what is none."""
    given: Any = X if isinstance(X, list | tuple) else np.asarray(X)
    if isinstance(given, np.ndarray) and given.ndim not in (2, 3):
        raise ShapeError(f"X has the shape {given.shape}: it must be (N, T, D), (N, T), or a list of series (T, D).")
    if not len(given):
        raise ShapeError("X has no series.")
    found: list[Series] = []
    for place, each in enumerate(given):
        values = _numbers(np.asarray(each), f"X[{place}]").astype(np.float32)
        values_TD = values[:, None] if values.ndim == 1 else values
        if values_TD.ndim != 2 or not values_TD.size:
            raise ShapeError(f"X[{place}] has the shape {values.shape}: a series is (T, D) or (T,), a step at least.")
        if found and values_TD.shape[1] != found[0].values_TD.shape[1]:
            raise ShapeError(
                f"X[{place}] has {values_TD.shape[1]} features, X[0] has {found[0].values_TD.shape[1]}: all must have as many."
            )
        found.append(Series(values_TD, None, f"X[{place}]"))
    return found


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    """The values as float64. Raises `DataError` for what isn't finite, `ShapeError` for what is no number."""
    if values.dtype.kind not in "fiubO":
        raise ShapeError(f"{name} holds values of the kind {values.dtype}: it must hold numbers.")
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name} must hold numbers, all series of a list being arrays: {error}.") from error
    if not np.isfinite(numbers).all():
        raise DataError(f"{name} has values that are missing (NaN) or infinite: mend them, or leave the series out.")
    return numbers
