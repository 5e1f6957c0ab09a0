"""elman's own file of recurrent layers: safetensors, with the weights under `torch.nn`'s names and what they are in the header.

The header's key "elman" holds JSON:

    format_version, elman_version
    cell       the cell's name
    options    sizes, and every option of the cell and its layers that isn't at its default: what makes the layers again

So a file says all of itself, and of plain layers PyTorch's `load_state_dict` takes the tensors as they are.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from elman import __version__
from elman.axes import Tensor
from elman.cells import CELLS
from elman.convert.safe import Contents, read_safetensors
from elman.convert.stack import LAYER_NAMES, changed_options
from elman.errors import ConvertError, OptionError
from elman.files import write_atomically
from elman.layers import RecurrentLayers, layers_of

FORMAT_VERSION = 1
KEY = "elman"
# Arguments of layers that say where and how they run, or only what they begin with.
_NOT_KEPT = {"engine", "recompute", "device", "dtype", "init", "forget_bias", "chrono"}
_ALWAYS_KEPT = ("input_size", "hidden_size", "num_layers", "bidirectional", "batch_first", "dropout")


def save(layers: RecurrentLayers, path: str | Path) -> None:
    """Write elman's layers into a file that says what they are.

    Raises `ConvertError` for a cell that isn't elman's own, whose code no file holds, and `RunError` if it can't be written.
    """
    cell = layers.cell
    if CELLS.get(cell.name) is not type(cell):
        raise ConvertError(
            f"the cell {cell.name!r} isn't one of elman's ({', '.join(CELLS)}), and a file holds no code."
        )
    options = {name: getattr(layers, name) for name in _ALWAYS_KEPT}
    options |= {LAYER_NAMES.get(name, name): getattr(cell, name) for name in changed_options(cell)}
    for name, parameter in inspect.signature(RecurrentLayers).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name not in _NOT_KEPT:
            value = getattr(layers, name)
            options |= {name: value} if value != parameter.default else {}
    description = {
        "format_version": FORMAT_VERSION,
        "elman_version": __version__,
        "cell": cell.name,
        "options": options,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in layers.state_dict().items()}
    metadata = {"format": "pt", KEY: json.dumps(description)}
    write_atomically(Path(path), safetensors.torch.save(tensors, metadata=metadata))


def load(path: str | Path) -> RecurrentLayers:
    """The layers that `save` wrote. Raises `ConvertError` for a file that isn't one, is damaged or newer than this elman."""
    contents = read_safetensors(Path(path))
    cell, options = _description(contents, path)
    dtypes = {tensor.dtype for tensor in contents.tensors.values()}
    if len(dtypes) != 1:
        raise ConvertError(f"{path} is damaged: its weights have {len(dtypes)} dtypes, not one.")
    try:
        layers = layers_of(cell, dtype=dtypes.pop(), **options)
    except (OptionError, TypeError, RuntimeError) as error:
        raise ConvertError(f"{path} is damaged: its header describes no layers that can be made ({error}).") from error
    _fill(layers, contents.tensors, path)
    return layers


def _description(contents: Contents, path: str | Path) -> tuple[str, dict[str, Any]]:
    """The cell and the options that a header says."""
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
    cell, options = told.get("cell"), told.get("options")
    if not isinstance(cell, str) or not isinstance(options, dict):
        raise ConvertError(f"{path} is damaged: its header says no cell, or no options.")
    return cell, {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


@torch.no_grad()
def _fill(layers: RecurrentLayers, tensors: dict[str, Tensor], path: str | Path) -> None:
    expected = layers.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors or name not in expected:
            wrong = "lacks" if name not in tensors else "holds besides"
            raise ConvertError(f"{path} is damaged: it {wrong} the weight {name!r}, going by its header.")
        stored, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if stored != wanted:
            raise ConvertError(
                f"{path} is damaged: the weight {name!r} has shape {stored}, its header calls for {wanted}."
            )
        expected[name].copy_(tensors[name])
