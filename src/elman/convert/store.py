"""elman's own file of recurrent layers: safetensors, with the weights under `torch.nn`'s names and what they are in the header.

The header's key "elman" holds JSON: format_version, elman_version, cell and its options, input_size, hidden_size, num_layers,
bidirectional, batch_first, dropout. So the file says all that is needed to make the layers, while PyTorch's
`load_state_dict` takes its tensors as they are.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import safetensors.torch

from elman import __version__
from elman.cells import CELLS, cell_named
from elman.convert.safe import Contents, read_safetensors
from elman.convert.stack import Stack, changed_options, places_of
from elman.errors import ConvertError, OptionError
from elman.files import write_atomically
from elman.layers import RecurrentLayers

FORMAT_VERSION = 1
KEY = "elman"
_KINDS: dict[str, type] = {
    "cell": str,
    "options": dict,
    "input_size": int,
    "hidden_size": int,
    "num_layers": int,
    "bidirectional": bool,
    "reverse": bool,
    "batch_first": bool,
    "dropout": float,
}


def save(layers: RecurrentLayers, path: str | Path) -> None:
    """Write elman's layers into a file that says what they are. Raises `ConvertError` for layers that it has no place for."""
    cell = layers.cell
    stack = Stack.of(layers, "elman's file of layers", ("reverse", *(field.name for field in fields(cell))))
    description = {
        "format_version": FORMAT_VERSION,
        "elman_version": __version__,
        "cell": cell.name,
        "options": {name: getattr(cell, name) for name in changed_options(cell)},
        "input_size": stack.input_size,
        "hidden_size": cell.hidden_size,
        "num_layers": stack.num_layers,
        "bidirectional": stack.bidirectional,
        "reverse": stack.reverse,
        "batch_first": layers.batch_first,
        "dropout": layers.dropout,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in layers.state_dict().items()}
    metadata = {"format": "pt", KEY: json.dumps(description)}
    write_atomically(Path(path), safetensors.torch.save(tensors, metadata=metadata))


def load(path: str | Path) -> RecurrentLayers:
    """The layers that `save` wrote. Raises `ConvertError` for a file that isn't one, is damaged or newer than this elman."""
    return layers_of_contents(read_safetensors(Path(path)), path)


def layers_of_contents(contents: Contents, path: str | Path) -> RecurrentLayers:
    """The layers in a file that was read."""
    told = _description(contents, path)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in told["options"].items()}
    try:
        if told["cell"] not in CELLS:
            raise ConvertError(
                f"{path} holds layers of the cell {told['cell']!r}, which this elman doesn't know: upgrade it."
            )
        cell = cell_named(told["cell"], told["hidden_size"], **options)
        places = places_of(contents.tensors, cell, told["num_layers"], told["bidirectional"])
        stack = Stack(cell, told["input_size"], told["bidirectional"], places, told["reverse"])
        dropout = told["dropout"] if told["num_layers"] > 1 else 0.0
        return stack.to_layers(batch_first=told["batch_first"], dropout=dropout)
    except (OptionError, TypeError) as error:
        raise ConvertError(f"{path} is damaged: {error}") from error


def _description(contents: Contents, path: str | Path) -> dict[str, Any]:
    if KEY not in contents.metadata:
        raise ConvertError(f"{path} doesn't say what its layers are: it wasn't written by elman.convert.save.")
    try:
        told = json.loads(contents.metadata[KEY])
    except ValueError as error:
        raise ConvertError(f"{path} is damaged: its header's key {KEY!r} is no JSON ({error}).") from error
    version = told.get("format_version") if isinstance(told, dict) else None
    if not isinstance(version, int) or version < 1:
        raise ConvertError(f"{path} is damaged: its header says no format_version.")
    if version > FORMAT_VERSION:
        raise ConvertError(
            f"{path} has format version {version}; this elman ({__version__}) reads up to {FORMAT_VERSION}: upgrade elman."
        )
    wrong = [name for name, kind in _KINDS.items() if type(told.get(name)) is not kind]
    if wrong:
        raise ConvertError(f"{path} is damaged: in its header, missing or of the wrong type: {', '.join(wrong)}.")
    return dict(told)
