"""What a probe's result looks like as plots: plain values, which the page, the pictures and the tables are all made from.

A `Plot` says what is to be seen and nothing about how: `elman.probe.report` puts it on a page, where a script draws it, and
into tables; `elman.probe.pictures` draws the same with matplotlib.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What lies further below the largest value of a logarithmic axis than this is shown at its foot.
DECADES = 16


@dataclass(frozen=True)
class Series:
    """Values over places: `y[i]` at `x[i]`, between `low[i]` and `high[i]` where there is a band. None: there is no value."""

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


@dataclass(frozen=True)
class Mark:
    """A line across a plot: at a value (`axis` "y"), or at a place ("x")."""

    at: float
    name: str
    axis: str = "y"


@dataclass(frozen=True)
class Plot:
    """Series in one frame.

    key        its name in links and files                 title     what it shows
    how        a sentence or two: how it is read           kind      "lines"; "points", lines with a dot at each value;
                                                                     "bars", whose places are names
    x_scale    "linear", or "log": log(1 + x)              y_scale   "linear", "log", or "share": 0 to 1 in per cent
    """

    key: str
    title: str
    how: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    kind: str = "lines"
    x_scale: str = "linear"
    y_scale: str = "linear"
    marks: Sequence[Mark] = ()

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value that the frame has to hold."""
        if self.y_scale == "share":
            return 0.0, 1.0
        values = [mark.at for mark in self.marks if mark.axis == "y"] if self.y_scale == "linear" else []
        for series in self.series:
            for part in (series.y, series.low or (), series.high or ()):
                values += [value for value in part if value is not None]
        if self.y_scale == "log":
            values = [value for value in values if value > 0] or [1.0]
            return max(min(values), max(values) * 10.0**-DECADES), max(values)
        return (min(values), max(values)) if values else (0.0, 1.0)


def plots_of(result: Mapping[str, Any]) -> list[Plot]:
    """The plots of a result (`elman.probe.result`); those of which it has no measurement are left out."""
    makers = (_gradient, _context, _exponents, _singular_values, _gates, _norms)
    made = [maker(result) for maker in makers]
    return [plot for plot in made if plot is not None and any(has_values(series) for series in plot.series)]


def has_values(series: Series) -> bool:
    """Whether there is anything to draw."""
    return any(value is not None for value in series.y)


def number(value: Any) -> float | None:
    """A number that can be drawn, or None."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _layer(entry: Mapping[str, Any]) -> str:
    """A layer's name; of a layer of two directions the one that runs backwards is named."""
    return f"layer {entry['layer']}" + (f", {entry['direction']}" if entry.get("direction") else "")


def _numbers(values: Any) -> list[float | None]:
    return [number(value) for value in values or ()]


def _gradient(result: Mapping[str, Any]) -> Plot:
    lags = list(result.get("lags") or ())
    series = [
        Series(
            f"layer {entry['layer']}, {entry['state']}",
            lags[: len(entry["median"])],
            _numbers(entry["median"]),
            _numbers(entry.get("low")) or None,
            _numbers(entry.get("high")) or None,
        )
        for entry in result.get("gradient") or ()
    ]
    window = (result.get("model") or {}).get("window")
    shown = isinstance(window, int) and bool(lags) and 0 < window <= lags[-1]
    return Plot(
        "gradient",
        "How far back learning reaches",
        "The norm of the loss's gradient with respect to the state so many steps before: the median over places and "
        "sequences, the band from the first quartile to the third. Where the line has fallen far, what happened then can no "
        "longer be learnt from.",
        "steps back",
        "norm of the gradient",
        series,
        y_scale="log",
        marks=[Mark(float(window), "training window", "x")] if shown and window is not None else [],
    )


def _context(result: Mapping[str, Any]) -> Plot:
    context = result.get("context") or {}
    steps, losses = list(context.get("steps") or ()), _numbers(context.get("loss_nats"))
    return Plot(
        "context",
        "How far back it looks",
        "The loss when the network may see only so many past steps, its state having been reset before them. Where the line "
        "turns flat, older steps are of no use to it.",
        "past steps that it may see",
        "loss, nats",
        [Series("loss", steps, losses)],
        kind="points",
        x_scale="log",
    )


def _exponents(result: Mapping[str, Any]) -> Plot:
    return Plot(
        "exponents",
        "Lyapunov exponents",
        "How fast a small change of the state grows or dies away, per step, in each of its directions. Below 0 it is "
        "forgotten, at 0 it is kept, above 0 it explodes.",
        "direction",
        "exponent, per step",
        _spectra(result, "exponents"),
        kind="points",
        marks=[Mark(0.0, "kept")],
    )


def _singular_values(result: Mapping[str, Any]) -> Plot:
    return Plot(
        "singular-values",
        "What one step does to the state",
        "The singular values of the Jacobian of one step. Above 1 a direction is stretched, below 1 it shrinks.",
        "direction",
        "singular value",
        _spectra(result, "singular_values"),
        kind="points",
        y_scale="log",
        marks=[Mark(1.0, "kept")],
    )


def _spectra(result: Mapping[str, Any], name: str) -> list[Series]:
    return [
        Series(_layer(entry), list(range(1, len(entry[name]) + 1)), _numbers(entry[name]))
        for entry in result.get("spectrum") or ()
        if entry.get(name)
    ]


def _gates(result: Mapping[str, Any]) -> Plot:
    names: list[str] = []
    at_0: list[float | None] = []
    at_1: list[float | None] = []
    for entry in result.get("saturation") or ():
        for gate in entry.get("gates") or ():
            names.append(f"{_layer(entry)}, {gate['name']} gate")
            at_0.append(number(gate.get("at_0")))
            at_1.append(number(gate.get("at_1")))
        for unit in entry.get("tanh") or ():
            names.append(f"{_layer(entry)}, {unit['name']} (tanh)")
            at_0.append(None)
            at_1.append(number(unit.get("at_1")))
        if number(entry.get("dead")):
            names.append(f"{_layer(entry)}, dead units")
            at_0.append(number(entry["dead"]))
            at_1.append(None)
    return Plot(
        "saturation",
        "Gates and units at their ends",
        "The share of values that stand at an end of their range, where hardly any gradient passes: gates at 0 or at 1, tanh "
        "at −1 or 1. A forget gate at 1 keeps its state, which may be meant.",
        "share of values",
        "",
        [Series("at 0", names, at_0), Series("at 1", names, at_1)],
        kind="bars",
        y_scale="share",
    )


def _norms(result: Mapping[str, Any]) -> Plot:
    series = []
    for entry in result.get("saturation") or ():
        norms = entry.get("state_norms") or ()
        for state in dict.fromkeys(point["state"] for point in norms):
            points = [point for point in norms if point["state"] == state]
            series.append(
                Series(
                    f"{_layer(entry)}, {state}",
                    [point["step"] for point in points],
                    _numbers([point["median"] for point in points]),
                    _numbers([point.get("low") for point in points]) if "low" in points[0] else None,
                    _numbers([point.get("high") for point in points]) if "high" in points[0] else None,
                )
            )
    return Plot(
        "norms",
        "The state over a long stream",
        "The norm of each state, step by step. A line that goes on rising means that the state drifts away from where it was "
        "trained.",
        "step",
        "norm of the state",
        series,
        kind="points",
        x_scale="log",
    )
