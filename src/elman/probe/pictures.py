"""The plots of a probe as PNG, drawn by matplotlib, which is imported when one is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elman.errors import OptionError
from elman.models.pictures import save_picture
from elman.probe.plots import Plot, has_values

# The light colours of the page, in its order.
COLOURS = ("#0b6aa2", "#c2410c", "#0f7a5a", "#9c3587", "#8a6a00", "#4d57b8", "#a52a3a", "#58616b")
_DASHES = ("-", (0, (5, 2.5)), (0, (1.5, 2)))
_INK, _SOFT, _GRID = "#1d2126", "#5b636e", "#e6e8eb"


def draw(plot: Plot, path: Path) -> Path:
    """Draw a plot into a PNG. Raises `OptionError` without matplotlib, `RunError` if it can't be written."""
    rows = len(plot.series[0].x) if plot.kind == "bars" else 0
    figure = new_figure(7.2, 1.2 + 0.36 * rows if rows else 4.2)
    put(figure.add_subplot(), plot)
    return save_picture(figure, path)


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches. Raises `OptionError` without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise OptionError("pictures need matplotlib: pip install 'elman[figures]'.") from error
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def put(axes: Any, plot: Plot) -> None:
    """Draw a plot into axes of matplotlib."""
    axes.set_title(_plain(plot.title), fontsize=10.5, color=_INK, loc="left", pad=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_SOFT)
    axes.tick_params(colors=_SOFT, labelsize=8.5)
    axes.set_axisbelow(True)
    if plot.kind == "bars":
        _bars(axes, plot)
    else:
        _lines(axes, plot)
    axes.set_xlabel(_plain(plot.x_label), color=_SOFT, fontsize=9)
    axes.set_ylabel(_plain(plot.y_label), color=_SOFT, fontsize=9)
    if len(plot.series) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK)


def _lines(axes: Any, plot: Plot) -> None:
    low, high = plot.limits
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    for number, series in enumerate(plot.series):
        if not has_values(series):
            continue
        look = {"color": COLOURS[number % len(COLOURS)], "linestyle": _DASHES[number // len(COLOURS) % len(_DASHES)]}
        dot = "o" if plot.kind == "points" and len(series.x) <= 60 else None
        axes.plot(
            series.x, _values(series.y), label=_plain(series.name), linewidth=1.7, marker=dot, markersize=3.5, **look
        )
        if series.low is not None and series.high is not None:
            axes.fill_between(
                series.x, _values(series.low), _values(series.high), color=look["color"], alpha=0.14, linewidth=0
            )
    for mark in plot.marks:
        line = axes.axhline if mark.axis == "y" else axes.axvline
        line(mark.at, color=_SOFT, linewidth=0.9, linestyle=(0, (3, 3)))
        where = axes.get_yaxis_transform() if mark.axis == "y" else axes.get_xaxis_transform()
        at = (1.0, mark.at) if mark.axis == "y" else (mark.at, 1.0)
        axes.annotate(
            _plain(mark.name), at, xycoords=where, xytext=(-3, 3 if mark.axis == "y" else -3), textcoords="offset points",
            ha="right", va="bottom" if mark.axis == "y" else "top", fontsize=8.5, color=_SOFT,
        )  # fmt: skip
    if plot.y_scale == "log":
        axes.set_yscale("log")
        axes.set_ylim(low / 1.5, high * 1.5)
    if plot.y_scale == "share":
        _percent(axes.yaxis)
        axes.set_ylim(-0.03, 1.03)
    if plot.x_scale == "log":
        places = sorted({x for series in plot.series for x in series.x})
        if places and places[0] > 0:
            axes.set_xscale("log")
            axes.set_xticks(places if len(places) <= 10 else places[:: -(-len(places) // 10)])
            axes.minorticks_off()
        else:
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _bars(axes: Any, plot: Plot) -> None:
    names = plot.series[0].x
    thick = 0.8 / len(plot.series)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    for number, series in enumerate(plot.series):
        places = [place + (number - (len(plot.series) - 1) / 2) * thick for place in range(len(names))]
        axes.barh(places, _values(series.y), thick * 0.9, label=_plain(series.name), color=COLOURS[number])
    axes.set_yticks(range(len(names)), [_plain(str(name)) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    _percent(axes.xaxis)


def _percent(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def _values(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _plain(text: str) -> str:
    """A dollar is no formula."""
    return text.replace("$", r"\$")


def draw_all(plots: Sequence[Plot], path: Path) -> Path:
    """Draw all plots into one PNG, two in a row."""
    rows = max((len(plots) + 1) // 2, 1)
    figure = new_figure(12, 4.2 * rows)
    for place, plot in enumerate(plots):
        put(figure.add_subplot(rows, 2, place + 1), plot)
    return save_picture(figure, path)


def draw_beside(plots: Sequence[Plot], path: Path) -> Path:
    """Draw plots of lines side by side, with one legend; those that share an axis of values have the same range."""
    figure = new_figure(4.6 * len(plots), 4.3)
    frames = figure.subplots(1, len(plots), squeeze=False)[0]
    logarithmic = [plot.limits for plot in plots if plot.y_scale == "log"]
    for axes, plot in zip(frames, plots, strict=True):
        put(axes, plot)
        axes.get_legend().remove()
        if plot.y_scale == "log":
            axes.set_ylim(min(low for low, _ in logarithmic) / 1.5, max(high for _, high in logarithmic) * 1.5)
    figure.legend(
        *frames[0].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False, fontsize=9
    )
    return save_picture(figure, path)
