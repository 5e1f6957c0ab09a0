"""Keras's files: `.keras`, a whole model, and `.weights.h5`, its weights alone.

A `.keras` file is an archive of the configuration and the weights: classes, options and which layer reads which are known. A
`.weights.h5` holds arrays under the names of classes; what it doesn't say must be told, or is an error:

* whether a plain layer has tanh or ReLU, and the GRU's reset_after if it has no biases;
* in which order layers of different classes stand, and what is between layers: if there are other layers with weights beside
  them, each recurrent layer is read as one by itself.

Activations are taken to be Keras's defaults there. Needs the library h5py (`pip install 'elman[keras]'`), not Keras.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy

from elman.convert.keras import CLASSES, KerasLayer, serialised, stack_of_layer
from elman.convert.optional import needed
from elman.convert.safe import ARCHIVE_ERRORS
from elman.convert.stack import Stack, Told, join
from elman.errors import ConvertError

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
# The version of Keras whose files these are like.
KERAS_VERSION = "3.15.1"
# Layers that change nothing once training is over.
_IDENTITIES = {"Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise"}
_KINDS_BY_GROUP = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN", "bidirectional": "Bidirectional"}


def stacks_in_model(path: Path) -> dict[str, Stack]:
    """The stacks in a `.keras` file, by the name of their first layer. Raises `ConvertError` for what can't be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            config, weights = json.loads(archive.read(CONFIG)), archive.read(WEIGHTS)
    except ARCHIVE_ERRORS as error:
        raise ConvertError(f"{path} is no .keras file, or is damaged: {error}.") from error
    try:
        layers = _layers_of(config, path)
        sources = {
            layer["config"]["name"]: source for layer, source in zip(layers, _sources(config, layers), strict=True)
        }
        passed = {layer["config"]["name"] for layer in layers if layer["class_name"] in _IDENTITIES}
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConvertError(
            f"{path} is damaged, or of a later Keras: {CONFIG} is not as expected ({error!r})."
        ) from error
    with _opened(io.BytesIO(weights), path) as file:
        groups = _groups_by_layer(_layer_groups(file, path), layers)
        items: list[tuple[str, Stack, str | None]] = []
        for layer in layers:
            if layer["class_name"] not in CLASSES:
                continue
            name = layer["config"]["name"]
            arrays = _arrays(groups.get(name), layer["class_name"], name, path)
            source = sources[name]
            while source in passed:
                source = sources[source]
            items.append((name, stack_of_layer(KerasLayer(layer["class_name"], layer["config"], arrays)), source))
    if not items:
        raise ConvertError(f"{path} holds no recurrent layer: elman reads {', '.join(CLASSES)}.")
    return join(items)


def stacks_in_weights(path: Path, told: Told) -> dict[str, Stack]:
    """The stacks in a `.weights.h5` file, by the name of their first layer. Raises `ConvertError` for what can't be read."""
    with _opened(path, path) as file:
        groups = _layer_groups(file, path)
        found = {name: kind for name in groups for kind in [_kind_of_group(name)] if kind is not None}
        if not found:
            raise ConvertError(f"{path} holds no recurrent layer: elman reads {', '.join(CLASSES)}.")
        if len(set(found.values())) > 1:
            raise ConvertError(
                f"{path} holds layers of several classes ({', '.join(sorted(set(found.values())))}) and doesn't say in which "
                "order: give the .keras file of the model, which does."
            )
        alone = all(name in found or not _has_weights(group) for name, group in groups.items())
        items: list[tuple[str, Stack, str | None]] = []
        for name in sorted(found, key=lambda name: int(re.search(r"\d+$", name)[0]) if name[-1].isdigit() else 0):  # type: ignore[index]
            arrays = _arrays(groups[name], found[name], name, path)
            layer = KerasLayer(found[name], _config_from_shapes(name, found[name], arrays, told), arrays)
            items.append((name, stack_of_layer(layer), items[-1][0] if items and alone else None))
    return join(items)


def model_file(layers: Sequence[KerasLayer], input_size: int) -> bytes:
    """A `.keras` file of a `Sequential` model of these layers."""
    start = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, None, input_size], "name": "input"},
    }
    width, described = input_size, [start]
    for layer in layers:
        described.append({**serialised(layer), "build_config": {"input_shape": [None, None, width]}})
        width = sum(_recurrent_kernel(layer, k).shape[0] for k in range(1 + (layer.kind == "Bidirectional")))
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "elman", "trainable": True, "dtype": str(layers[0].weights[0].dtype), "layers": described},
        "build_config": {"input_shape": [None, None, input_size]},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": KERAS_VERSION}))
        archive.writestr(CONFIG, json.dumps(config))
        archive.writestr(WEIGHTS, weights_file(layers))
    return buffer.getvalue()


def weights_file(layers: Sequence[KerasLayer]) -> bytes:
    """A `.weights.h5` file, for `load_weights` of a `Sequential` model of these layers and nothing else."""
    buffer = io.BytesIO()
    with needed("h5py", "keras").File(buffer, "w") as file:
        for k, layer in enumerate(layers):
            group = _snake(layer.kind) + (f"_{k}" if k else "")
            file.create_group(f"layers/{group}/vars").attrs["name"] = layer.name
            ways = [f"{way}_layer/" for way in ("forward", "backward")] if layer.kind == "Bidirectional" else [""]
            each = len(layer.weights) // len(ways)
            for at, array in enumerate(layer.weights):
                file[f"layers/{group}/{ways[at // each]}cell/vars/{at % each}"] = array
        file.create_group("vars")
    return buffer.getvalue()


