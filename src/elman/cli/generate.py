"""`elman generate`."""

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from elman.cli.output import whole_output
from elman.errors import OptionError


def generate(
    model: Annotated[Path, typer.Argument(help="The model's folder.", show_default=False)],
    prompt: Annotated[str, typer.Option(help="The text to go on from.", show_default=False)] = "",
    length: Annotated[int, typer.Option(help="How many tokens to write.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 bolder choices are rarer; 0 takes the likeliest token always.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Draw among the k likeliest tokens only.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw among the likeliest that together have probability p.", show_default=False),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same text.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="Where to run: auto, cpu, cuda, mps.")] = "auto",
    engine: Annotated[str, typer.Option(help="What runs the cells: auto, scan, native, torch, reference.")] = "auto",
) -> None:
    """Write text, as it is made. The state is carried one step at a time, never recomputed from the beginning.

    Examples:

        elman generate runs/lm-1

        elman generate runs/lm-1 --prompt 'The ' --length 1000 --temperature 0.7 --seed 1
    """
    from elman.models.device import find_device  # noqa: PLC0415
    from elman.models.folder import load  # noqa: PLC0415
    from elman.models.tasks import TASKS  # noqa: PLC0415

    network = load(model, engine, find_device(device))
    if not hasattr(network, "generate"):
        raise OptionError(f"{model} holds {TASKS[network.task].title}, which doesn't write: use elman predict {model}")
    unknown = network.tokenizer.unknown_in(prompt)
    if unknown:
        typer.echo(
            f"note: {len(unknown)} tokens of the prompt are not in the model's vocabulary and are read as the unknown "
            f"token: {', '.join(map(repr, unknown[:10]))}",
            err=True,
        )
    pieces = network.generate(prompt, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    with whole_output("the text"):
        for piece in itertools.chain([prompt], pieces, ["\n"]):
            sys.stdout.write(piece)
            sys.stdout.flush()
