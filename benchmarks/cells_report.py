"""The tables of cells and their options in docs/performance.md, from the figures of benchmarks/cells.py."""

from collections.abc import Sequence

from timing import measured_on, table

LIMIT = 1.3
SHOWN_SIZE = "({}, {}, {})"


def report(options: list[dict], zoo: list[dict]) -> str:
    """Both tables, in Markdown."""
    return "\n".join([
        f"{measured_on()} Forward and backward in training mode, on the native engine; sizes are (B, T, H), inputs as wide as "
        f"the state. What is above the limit of {LIMIT} is in bold.",
        "",
        "Every option, its time by that of the plain layer in the same turns. Masks are drawn in each call. Dense connections "
        "widen what the second layer reads, a projection narrows what recurs: they compute more and less.",
        "",
        option_table(options),
        "",
        "Every cell, its time by that of elman's `RNN`, `GRU` or `LSTM` with as many gates, in the same turns. The gates of a "
        "cell are the matrix products of H × H in a step, either those of the input's projection or those that wait for the "
        "state, whichever are more. Where none of the three has as many, the time of one is scaled: up to one gate "
        "the RNN's is taken as it is, up to three the GRU's by gates/3, beyond them the LSTM's by gates/4. Beside it "
        "the same layer of torchrecurrent, its time by elman's.",
        "",
        zoo_table(zoo),
    ])  # fmt: skip


def option_table(points: list[dict]) -> str:
    """A row for each option, a column for each cell and size."""
    columns = list(dict.fromkeys((p["cell"], *p["size"]) for p in points))
    besides = list(dict.fromkeys(p["beside"] for p in points))
    found = {(p["option"], p["beside"], p["cell"], *p["size"]): bold(ratio(p)) for p in points}
    rows = [
        [f"`{option}`", beside, *(found.get((option, beside, *column), "") for column in columns)]
        for beside in besides
        for option in dict.fromkeys(p["option"] for p in points if p["beside"] == beside)
    ]
    heads = [f"{cell} {SHOWN_SIZE.format(*size)}" for cell, *size in columns]
    return table(["option", "against", *heads], rows)


def zoo_table(points: list[dict]) -> str:
    """A row for each cell, four columns for each size."""
    sizes = list(dict.fromkeys(tuple(p["size"]) for p in points))
    heads = ["cell", "gates", "against"]
    for size in sizes:
        heads += [f"{SHOWN_SIZE.format(*size)}: ms", "ratio", "torchrecurrent, ms", "its time by elman's"]
    rows = []
    for cell in dict.fromkeys(p["cell"] for p in points):
        mine = {tuple(p["size"]): p for p in points if p["cell"] == cell}
        first = mine[sizes[0]]
        scaled = "" if first["share"] == 1 else f" × {first['share']:.2f}"
        row = [cell, f"{first['gates']:g}", first["beside"] + scaled]
        rows.append([*row, *(text for size in sizes for text in zoo_figures(mine[size]))])
    return table(heads, rows)


def zoo_figures(point: dict) -> Sequence[str]:
    """Time, ratio, torchrecurrent's time and how many times ours it is, the last two empty where it has no such layer."""
    ours = [f"{point['seconds'] * 1e3:.1f}", bold(ratio(point))]
    theirs = point.get("torchrecurrent_seconds")
    return [*ours, *(["", ""] if theirs is None else [f"{theirs * 1e3:.1f}", f"{theirs / point['seconds']:.1f}"])]


def above(points: list[dict]) -> list[str]:
    """A line for each that is above the limit, and one that says how many there are."""
    over = [told(point) for point in points if ratio(point) > LIMIT]
    return ["", f"{len(over)} of {len(points)} above {LIMIT}", *over]


def told(point: dict) -> str:
    """A point in a line."""
    option = f"({point['option']})" if "option" in point else ""
    size = SHOWN_SIZE.format(*point["size"])
    return f"{point['cell']}{option} {size}: {ratio(point):.2f} of {point['beside']}"


def ratio(point: dict) -> float:
    """Its time by that of what it stands beside."""
    return point["seconds"] / point["beside_seconds"]


def bold(value: float) -> str:
    return f"**{value:.2f}**" if value > LIMIT else f"{value:.2f}"