def _recurrent_kernel(layer: KerasLayer, direction: int) -> numpy.ndarray:
    return layer.weights[direction * (len(layer.weights) // 2) + 1]


@contextmanager
def _opened(file: Any, path: Path) -> Iterator[Any]:
    """An HDF5 file. What h5py raises for a damaged one, at whatever depth, is a `ConvertError`."""
    try:
        with needed("h5py", "keras").File(file, "r") as opened:
            yield opened
    except ConvertError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ConvertError(f"{path} is no file of Keras's, or is damaged: {error}.") from error


def _layer_groups(file: Any, path: Path) -> Mapping[str, Any]:
    if "layers" not in file:
        raise ConvertError(
            f"{path} has no group 'layers', as files of Keras 3 have: it holds {', '.join(file) or 'nothing'}. Save the model "
            "by Keras 3, as model.save('model.keras')."
        )
    return dict(file["layers"])


def _arrays(group: Any, kind: str, name: str, path: Path) -> list[numpy.ndarray]:
    ways = ["forward_layer/", "backward_layer/"] if kind == "Bidirectional" else [""]
    arrays = []
    for way in ways:
        if group is None or f"{way}cell/vars" not in group:
            raise ConvertError(
                f"{path} holds no weights of the layer {name!r} where Keras keeps them ({way}cell/vars)."
            )
        stored = group[f"{way}cell/vars"]
        if not all(key.isdigit() and hasattr(stored[key], "shape") for key in stored):
            raise ConvertError(
                f"{path}: the weights of the layer {name!r} are called {', '.join(stored)}, not 0, 1, 2."
            )
        arrays += [numpy.asarray(stored[key]) for key in sorted(stored, key=int)]
    return arrays


def _has_weights(group: Any) -> bool:
    found: list[str] = []
    group.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return bool(found)


def _kind_of_group(name: str) -> str | None:
    return _KINDS_BY_GROUP.get(re.sub(r"_\d+$", "", name))


def _config_from_shapes(name: str, kind: str, arrays: Sequence[numpy.ndarray], told: Told) -> dict[str, Any]:
    """The configuration that the shapes of the weights say. Raises `ConvertError` for what they don't and nobody told."""
    ways = 2 if kind == "Bidirectional" else 1
    each = len(arrays) // ways
    if each not in (2, 3) or len(arrays) % ways or any(array.ndim != 2 for array in arrays[:2]):
        raise ConvertError(f"the layer {name!r} has {len(arrays)} weights of shapes that no recurrent layer has.")
    hidden, rows = arrays[1].shape
    inner = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(rows // hidden if hidden and not rows % hidden else 0)
    if inner is None or kind not in (inner, "Bidirectional"):
        raise ConvertError(
            f"the recurrent kernel of the layer {name!r} has shape {arrays[1].shape}: no {kind} has one like it."
        )
    config: dict[str, Any] = {"name": name, "units": hidden, "use_bias": each == 3}
    if inner == "SimpleRNN":
        config["activation"] = told.plain_cell(hidden, each == 3, f"the layer {name!r}").nonlinearity
    if inner == "GRU":
        config["reset_after"] = arrays[2].ndim == 2 if each == 3 else told.reset_after
        if config["reset_after"] is None:
            raise ConvertError(
                f"the GRU {name!r} has no biases, which would say whether it resets after the product: say it by "
                "reset_after=True or False (on the command line --reset-after or --reset-before)."
            )
    return config if ways == 1 else {"name": name, "layer": {"class_name": inner, "config": config}}


def _layers_of(config: Any, path: Path) -> list[dict[str, Any]]:
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind not in ("Sequential", "Functional"):
        raise ConvertError(f"{path} holds a model of the class {kind!r}: elman reads Sequential and Functional ones.")
    layers: list[dict[str, Any]] = config["config"]["layers"]
    for layer in layers:
        if "layers" in layer["config"]:
            raise ConvertError(
                f"{path} holds a model inside of the model, {layer['config'].get('name')!r}: save that by itself."
            )
        layer["config"].setdefault("name", layer.get("name"))
    return layers


def _sources(config: dict[str, Any], layers: Sequence[dict[str, Any]]) -> Iterator[str | None]:
    """The layer that each layer reads, if it is one."""
    names = [layer["config"]["name"] for layer in layers]
    if config["class_name"] == "Sequential":
        yield from [None, *names[:-1]]
        return
    for layer in layers:
        nodes = layer.get("inbound_nodes", [])
        # A layer that is used twice reads no one thing.
        given = nodes[0]["args"][0] if len(nodes) == 1 and nodes[0].get("args") else None
        history = given.get("config", {}).get("keras_history") if isinstance(given, dict) else None
        yield history[0] if history and history[2] == 0 else None


def _groups_by_layer(groups: Mapping[str, Any], layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The group of weights of each layer: Keras counts the layers of a class."""
    counts: dict[str, int] = {}
    found = {}
    for layer in layers:
        stem = _snake(layer["class_name"])
        number = counts[stem] = counts.get(stem, -1) + 1
        found[layer["config"]["name"]] = groups.get(f"{stem}_{number}" if number else stem)
    return found


def _snake(name: str) -> str:
    """A class's name as Keras writes it in files."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
