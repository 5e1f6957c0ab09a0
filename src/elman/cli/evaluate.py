"""`elman evaluate`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[Path, typer.Argument(help="The model's folder.", show_default=False)],
    data: Annotated[
        list[str], typer.Argument(help="Text: files, a folder, or - for standard input.", show_default=False)
    ],
    encoding: Annotated[str, typer.Option(help="Encoding of the text.")] = "utf-8",
    device: Annotated[str, typer.Option(help="Where to run: auto, cpu, cuda, mps.")] = "auto",
    engine: Annotated[str, typer.Option(help="What runs the cells: auto, scan, native, torch, reference.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, as the last line.")] = False,
) -> None:
    """Score a text: loss in nats, bits per character, perplexity, tokens.

    The state is carried over every token of a document. What the vocabulary doesn't hold is read and scored as the unknown
    token, and counted.

    Examples:

        elman evaluate runs/lm-1 other.txt

        cat other.txt | elman evaluate runs/lm-1 - --json
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from elman.models.folder import load  # noqa: PLC0415
    from elman.models.language_task import score_report  # noqa: PLC0415
    from elman.training.prepare import find_device  # noqa: PLC0415

    network = load(model, engine, find_device(device))
    began = time.monotonic()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring", total=1.0)
        scores = network.evaluate(data, encoding, watch=lambda done: bar.update(task, completed=done))
    seconds = time.monotonic() - began
    if as_json:
        rest = {
            "parameters": network.parameter_count,
            "seconds": round(seconds, 3),
            "tokens_per_second": round(scores.tokens / seconds, 1),
            "run": str(model),
        }
        typer.echo(json.dumps({**score_report(scores), **rest}))
        return
    typer.echo(
        f"{scores.loss_nats:.4f} nats a token, {scores.bits_per_char:.4f} bits per character, "
        f"perplexity {scores.perplexity:.2f} over {scores.tokens:,} tokens ({scores.characters:,} characters)"
    )
    if scores.unknown:
        typer.echo(
            f"{scores.unknown:,} tokens are not in the model's vocabulary; they were read and scored as the unknown token."
        )
