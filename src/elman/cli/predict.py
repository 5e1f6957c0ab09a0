"""`elman predict`."""

import csv
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from elman.cli.output import whole_output
from elman.errors import DataError, OptionError

Format = Literal["table", "json", "csv", "picture"]


def predict(
    model: Annotated[Path, typer.Argument(help="The model's folder.", show_default=False)],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files with a text a line, tables, sounds or folders of them, or - for standard input.",
            show_default="-",
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(help="The column of the text, in a table.")] = None,
    path: Annotated[str | None, typer.Option(help="The column of the sound files' paths, in a table.")] = None,
    to: Annotated[
        Format,
        typer.Option(
            "--to", help="What to write: a line each to read, JSON lines, CSV, or of forecasts a picture (PNG)."
        ),
    ] = "table",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the text.")] = "utf-8",
    device: Annotated[str, typer.Option(help="Where to run: auto, cpu, cuda, mps.")] = "auto",
    engine: Annotated[str, typer.Option(help="What runs the cells: auto, scan, native, torch, reference.")] = "auto",
) -> None:
    """Answer on new data as it arrives, with probabilities: one answer for each line or row.

    A forecaster gives what comes after the last row of each series, with quantiles if it has any. A row that can't be read gets
    no answer; such rows are named at the end.

    Examples:

        echo 'what a film' | elman predict runs/classify-1

        elman predict runs/classify-1 new.csv --text review --to csv > answers.csv

        elman predict runs/forecast-1 load.csv --to csv > next.csv

        elman predict runs/forecast-1 load.csv --to picture > next.png

        tail -f log.txt | elman predict runs/classify-1 - --to json

        arecord -q -f S16_LE -r 16000 -t wav | elman predict runs/transcribe-1 -
    """
    from elman.data.bad_rows import BadRows  # noqa: PLC0415
    from elman.data.inputs import in_batches, read_inputs  # noqa: PLC0415
    from elman.models.device import find_device  # noqa: PLC0415
    from elman.models.folder import load  # noqa: PLC0415
    from elman.models.tasks import TASKS  # noqa: PLC0415

    network = load(model, engine, find_device(device))
    if not hasattr(network, "answer"):
        raise OptionError(
            f"{model} holds {TASKS[network.task].title}: use {TASKS[network.task].example.format(run=model)}"
        )
    if to == "picture":
        _check_drawing(model, network)
    bad = BadRows(strict)
    with whole_output("the answers"):
        # A task may have inputs of its own kind; most read a text a line.
        reader = getattr(network, "read_inputs", read_inputs)

        def read(source: str) -> Iterator[tuple[str, Any]]:
            return reader(source, column=path or text, encoding=encoding, bad=bad)

        if to == "picture":
            inputs = [one for source in data or ["-"] for _, one in read(source)]
            if not inputs:
                raise DataError(" ".join(["there is no series to draw.", *bad.notes()]))
            sys.stdout.buffer.write(network.picture_of(inputs))
        else:
            write = _WRITERS[to]()
            for source in data or ["-"]:
                if source == "-" and hasattr(network, "listen"):
                    _listen(network, _growing() if to == "table" else write)
                    continue
                for batch in in_batches(read(source), _AT_ONCE):
                    for answer in network.answer([line for _, line in batch]):
                        write(answer)
                    sys.stdout.flush()
    for note in bad.notes():
        typer.echo(note, err=True)


_AT_ONCE = 64


def _check_drawing(model: Path, network: Any) -> None:
    """Raise `OptionError` unless the model's answers can be drawn, and there is somewhere to put the picture."""
    from elman.models.tasks import TASKS  # noqa: PLC0415

    if not hasattr(network, "picture_of"):
        raise OptionError(
            f"--to picture draws forecasts, but {model} holds {TASKS[network.task].title}: take table, json or csv."
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise OptionError("--to picture needs matplotlib: pip install 'elman[figures]'.")
    if sys.stdout.isatty():
        raise OptionError("--to picture writes PNG, which a terminal can't show: put it in a file, by > next.png")


def _listen(network: Any, write: Any) -> None:
    """Answer on sound as it arrives on standard input."""
    from elman.data.wav_stream import read_stream  # noqa: PLC0415

    rate, blocks = read_stream(sys.stdin.buffer, "standard input")
    for answer in network.listen(rate, blocks):
        write(answer)
        sys.stdout.flush()


def _growing() -> Any:
    """A text that grows is a line that does; any other answer is a line."""
    whole, shown = _table(), [""]

    def write(answer: dict[str, Any]) -> None:
        if "final" not in answer:
            whole(answer)
            return
        typer.echo(answer["text"].removeprefix(shown[0]), nl=answer["final"])
        shown[0] = answer["text"]

    return write


def _table() -> Any:
    def write(answer: dict[str, Any]) -> None:
        shown = [_short(value) for value in _flat(answer, nested=False)]
        typer.echo("\t".join([*shown[1:], shown[0]]))

    return write


def _json() -> Any:
    return lambda answer: typer.echo(json.dumps(answer, ensure_ascii=False))


def _csv() -> Any:
    lines = csv.writer(sys.stdout, lineterminator="\n")
    headed: list[bool] = []

    def write(answer: dict[str, Any]) -> None:
        if not headed:
            lines.writerow(_names(answer))
            headed.append(True)
        lines.writerow(_flat(answer, nested=True))

    return write


def _flat(answer: dict[str, Any], nested: bool) -> Iterator[Any]:
    """The values of an answer side by side; a list is one, with spaces between; of a mapping each value, if `nested`."""
    for value in answer.values():
        if isinstance(value, dict):
            yield from value.values() if nested else ()
        else:
            yield " ".join(map(_short, value)) if isinstance(value, (list, tuple)) else value


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _names(answer: dict[str, Any]) -> Iterator[str]:
    for name, value in answer.items():
        yield from (f"{name}:{key}" for key in value) if isinstance(value, dict) else (name,)


_WRITERS = {"table": _table, "json": _json, "csv": _csv}
