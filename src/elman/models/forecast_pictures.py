"""Pictures of forecasts: beside the truth, and how they did over a whole part. Each needs matplotlib, imported when drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from elman.data.windows import Frames
from elman.models.forecast_scores import ForecastScores
from elman.models.forecasting import ForecastingModel
from elman.models.pictures import save_picture

_PANELS = 4
# Steps of the back-test that can be told apart.
_MOST_STEPS = 600
_TRUTH, _FORECAST = "#3b4a5a", "#c8402f"


def draw_forecasts(path: Path, part: str, network: ForecastingModel, frames: Frames) -> Path:
    """The last forecast that can be scored, of a few channels: what came before, the truth, the forecast and its quantiles."""
    panels = _panels(network, frames)
    figure, axes = _figure(len(panels))
    for axis, (name, series, place) in zip(axes, panels, strict=True):
        horizon = network.config.horizon
        first = int(frames.lengths_S[series]) - horizon
        shown = min(network.config.look_back or first, max(3 * horizon, 48))
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
    panels = _panels(network, frames)[: _PANELS - 1]
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


def _panels(network: ForecastingModel, frames: Frames) -> list[tuple[str, int, int]]:
    """(name, series, column) of a few channels that are long enough, evenly spaced."""
    fitting = [
        (number, place)
        for number, one in enumerate(frames.series)
        if frames.reach.fits(one)
        for place in range(one.y_TD.shape[1])
    ]
    chosen = [fitting[place] for place in np.unique(np.linspace(0, len(fitting) - 1, _PANELS).astype(int))]
    values = network.facts.columns.values
    return [
        (" ".join(part for part in (frames.series[number].id, values[place]) if part), number, place)
        for number, place in chosen
    ]


@torch.no_grad()
def _plot_forecast(
    axis: Any, network: ForecastingModel, frames: Frames, series: int, place: int, firsts: np.ndarray
) -> None:
    """Forecasts of one channel from these steps on, with the bands between quantiles."""
    times_T = _times(network, frames, series)
    for first, forecast in zip(firsts, network.forecasts_at(frames, series, firsts), strict=True):
        steps = times_T[first : first + network.config.horizon]
        marker = "o" if network.config.horizon == 1 else None
        axis.plot(steps, forecast["y"][:, place], color=_FORECAST, lw=1.3, marker=marker, ms=2.5)
        levels = network.levels
        for low, high in zip(levels[: len(levels) // 2], levels[::-1], strict=False):
            axis.fill_between(
                steps, forecast[low][:, place], forecast[high][:, place], color=_FORECAST, alpha=0.15, lw=0
            )


def _times(network: ForecastingModel, frames: Frames, series: int) -> np.ndarray:
    """The time of each step of a series: numbers, or dates."""
    stamps_T = frames.series[series].stamps_T
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
