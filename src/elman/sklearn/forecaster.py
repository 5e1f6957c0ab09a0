"""An estimator that forecasts series: arrays, or long tables in the layout of Nixtla's libraries."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]

from elman.data.missing import fill, on_grid
from elman.data.series import Columns, Series, SeriesReading
from elman.data.stamps import Clock, common_style, infer_clock, read_stamp
from elman.errors import DataError, ShapeError
from elman.sklearn.base import SequenceEstimator


class Forecaster(SequenceEstimator):
    """Forecasts series by a recurrent network (`elman.models.forecasting`).

    y is an array (T,) or (T, D), a step a row and a column a series; or a mapping of columns `unique_id`, `ds`, `y` (a dict or
    a data frame), `unique_id` being left out where there is one series. Fitted attributes: `model_`, an
    `elman.models.forecasting.ForecastingModel`; `n_steps_`. Raises `ShapeError` and `DataError` for series that can't be used.
    """

    _task = "forecast"

    def __init__(
        self,
        *,
        look_back: int | None = None,
        horizon: int | None = None,
        segment: int | None = None,
        joint: bool | None = None,
        head: str | None = None,
        linear: bool | None = None,
        loss: str | None = None,
        quantiles: str | None = None,
        scaling: str | None = None,
        amplitude: float | None = None,
        calendar: bool | None = None,
        missing: str | None = None,
        season: int | None = None,
        cell: str | None = None,
        hidden: int | None = None,
        layers: int | None = None,
        embedding: int | None = None,
        dropout: float | None = None,
        cell_options: dict[str, Any] | None = None,
        layer_options: dict[str, Any] | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        batch: int | None = None,
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
        self.look_back = look_back
        self.horizon = horizon
        self.segment = segment
        self.joint = joint
        self.head = head
        self.linear = linear
        self.loss = loss
        self.quantiles = quantiles
        self.scaling = scaling
        self.amplitude = amplitude
        self.calendar = calendar
        self.missing = missing
        self.season = season
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.embedding = embedding
        self.dropout = dropout
        self.cell_options = cell_options
        self.layer_options = layer_options
        self.minutes = minutes
        self.epochs = epochs
        self.steps = steps
        self.batch = batch
        self.lr = lr
        self.weight_decay = weight_decay
        self.averaging = averaging
        self.valid_fraction = valid_fraction
        self.patience = patience
        self.device = device
        self.engine = engine
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, y: Any, X: Any = None) -> "Forecaster":  # noqa: ARG002
        """Train on series, of which the end decides which weights are kept; X is ignored."""
        found = _reading(y, self.missing or "error", None)
        self.model_, self.n_steps_, _ = self._train(found)
        self.series_ = found
        return self

    def predict(self, y: Any = None) -> Any:
        """What comes after the series that it was fitted on, or after `y`: as the data was, an array or a dict of columns.

        An array is (horizon,) or (horizon, D): the point. Columns are `unique_id`, `ds`, `y`, and the quantiles, if the loss
        has any.
        """
        check_is_fitted(self)
        facts = self.model_.facts
        found = self.series_ if y is None else _reading(y, facts.missing, facts.clock)
        least = max(self.model_.config.look_back, 1)
        for one in found.series:
            if len(one) < least:
                raise ShapeError(f"{one.where} has {len(one)} steps, fewer than look_back={least}.")
            if one.y_TD.shape[1] != len(facts.columns.values):
                raise ShapeError(f"y has {one.y_TD.shape[1]} columns; {len(facts.columns.values)} were fitted.")
        if found.columns.time is None:
            y_FD = self.model_.predict(found.series)[0]["y"]
            return y_FD[:, 0] if found.columns.values == ("y",) else y_FD
        rows = self.model_.answer(found.series)
        if found.columns.id is None:
            rows = [{name: value for name, value in row.items() if name != "unique_id"} for row in rows]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _reading(y: Any, missing: str, clock: Clock | None) -> SeriesReading:
    """Series in memory. Raises `ShapeError` or `DataError` for what is none."""
    if isinstance(y, Mapping) or hasattr(y, "columns"):
        return _of_columns(y, missing, clock)
    values = np.asarray(y)
    if values.ndim not in (1, 2) or not np.issubdtype(values.dtype, np.number) or not len(values):
        raise ShapeError("y must be an array of numbers (T,) or (T, D), or columns unique_id, ds, y.")
    names = ("y",) if values.ndim == 1 else tuple(str(column) for column in range(values.shape[1]))
    stamps_T = np.arange(1, len(values) + 1)
    series = _series("", stamps_T, values.reshape(len(values), -1).astype(np.float64), missing, "y")
    return SeriesReading([series], clock or Clock("row", 1), Columns(values=names), "an array")


def _of_columns(table: Any, missing: str, clock: Clock | None) -> SeriesReading:
    names = list(table.keys() if isinstance(table, Mapping) else table.columns)
    for name in ("ds", "y"):
        if name not in names:
            raise ShapeError(f"y has the columns {', '.join(map(str, names))}: it needs {name!r}.")
    values = np.asarray(table["y"], dtype=np.float64)
    try:
        read = [read_stamp(str(stamp)) for stamp in np.asarray(table["ds"])]
    except (ValueError, OverflowError) as error:
        raise DataError(f"column 'ds': {error}: give whole numbers or dates.") from None
    has_id = "unique_id" in names
    ids = np.asarray(table["unique_id"]).astype(str) if has_id else np.full(len(values), "")
    style = common_style({kind for _, kind in read})
    if style is None or not len(values) == len(read) == len(ids):
        raise ShapeError("y must have one kind of time stamps, and columns of one length, with a row at least.")
    stamps = np.array([stamp for stamp, _ in read])
    order = {name: np.flatnonzero(ids == name) for name in dict.fromkeys(ids.tolist())}
    for name, rows in order.items():
        if (np.diff(stamps[rows]) <= 0).any():
            raise DataError(
                f"the time stamps of series {name!r} don't rise: sort them, and leave out what is there twice."
            )
    clock = clock or infer_clock([stamps[rows] for rows in order.values()], style)
    series = []
    for name, rows in order.items():
        places = clock.places(stamps[rows])
        if not (places == np.round(places)).all() or (missing == "error" and (np.diff(places) != 1).any()):
            raise DataError(f"series {name!r} has gaps ({clock.in_words}): fill them in, or give missing='carry'.")
        y_TD = on_grid(values[rows, None], places)
        first = int(stamps[rows][0])
        stamps_T = np.concatenate([[first], clock.after(first, len(y_TD) - 1)])
        series.append(_series(name, stamps_T, y_TD, missing, f"series {name!r}"))
    return SeriesReading(series, clock, Columns("unique_id" if has_id else None, "ds", ("y",)), "columns")


def _series(name: str, stamps_T: np.ndarray, y_TD: np.ndarray, missing: str, where: str) -> Series:
    wrong = ~np.isfinite(y_TD)
    if wrong.any() and (missing == "error" or wrong.all(0).any()):
        raise DataError(f"{where} has values that are missing or not finite: mend them, or give missing='carry'.")
    filled = np.stack([fill(column_T, missing) for column_T in y_TD.T], 1)
    return Series(name, stamps_T, filled, np.empty((len(y_TD), 0)), np.empty((len(y_TD), 0)), where)
