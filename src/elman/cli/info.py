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
    from elman.models.tasks import TASKS  # noqa: PLC0415

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
    training = config["training"]
    typer.echo(f"{model}: {TASKS[network.task].title}, written by elman {config['elman_version']}")
    facts_in_words = {
        **network.description(),
        "parameters": f"{network.parameter_count:,}",
        "engine": f"{facts['engine']} (what auto comes to on this machine)",
    }
    if "scores" in training:
        scores = training["scores"]
        facts_in_words["validation"] = network.headline(scores)
        test = {name.removeprefix("test_"): value for name, value in scores.items() if name.startswith("test_")}
        if test:
            facts_in_words["test"] = network.headline(test)
        facts_in_words["training"] = f"{scores['steps']:,} updates in {scores['seconds']:.0f} s"
    else:
        facts_in_words["training"] = f"not finished: go on with elman train --resume {model}"
    for name, words in facts_in_words.items():
        typer.echo(f"  {name:<12} {words}")
