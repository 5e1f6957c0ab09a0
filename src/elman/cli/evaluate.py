"""`elman evaluate`."""

import json
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from elman.errors import OptionError


def evaluate(
    model: Annotated[Path, typer.Argument(help="The model's folder.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Argument(
            help="What it was trained on is like: files, a folder, or - for standard input.", show_default=False
        ),
    ],
    text: Annotated[str | None, typer.Option(help="The column of the text, if it isn't guessed.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of the label, if it isn't guessed.")] = None,
    source: Annotated[str | None, typer.Option(help="The column of what to translate, if it isn't guessed.")] = None,
    target: Annotated[str | None, typer.Option(help="The column of its translation, if it isn't guessed.")] = None,
    path: Annotated[str | None, typer.Option(help="The column of the sound files' paths, if it isn't guessed.")] = None,
    start: Annotated[str | None, typer.Option(help="The column of where a sound starts, if it isn't guessed.")] = None,
    end: Annotated[str | None, typer.Option(help="The column of where a sound ends, if it isn't guessed.")] = None,
    id: Annotated[str | None, typer.Option(help="The column that tells series apart, if it isn't guessed.")] = None,
    time: Annotated[str | None, typer.Option(help="The column of the time, if it isn't guessed.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the text.")] = "utf-8",
    device: Annotated[str, typer.Option(help="Where to run: auto, cpu, cuda, mps.")] = "auto",
    engine: Annotated[str, typer.Option(help="What runs the cells: auto, scan, native, torch, reference.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, as the last line.")] = False,
) -> None:
    """Score a model on data: a language model's loss, bits per character and perplexity; a classifier's accuracy and F1, a
    tagger's accuracy and F1 of entities, a translator's BLEU and chrF, a transcriber's errors of characters and words, a
    forecaster's errors over all windows.

    A language model carries its state over every token of a document. What the vocabulary doesn't hold is read and scored as
    the unknown token.

    Examples:

        elman evaluate runs/lm-1 other.txt

        cat other.txt | elman evaluate runs/lm-1 - --json

        elman evaluate runs/classify-1 held-out.csv --text review --label stars
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from elman.data.bad_rows import BadRows  # noqa: PLC0415
    from elman.models.device import find_device  # noqa: PLC0415
    from elman.models.folder import load  # noqa: PLC0415
    from elman.models.tasks import TASKS  # noqa: PLC0415

    network = load(model, engine, find_device(device))
    bad = BadRows(strict)
    given = {
        "text": text,
        "label": label,
        "source": source,
        "target": target,
        "path": path,
        "start": start,
        "end": end,
        "id": id,
        "time": time,
        "strict": strict or None,
    }
    own = TASKS[network.task].options
    columns: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in columns:
        if name not in own:
            raise OptionError(f"--{name} is nothing for {TASKS[network.task].title}: leave it out.")
    columns.pop("strict", None)
    if "strict" in own:
        columns["bad"] = bad
    began = monotonic()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring", total=1.0)
        scores = network.evaluate(
            data, encoding, watch=lambda done: bar.update(task, completed=done), **columns
        ).to_dict()
    seconds = monotonic() - began
    for note in bad.notes():
        typer.echo(note, err=True)
    if as_json:
        rest: dict[str, Any] = {"parameters": network.parameter_count, "seconds": round(seconds, 3)}
        if "tokens" in scores:
            rest["tokens_per_second"] = round(scores["tokens"] / seconds, 1)
        typer.echo(json.dumps({**scores, **rest, "run": str(model)}))
        return
    typer.echo(network.headline(scores))
    if scores.get("unknown"):
        typer.echo(
            f"{scores['unknown']:,} tokens are not in the model's vocabulary; they were read and scored as the unknown token."
        )
