"""`elman convert`."""

from pathlib import Path
from typing import Annotated

import typer

from elman.errors import ConvertError

_TOLD = "What the source doesn't say"


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A file of weights (.safetensors, .keras, .weights.h5, .npz, .onnx), or the folder of a model.",
            show_default=False,
        ),
    ],
    target: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    source_format: Annotated[
        str | None,
        typer.Option(
            "--from", help="elman, pytorch, keras, flax or onnx; otherwise by what SOURCE holds.", show_default=False
        ),
    ] = None,
    target_format: Annotated[
        str | None,
        typer.Option("--to", help="The same of TARGET; otherwise by its name.", show_default=False),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(help="The name of one stack of layers, if SOURCE holds several.", show_default=False),
    ] = None,
    lengths: Annotated[bool, typer.Option("--lengths", help="To ONNX: the lengths of sequences are an input.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace TARGET if it exists.")] = False,
    nonlinearity: Annotated[
        str | None,
        typer.Option(help="tanh or relu, of a plain layer.", show_default=False, rich_help_panel=_TOLD),
    ] = None,
    reset_after: Annotated[
        bool | None,
        typer.Option(
            "--reset-after/--reset-before",
            help="Where the reset gate acts, in a GRU of Keras without biases.",
            show_default=False,
            rich_help_panel=_TOLD,
        ),
    ] = None,
    bidirectional: Annotated[
        bool | None,
        typer.Option(
            "--bidirectional/--one-direction",
            help="Whether cells of Flax are pairs of directions.",
            show_default=False,
            rich_help_panel=_TOLD,
        ),
    ] = None,
) -> None:
    """Convert the weights of recurrent layers between PyTorch, Keras, Flax, ONNX and elman's own file.

    Examples:

        elman convert runs/lm-1 lm.onnx --lengths

        elman convert model.keras layers.safetensors

        elman convert layers.safetensors model.weights.h5

        elman convert state_dict.safetensors rnn.onnx --part encoder.rnn --nonlinearity relu
    """
    from elman.convert import Told, describe, read, write  # noqa: PLC0415

    if target.exists() and not overwrite:
        raise ConvertError(f"{target} exists: give another name, or --overwrite.")
    if source.is_dir() and source_format in (None, "elman"):
        from elman.models.folder import load  # noqa: PLC0415

        layers = load(source).recurrent
    else:
        layers = read(source, source_format, Told(nonlinearity, reset_after, bidirectional), part)
    kind = write(layers, target, target_format, lengths=lengths)
    typer.echo(f"{target} ({kind}): {describe(layers)}")
