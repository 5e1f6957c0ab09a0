"""Pictures of forecasts: beside the truth, over a whole part, of what comes next. matplotlib is imported when one is drawn."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elman.data.series import Series
from elman.data.windows import Frames
from elman.models.forecast_scores import ForecastScores
from elman.models.forecasting import ForecastingModel
from elman.models.pictures import picture_bytes, save_picture

_PANELS = 4
# Steps of the back-test that can be told apart.
_MOST_STEPS = 600
_TRUTH, _FORECAST = "#3b4a5a", "#c8402f"


def draw_forecasts(path: Path, part: str, network: ForecastingModel, frames: Frames) -> Path:
    """The last forecast that can be scored, of a few channels: what came before, the truth, the forecast and its quantiles."""
    panels = _panels(network, frames.series, frames.reach.fits)
    figure, axes = _figure(len(panels))
    for axis, (name, series, place) in zip(axes, panels, strict=True):
        horizon = network.config.horizon
        first = int(frames.lengths_S[series]) - horizon
        shown = _shown_before(network, first)
        y_T = frames.series[series].y_TD[:, place]
        times_T = _times(network, frames, series)
        part_T = slice(first - shown, first + horizon)
        axis.plot(times_T[part_T], y_T[part_T], color=_TRUTH, lw=1.2)
        _plot_forecast(axis, network, frames, series, place, np.array([first]))
        axis.axvline(times_T[first - 1], color="#999999", lw=0.7, ls=":")
        axis.set_title(name, fontsize=9, loc="left")
    _legend(figure, network)
    figure.suptitle(f"{part}: the last forecast", fontsize=10)
    return save_picture(figure, path)


def draw_backtest(path: Path, part: str, network: ForecastingModel, frames: Frames, scores: ForecastScores) -> Path:
    """Forecasts made one after the other, each from where the one before it ended; and the mean error by step ahead."""
    panels = _panels(network, frames.series, frames.reach.fits)[: _PANELS - 1]
    figure, axes = _figure(len(panels) + 1)
    horizon = network.config.horizon
    for axis, (name, series, place) in zip(axes, panels, strict=False):
        begin, length = int(frames.begins_S[series]), int(frames.lengths_S[series])
        count = max(min((length - begin) // horizon, _MOST_STEPS // horizon), 1)
        firsts = length - horizon * np.arange(count, 0, -1)
        y_T = frames.series[series].y_TD[:, place]
        axis.plot(_times(network, frames, series)[firsts[0] :], y_T[firsts[0] :], color=_TRUTH, lw=1.0)
        _plot_forecast(axis, network, frames, series, place, firsts)
        axis.set_title(f"{name}: a forecast every {horizon} steps", fontsize=9, loc="left")
    axes[-1].plot(range(1, horizon + 1), scores.mae_F, color=_FORECAST, marker="o" if horizon < 30 else None, ms=3)
    axes[-1].set_ylim(0, 1.1 * max(scores.mae_F))
    axes[-1].set_xlabel("steps ahead")
    axes[-1].set_title(f"mean absolute error, {scores.windows:,} windows", fontsize=9, loc="left")
    _legend(figure, network)
    figure.suptitle(f"{part}: back-test", fontsize=10)
    return save_picture(figure, path)


def picture_of_next(network: ForecastingModel, series: Sequence[Series]) -> bytes:
    """PNG of what comes after the last step of a few channels, evenly spaced, and of what came before it."""
    panels = _panels(network, series, lambda one: len(one) > 0)
    figure, axes = _figure(len(panels))
    horizon = network.config.horizon
    found = dict[int, dict[Any, np.ndarray]]()
    for axis, (name, number, place) in zip(axes, panels, strict=True):
        one = series[number]
        if number not in found:
            found[number] = network.predict([one])[0]
        ahead_F = network.facts.clock.after(int(one.stamps_T[-1]), horizon)
        times_T = _as_times(network, np.concatenate([one.stamps_T, ahead_F]))
        before_T = slice(len(one) - _shown_before(network, len(one)), len(one))
        axis.plot(times_T[before_T], one.y_TD[before_T, place], color=_TRUTH, lw=1.2)
        axis.axvline(times_T[len(one) - 1], color="#999999", lw=0.7, ls=":")
        _plot_one(axis, network, times_T[len(one) :], found[number], place)
        axis.set_title(name, fontsize=9, loc="left")
    _legend(figure, network)
    count = sum(one.y_TD.shape[1] for one in series)
    some = f", {len(panels)} of {count:,} channels" if count > len(panels) else ""
    figure.suptitle(f"the next {horizon} steps{some}" if horizon > 1 else f"the next step{some}", fontsize=10)
    return picture_bytes(figure)


def _panels(
    network: ForecastingModel, series: Sequence[Series], fits: Callable[[Series], bool]
) -> list[tuple[str, int, int]]:
    """(name, series, column) of a few channels of those that fit, evenly spaced."""
    fitting = [(number, place) for number, one in enumerate(series) if fits(one) for place in range(one.y_TD.shape[1])]
    chosen = [fitting[place] for place in np.unique(np.linspace(0, len(fitting) - 1, _PANELS).astype(int))]
    values = network.facts.columns.values
    return [
        (" ".join(part for part in (series[number].id, values[place]) if part), number, place)
        for number, place in chosen
    ]


def _shown_before(network: ForecastingModel, there: int) -> int:
    """How many of the steps before a forecast are drawn."""
    return min(network.config.look_back or there, there, max(3 * network.config.horizon, 48))


def _plot_forecast(
    axis: Any, network: ForecastingModel, frames: Frames, series: int, place: int, firsts: np.ndarray
) -> None:
    """Forecasts of one channel from these steps on, with the bands between quantiles."""
    times_T = _times(network, frames, series)
    for first, forecast in zip(firsts, network.forecasts_at(frames, series, firsts), strict=True):
        _plot_one(axis, network, times_T[first : first + network.config.horizon], forecast, place)


def _plot_one(
    axis: Any, network: ForecastingModel, steps_F: np.ndarray, forecast: dict[Any, np.ndarray], place: int
) -> None:
    axis.plot(
        steps_F, forecast["y"][:, place], color=_FORECAST, lw=1.3, marker="o" if len(steps_F) == 1 else None, ms=2.5
    )
    levels = network.levels
    for low, high in zip(levels[: len(levels) // 2], levels[::-1], strict=False):
        axis.fill_between(steps_F, forecast[low][:, place], forecast[high][:, place], color=_FORECAST, alpha=0.15, lw=0)


def _times(network: ForecastingModel, frames: Frames, series: int) -> np.ndarray:
    """The time of each step of a series."""
    return _as_times(network, frames.series[series].stamps_T)


def _as_times(network: ForecastingModel, stamps_T: np.ndarray) -> np.ndarray:
    """Stamps as an axis shows them: numbers, or dates."""
    return stamps_T if network.facts.clock.style in ("number", "row") else stamps_T.astype("datetime64[us]")


def _figure(rows: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 1.9 * rows + 0.6), dpi=120, layout="constrained")
    axes = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, axes


def _legend(figure: Any, network: ForecastingModel) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    handles: list[Any] = [
        Line2D([], [], color=_TRUTH, label="truth"),
        Line2D([], [], color=_FORECAST, label="forecast"),
    ]
    if len(network.levels) > 1:
        levels = network.levels
        handles.append(Patch(color=_FORECAST, alpha=0.3, label=f"quantiles {levels[0]:g} to {levels[-1]:g}"))
    figure.legend(handles=handles, frameon=False, fontsize=8, loc="outside lower center", ncols=3)
