"""`elman info`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def info(
    model: Annotated[Path, typer.Argument(help="The model's folder.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a model is: its network, its size, what runs it, how it was trained and how well.

    Example:

        elman info runs/lm-1
    """
    from elman.models.folder import load, read_config  # noqa: PLC0415

    config = read_config(model)
    network = load(model)
    facts = {
        **config,
        "parameters": network.parameter_count,
        "engine": str(network.recurrent.engine),
        "run": str(model),
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    sizes, training = config["network"], config["training"]
    typer.echo(f"{model}: a language model, written by elman {config['elman_version']}")
    typer.echo(f"  tokens       {config['tokenizer']}, vocabulary {sizes['vocabulary']:,}")
    typer.echo(
        f"  input layer  embedding of {sizes['embedding']}" + (", tied to the output layer" if sizes["tie"] else "")
    )
    typer.echo(f"  recurrent    {network.config.recurrent_in_words}")
    typer.echo(f"  dropout      {sizes['dropout']:g}")
    typer.echo(f"  parameters   {network.parameter_count:,}")
    typer.echo(f"  engine       {facts['engine']} (what auto comes to on this machine)")
    if "scores" in training:
        scores = training["scores"]
        typer.echo(
            f"  validation   {scores['loss_nats']:.4f} nats a token, {scores['bits_per_char']:.4f} bits per character, "
            f"perplexity {scores['perplexity']:.2f}"
        )
        typer.echo(f"  training     {scores['steps']:,} updates in {scores['seconds']:.0f} s")
    else:
        typer.echo(f"  training     not finished: go on with elman train --resume {model}")
