"""Files of every format: which one it is, and its recurrent layers in and out.

A format is recognised by what the file holds, and when writing by its name; what is named wins. Pickles are refused: to read
one is to run what it says.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy
import safetensors.numpy
import safetensors.torch

from elman.convert import keras_files, onnx_graph, onnx_import, store
from elman.convert.flax import stacks_in as flax_stacks
from elman.convert.flax import to_flax
from elman.convert.keras import to_keras
from elman.convert.onnx_export import to_onnx
from elman.convert.pytorch import stacks_in as pytorch_stacks
from elman.convert.pytorch import to_pytorch
from elman.convert.safe import ARCHIVE_ERRORS, read_header, read_safetensors
from elman.convert.stack import Stack, Told, as_array
from elman.errors import ConvertError
from elman.files import write_atomically
from elman.layers import RecurrentLayers

# What each format may be called; the first format with an ending has it, if none is named.
ENDINGS = {
    "elman": (".safetensors",),
    "pytorch": (".safetensors",),
    "keras": (".keras", ".weights.h5"),
    "flax": (".npz", ".safetensors"),
    "onnx": (".onnx",),
}
FORMATS = tuple(ENDINGS)
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
_BATCH_FIRST = {"keras", "flax"}


def read(
    path: str | Path, kind: str | None = None, told: Told | None = None, part: str | None = None
) -> RecurrentLayers:
    """elman's layers with the weights in a file, of the format `kind` or the one that is recognised.

    `told` is what the caller knows and the file doesn't say; `part` the name of one stack of layers in a file that holds
    several. Raises `ConvertError` for a file that is missing, damaged, of no known format or layout, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ConvertError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}: give a file of weights.")
    kind = _checked(kind) or recognise(path)
    if kind == "elman":
        if part is not None:
            raise ConvertError(f"{path} holds no part {part!r}: a file of elman holds one stack. Leave it out.")
        return store.load(path)
    stacks = _stacks(path, kind, told or Told(), part)
    if part is None and len(stacks) > 1:
        held = "; ".join(f"{name!r} ({_sizes(stack)})" for name, stack in stacks.items())
        raise ConvertError(
            f"{path} holds {len(stacks)} stacks of layers, which are no one layer of elman's: {held}. Name one "
            "of them by part= (on the command line --part)."
        )
    name = part if part is not None else next(iter(stacks))
    if name not in stacks:
        raise ConvertError(f"{path} holds no part {name!r}: it has {', '.join(map(repr, stacks))}.")
    return stacks[name].to_layers(batch_first=kind in _BATCH_FIRST)


def write(layers: RecurrentLayers, path: str | Path, kind: str | None = None, *, lengths: bool = False) -> str:
    """Write elman's layers into a file of the format `kind`, or of the one that its name says; gives the format.

    `lengths`: an ONNX model takes the lengths of sequences as an input. Raises `ConvertError` for what the format has no place
    for, `RunError` if the file can't be written.
    """
    path = Path(path)
    kind = _checked(kind) or format_of_name(path)
    if not path.name.endswith(ENDINGS[kind]):
        raise ConvertError(f"{path}: a file of {kind} ends in {' or '.join(ENDINGS[kind])}.")
    if lengths and kind != "onnx":
        raise ConvertError(
            f"lengths are an input of an ONNX model: a file of {kind} holds weights alone. Leave it out."
        )
    if kind == "elman":
        store.save(layers, path)
    else:
        write_atomically(path, _content(layers, path, kind, lengths))
    return kind


def describe(layers: RecurrentLayers) -> str:
    """Cell, layers, directions, sizes and parameters in one line."""
    count = sum(parameter.numel() for parameter in layers.parameters())
    ways = "both directions, " if layers.bidirectional else ""
    plural = "s" if layers.num_layers > 1 else ""
    return (
        f"{layers.num_layers} layer{plural} of {layers.cell.name}, {ways}{layers.input_size} inputs, "
        f"{layers.hidden_size} hidden units, {count:,} parameters"
    )


