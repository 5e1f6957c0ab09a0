"""A probe's result as one HTML page that opens anywhere, offline; as pictures; and as JSON.

The page holds its own style, script and values. Its content security policy lets it load nothing and run no other script, and
whatever comes from data stands in it as text. Words and tables are there without the script, which draws the plots.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from elman import __version__
from elman.cells import as_text
from elman.files import write_atomically
from elman.probe.plots import Plot, number, plots_of

JSON = "probe.json"


def write_report(result: Mapping[str, Any], path: str | Path) -> Path:
    """Write the page of a result to `path`. Raises `RunError` if it can't be written."""
    path = Path(path)
    write_atomically(path, page(result))
    return path


def write_pictures(result: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write each plot as `PLOT.png`, and beside them the result as `probe.json`, into a folder, which is made if need be.

    Needs matplotlib. Raises `RunError` if something can't be written.
    """
    from elman.probe.pictures import draw  # noqa: PLC0415

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [draw(plot, folder / f"{plot.key}.png") for plot in plots_of(result)]
    write_atomically(folder / JSON, as_json(result) + "\n")
    return [*paths, folder / JSON]


def write_picture(result: Mapping[str, Any], path: str | Path) -> Path:
    """Write all plots as one PNG. Needs matplotlib. Raises `RunError` if it can't be written."""
    from elman.probe.pictures import draw_all  # noqa: PLC0415

    return draw_all(plots_of(result), Path(path))


def as_json(value: Any) -> str:
    """JSON as its standard has it: a number that isn't finite is null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def page(result: Mapping[str, Any]) -> str:
    """The page as text."""
    plots = plots_of(result)
    style, script = _part("report.css"), _part("report.js")
    sections = [
        _verdict(result),
        _remedies(result),
        _horizons(result),
        *map(_figure, plots),
        _clipping(result),
        _notes(result),
    ]
    # What ends a script inside JSON can only be "<" and what follows it.
    values = as_json([{**asdict(plot), "limits": plot.limits} for plot in plots]).replace("<", "\\u003c")
    return Template(_part("report.html")).substitute(
        title=escape(_title(result)),
        facts=escape(_facts(result)),
        body="\n".join(filter(None, sections)),
        footer=escape(_footer(result)),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        plots=values,
    )


def _part(name: str) -> str:
    return (files("elman.probe") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return number(value) if isinstance(value, float) else value


def _title(result: Mapping[str, Any]) -> str:
    model = result.get("model") or {}
    layers, hidden = model.get("layers"), model.get("hidden")
    size = "" if layers is None or hidden is None else f" of {layers} layer{'' if layers == 1 else 's'}, {hidden} units"
    return f"How far back it remembers: {model.get('cell', 'a network')}{size}"


def _facts(result: Mapping[str, Any]) -> str:
    model = result.get("model") or {}
    parts = []
    if isinstance(model.get("parameters"), int):
        parts.append(f"{model['parameters']:,} parameters")
    if model.get("task"):
        parts.append(f"task {model['task']}")
    if model.get("window"):
        parts.append(f"trained on windows of {model['window']} steps")
    if result.get("lags"):
        parts.append(f"measured up to {result['lags'][-1]} steps back")
    return " · ".join(parts)


def _footer(result: Mapping[str, Any]) -> str:
    seconds = number(result.get("seconds"))
    took = "" if seconds is None else f" in {seconds:.1f} s"
    return f"Measured by elman {__version__}{took}. This page is one file and loads nothing else."


def _verdict(result: Mapping[str, Any]) -> str:
    return _section(
        "verdict", "".join(f"<p>{escape(_sentence(sentence))}</p>" for sentence in result.get("verdict") or ())
    )


def _sentence(words: Any) -> str:
    """With a capital and a full stop."""
    text = str(words).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _section(name: str, content: str, title: str = "") -> str:
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f'<section class="{name}">{heading}{content}</section>' if content else ""


def _remedies(result: Mapping[str, Any]) -> str:
    runs = (result.get("tried") or {}).get("runs") or ()
    items = "".join(_remedy(remedy, runs) for remedy in result.get("remedies") or ())
    return _section(
        "what-to-do", f'<ol class="remedies">{items}</ol>' if items else "", "What to change, in this order"
    )


def _remedy(remedy: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    option = remedy.get("option") or {}
    options = ", ".join(f"{name} = {as_text(value)}" for name, value in _flat(option))
    run: Mapping[str, Any] = next((run for run in runs if run.get("option") == option), {})
    gained = number(run.get("gained_nats", remedy.get("gained")))
    tried = ""
    if gained is not None:
        words = f"tried: gained {gained:.3g} nats" if gained > 0 else f"tried: lost {-gained:.3g} nats"
        tried = f'<span class="gained{"" if gained > 0 else " nothing"}">{escape(words)}</span>'
    elif run.get("error"):
        tried = f'<span class="gained nothing">{escape("tried: " + str(run["error"]))}</span>'
    return f"<li><code>{escape(options)}</code>{tried}<p>{escape(_sentence(remedy.get('reason', '')))}</p></li>"


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Options with those of the cell and of the layers among them."""
    for name, value in options.items():
        yield from _flat(value) if isinstance(value, Mapping) else [(str(name), value)]


def _horizons(result: Mapping[str, Any]) -> str:
    lags = result.get("lags") or [0]
    # Layers that hand no gradient on have no spectrum.
    verdicts = {
        (entry["layer"], "direction" in entry): entry.get("verdict", "") for entry in result.get("spectrum") or ()
    }

    def lag(value: Any) -> str:
        found = number(value)
        return f"beyond {lags[-1]}" if found is None else f"{found:.1f}".removesuffix(".0")

    rows = [
        [
            f"layer {entry['layer']}, {entry['state']}",
            lag(entry.get("lag_1_e")),
            lag(entry.get("lag_1_percent")),
            verdicts.get((entry["layer"], str(entry["state"]).endswith("backwards")), ""),
        ]
        for entry in result.get("horizons") or ()
    ]
    heads = ["state", "to 1/e after steps", "to 1 % after steps", "its dynamics"]
    if not any(verdicts.values()):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    table = f'<div class="scroll">{_table(heads, rows)}</div>' if rows else ""
    return _section("horizons", table, "Memory horizon: where the gradient has fallen")


def _figure(plot: Plot) -> str:
    heads, rows = table_of(plot)
    return (
        f'<section id="{plot.key}"><h2>{escape(plot.title)}</h2><p class="how">{escape(plot.how)}</p>'
        '<figure class="drawing"></figure>'
        f'<details><summary>The values as a table</summary><div class="scroll" tabindex="0">{_table(heads, rows)}</div>'
        "</details></section>"
    )


def table_of(plot: Plot) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a plot's values: a row for each place, a column for each series and edge of its band."""
    columns: list[tuple[str, dict[Any, float | None]]] = []
    for series in plot.series:
        for name, values in ((series.name, series.y), ("from", series.low), ("to", series.high)):
            if values is not None:
                columns.append((name, dict(zip(series.x, values, strict=True))))
    places = list(dict.fromkeys(place for series in plot.series for place in series.x))
    if plot.kind != "bars":
        places.sort()
    rows = [[str(place), *(_cell(values.get(place), plot) for _, values in columns)] for place in places]
    return [plot.x_label if plot.kind != "bars" else "", *(name for name, _ in columns)], rows


def _cell(value: float | None, plot: Plot) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if plot.y_scale == "share" else f"{value:.4g}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _clipping(result: Mapping[str, Any]) -> str:
    norms = result.get("clipping") or {}
    before, after = number(norms.get("norm_before")), number(norms.get("norm_after"))
    if before is None:
        return ""
    words = f"The norm of a training step's gradient is {before:.3g}"
    words += "." if after is None or after == before else f"; clipping leaves {after:.3g} of it."
    return _section("clipping", f"<p>{escape(words)}</p>", "Clipping")


def _notes(result: Mapping[str, Any]) -> str:
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in result.get("notes") or ())
    return _section("remarks", f'<ul class="notes">{notes}</ul>' if notes else "", "Notes")