def recognise(path: Path) -> str:
    """The format of a file, by what it holds. Raises `ConvertError` if it is none, or a pickle."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ConvertError(f"{path} can't be read: {error.strerror}.") from error
    # Before pickles: a length, which is what safetensors begin with, can look like one.
    if len(start) == 9 and start[8:] == b"{":
        return _format_of_safetensors(path)
    if start.startswith(b"PK\x03\x04"):
        return _format_of_archive(path)
    if start.startswith(b"\x80") and start[1:2] in b"\x02\x03\x04\x05":
        _refuse_pickle(path)
    if start.startswith(b"\x89HDF"):
        return "keras"
    if path.suffix in _PICKLES:
        _refuse_pickle(path)
    if path.suffix == ".onnx":
        return "onnx"
    raise ConvertError(f"{path} is of no format that elman knows: {', '.join(FORMATS)}. Name one by --from if it is.")


def format_of_name(path: Path) -> str:
    """The format that a file's name asks for. Raises `ConvertError` if it asks for none."""
    for kind, endings in ENDINGS.items():
        if path.name.endswith(endings):
            return kind
    known = sorted({ending for endings in ENDINGS.values() for ending in endings})
    raise ConvertError(f"{path}: the name says no format. Let it end in {', '.join(known)}.")


def _checked(kind: str | None) -> str | None:
    if kind is not None and kind not in FORMATS:
        raise ConvertError(f"the format {kind!r} is not known: choose from {', '.join(FORMATS)}.")
    return kind


def _format_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ARCHIVE_ERRORS as error:
        raise ConvertError(f"{path} is damaged: {error}.") from error
    if any(name.endswith("data.pkl") for name in names):
        _refuse_pickle(path)
    if keras_files.CONFIG in names:
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "flax"
    raise ConvertError(f"{path} is an archive, but neither one of Keras nor of numpy: elman doesn't know it.")


def _format_of_safetensors(path: Path) -> str:
    names, metadata = read_header(path)
    if store.KEY in metadata:
        return "elman"
    # Flax's names are paths in a tree.
    return "flax" if any("/" in name for name in names) else "pytorch"


def _refuse_pickle(path: Path) -> None:
    raise ConvertError(
        f"{path} is a pickle, which can run any program when it is read: elman doesn't. Where you trust it, save its weights "
        "as safetensors: safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors')."
    )


def _stacks(path: Path, kind: str, told: Told, part: str | None) -> dict[str, Stack]:
    if kind == "onnx":
        return onnx_import.stacks_in(onnx_graph.read_model(path))
    if kind == "keras":
        if zipfile.is_zipfile(path):
            return keras_files.stacks_in_model(path)
        return keras_files.stacks_in_weights(path, told)
    if kind == "flax":
        return flax_stacks(_tree(_arrays(path)), told, part)
    stacks = pytorch_stacks(read_safetensors(path).tensors, told, part)
    if not stacks:
        raise ConvertError(f"{path} holds no recurrent layer of torch.nn: none of its names is like weight_ih_l0.")
    return stacks


def _arrays(path: Path) -> dict[str, numpy.ndarray]:
    if path.suffix != ".npz" and not zipfile.is_zipfile(path):
        return {name: as_array(tensor) for name, tensor in read_safetensors(path).tensors.items()}
    try:
        with path.open("rb") as file, numpy.load(file) as archive:
            return dict(archive)
    except (*ARCHIVE_ERRORS, TypeError) as error:
        raise ConvertError(f"{path} is no archive of numpy's, or is damaged: {error}.") from error


def _tree(arrays: dict[str, numpy.ndarray]) -> dict:
    """A nested dict of names with "/" between their parts."""
    tree: dict = {}
    for name, array in arrays.items():
        *parents, last = name.split("/")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise ConvertError(f"{name!r} is below an array: the names are no tree.")
        branch[last] = array
    return tree


def _content(layers: RecurrentLayers, path: Path, kind: str, lengths: bool) -> bytes:
    if kind == "onnx":
        content: bytes = to_onnx(layers, lengths=lengths).SerializeToString()
        return content
    if kind == "keras":
        written = to_keras(layers)
        if path.name.endswith(".keras"):
            return keras_files.model_file(written, layers.input_size)
        return keras_files.weights_file(written)
    if kind == "pytorch":
        state = {name: value.contiguous() for name, value in to_pytorch(layers).state_dict().items()}
        return safetensors.torch.save(state, metadata={"format": "pt"})
    flat = _flat(to_flax(layers))
    if path.name.endswith(".npz"):
        buffer = io.BytesIO()
        numpy.savez(buffer, **flat)
        return buffer.getvalue()
    return safetensors.numpy.save(flat)


def _flat(tree: dict, path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{path}{name}/") if isinstance(value, dict) else {path + name: value}
    return flat


def _sizes(stack: Stack) -> str:
    ways = ", both directions" if stack.bidirectional else ""
    return f"{stack.num_layers} of {stack.cell.name}{ways}, {stack.input_size} to {stack.cell.hidden_size}"
