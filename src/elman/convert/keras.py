"""Weights of Keras 3's `SimpleRNN`, `LSTM`, `GRU`, and of `Bidirectional` around them.

| Keras (D inputs, H units)             | elman                                                                     |
|---------------------------------------|---------------------------------------------------------------------------|
| kernel (D, G·H)                       | weight_ih (G·H, D), transposed                                            |
| recurrent_kernel (H, G·H)             | weight_hh (G·H, H), transposed                                            |
| gates of the LSTM i f c o             | i f g o                                                                   |
| gates of the GRU z r h                | r z n                                                                     |
| bias (G·H)                            | bias_ih; bias_hh is 0. Back: b_ih + b_hh, which is the same layer         |
| bias (2, 3H), GRU with reset_after    | bias_ih and bias_hh                                                       |

A layer is a `KerasLayer`: its class, its configuration and its weights as `get_weights()` gives them, so that Keras need not
be installed. Activations other than Keras's own defaults have no place in elman's LSTM and GRU, nor have `merge_mode`s other
than "concat", nor a layer that goes backwards alone. Dropout is left behind: it acts in training alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy
import torch

from elman.axes import Tensor
from elman.cells import Cell, ElmanCell, GRUCell, LSTMCell
from elman.convert.optional import needed
from elman.convert.stack import Stack, Weights, as_array, as_tensor, both_biases, expect_shape, in_sequence, reorder
from elman.errors import ConvertError
from elman.layers import RecurrentLayers

_CLASSES = {"elman": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
_GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}
_BIDIRECTIONAL = "Bidirectional"
CLASSES = (*_GATES, _BIDIRECTIONAL)


@dataclass(frozen=True)
class KerasLayer:
    """A layer of Keras as data.

    kind      the name of its class
    config    what `get_config()` says; keys that are left out have Keras's defaults
    weights   what `get_weights()` gives: kernel, recurrent kernel, bias; of `Bidirectional` those of both directions
    """

    kind: str
    config: Mapping[str, Any]
    weights: Sequence[numpy.ndarray]

    @classmethod
    def of(cls, layer: Any) -> "KerasLayer":
        """The data of a layer object of Keras that was built. Raises `ConvertError` if it wasn't."""
        weights = layer.get_weights()
        if not weights:
            raise ConvertError(f"the Keras layer {layer.name!r} has no weights yet: call it once, or build it.")
        return cls(type(layer).__name__, layer.get_config(), weights)

    @property
    def name(self) -> str:
        return str(self.config.get("name", self.kind))


def from_keras(layers: Any) -> list[RecurrentLayers]:
    """elman's layers with the weights of Keras's: a layer or a list of layers of which each reads the one before.

    Layers may be Keras's objects or `KerasLayer`s. Those that fit become one layer of elman's with `num_layers`; where the
    cell or the sizes change, a new one begins. They are `batch_first`, as Keras's are. Raises `ConvertError` for what elman
    doesn't have.
    """
    listed = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    if not listed:
        raise ConvertError("there are no Keras layers in the list: give at least one.")
    read = [layer if isinstance(layer, KerasLayer) else KerasLayer.of(layer) for layer in listed]
    return [stack.to_layers(batch_first=True) for stack in in_sequence([stack_of_layer(layer) for layer in read])]


def to_keras(layers: RecurrentLayers) -> list[KerasLayer]:
    """Keras's layers, one for each of elman's, with `return_sequences`.

    Raises `ConvertError` for a cell or an option that Keras doesn't have.
    """
    stack = Stack.of(layers, "Keras", ("nonlinearity", "reset_after"))
    kind = _CLASSES[stack.cell.name]
    config: dict[str, Any] = {
        "units": stack.cell.hidden_size,
        "use_bias": stack.cell.bias,
        "activation": "tanh",
        "return_sequences": True,
    }
    if isinstance(stack.cell, ElmanCell):
        config["activation"] = _activation_out(stack.cell.nonlinearity)
    else:
        config["recurrent_activation"] = "sigmoid"
    if isinstance(stack.cell, GRUCell):
        config["reset_after"] = stack.cell.reset_after
    written = []
    for k, layer in enumerate(stack.layers):
        name = _CLASSES[stack.cell.name].lower() + f"_l{k}"
        weights = [array for place in layer for array in _weights_out(stack.cell, place)]
        if not stack.bidirectional:
            written.append(KerasLayer(kind, {"name": name, **config}, weights))
            continue
        inner = [
            {
                "module": "keras.layers",
                "class_name": kind,
                "config": {"name": f"{way}_{name}", **config, "go_backwards": back},
            }
            for way, back in (("forward", False), ("backward", True))
        ]
        both = {"name": name, "merge_mode": "concat", "layer": inner[0], "backward_layer": inner[1]}
        written.append(KerasLayer(_BIDIRECTIONAL, both, weights))
    return written


def to_keras_objects(layers: RecurrentLayers) -> list[Any]:
    """`to_keras` as layer objects of Keras, built and with their weights set. Needs Keras."""
    needed("keras", "keras")
    deserialize = import_module("keras").layers.deserialize
    width, made = layers.input_size, []
    for layer in to_keras(layers):
        built = deserialize(serialised(layer))
        built.build((None, None, width))
        built.set_weights(layer.weights)
        made.append(built)
        width = layers.cell.output_size * (1 + layers.bidirectional)
    return made


def serialised(layer: KerasLayer) -> dict[str, Any]:
    """A layer without its weights, as Keras writes it into a file."""
    return {"module": "keras.layers", "class_name": layer.kind, "config": dict(layer.config)}


def stack_of_layer(layer: KerasLayer) -> Stack:
    """One layer of Keras as a stack of one. Raises `ConvertError` for what elman doesn't have."""
    if layer.kind != _BIDIRECTIONAL:
        if layer.config.get("go_backwards", False):
            raise ConvertError(
                f"the Keras layer {layer.name!r} goes backwards alone (go_backwards), which elman doesn't have."
            )
        cell = _cell(layer.kind, layer.config, layer.weights, layer.name)
        return _stack(cell, False, [layer.weights], layer.name)
    merge = layer.config.get("merge_mode", "concat")
    if merge != "concat":
        raise ConvertError(
            f"the Keras layer {layer.name!r} has merge_mode={merge!r}: elman puts both directions side by side."
        )
    forward = layer.config.get("layer")
    if not isinstance(forward, Mapping) or not {"class_name", "config"} <= set(forward):
        raise ConvertError(f"the configuration of the Keras layer {layer.name!r} doesn't say which layer it is around.")
    backward = layer.config.get("backward_layer") or forward
    if len(layer.weights) % 2:
        raise ConvertError(
            f"the Keras layer {layer.name!r} has {len(layer.weights)} weights: two directions have as many each."
        )
    half = len(layer.weights) // 2
    halves = [layer.weights[:half], layer.weights[half:]]
    cells = [
        _cell(inner["class_name"], inner["config"], weights, layer.name)
        for inner, weights in zip((forward, backward), halves, strict=True)
    ]
    if cells[0] != cells[1]:
        raise ConvertError(
            f"the directions of the Keras layer {layer.name!r} are different: {cells[0]} and {cells[1]}."
        )
    return _stack(cells[0], True, halves, layer.name)


def _cell(kind: str, config: Mapping[str, Any], weights: Sequence[numpy.ndarray], name: str) -> Cell:
    if kind not in _GATES:
        raise ConvertError(f"the Keras layer {name!r} is of the class {kind!r}: elman reads {', '.join(CLASSES)}.")
    bias = bool(config.get("use_bias", True))
    if len(weights) != 2 + bias:
        raise ConvertError(
            f"the Keras layer {name!r} has {len(weights)} weights a direction: with use_bias={bias} there are {2 + bias}."
        )
    hidden = int(numpy.shape(weights[1])[0]) if numpy.ndim(weights[1]) else 0
    if config.get("units", hidden) != hidden:
        raise ConvertError(f"the Keras layer {name!r} has units={config['units']}, but weights for {hidden}.")
    for key, wanted in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        if kind != "SimpleRNN" and config.get(key, wanted) != wanted:
            raise ConvertError(f"the Keras layer {name!r} has {key}={config[key]!r}: elman's {kind} has {wanted!r}.")
    if kind == "LSTM":
        return LSTMCell(hidden, bias)
    if kind == "GRU":
        return GRUCell(hidden, bias, bool(config.get("reset_after", True)))
    activation = config.get("activation", "tanh")
    if activation not in _ACTIVATIONS:
        raise ConvertError(
            f"the Keras layer {name!r} has activation={activation!r}: elman has {', '.join(_ACTIVATIONS)}."
        )
    return ElmanCell(hidden, bias, _ACTIVATIONS[activation])


# Keras's names, and elman's for the same function.
_ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "linear": "identity"}


def _activation_out(nonlinearity: str) -> str:
    names = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    if nonlinearity not in names:
        raise ConvertError(f"nonlinearity={nonlinearity!r} has no place in Keras: it has {', '.join(names)}.")
    return names[nonlinearity]


def _stack(cell: Cell, bidirectional: bool, directions: Sequence[Sequence[numpy.ndarray]], name: str) -> Stack:
    places = tuple(_weights_in(cell, weights, name) for weights in directions)
    return Stack(cell, places[0]["weight_ih"].shape[1], bidirectional, places)


def _weights_in(cell: Cell, weights: Sequence[numpy.ndarray], name: str) -> Weights:
    theirs, ours = _orders(cell)
    hidden, rows = cell.hidden_size, len(ours) * cell.hidden_size
    kernel, recurrent, *bias = (as_tensor(f"a weight of the Keras layer {name!r}", array) for array in weights)
    what = f"of the Keras layer {name!r}"
    expect_shape(f"the recurrent kernel {what}", recurrent, (hidden, rows))
    expect_shape(f"the kernel {what}", kernel, (*kernel.shape[:1], rows))
    place = {"weight_ih": reorder(kernel.t(), theirs, ours), "weight_hh": reorder(recurrent.t(), theirs, ours)}
    if not bias:
        return place
    two = _has_two_biases(cell)
    expect_shape(f"the bias {what}", bias[0], (2, rows) if two else (rows,))
    b_ih, b_hh = bias[0] if two else (bias[0], torch.zeros_like(bias[0]))
    return {**place, "bias_ih": reorder(b_ih, theirs, ours), "bias_hh": reorder(b_hh, theirs, ours)}


def _weights_out(cell: Cell, place: Weights) -> list[numpy.ndarray]:
    theirs, ours = _orders(cell)

    def out(rows: Tensor) -> Tensor:
        return reorder(rows, ours, theirs)

    arrays = [out(place["weight_ih"]).t(), out(place["weight_hh"]).t()]
    if cell.bias:
        b_ih, b_hh = both_biases(place)
        arrays.append(torch.stack([out(b_ih), out(b_hh)]) if _has_two_biases(cell) else out(b_ih + b_hh))
    return [as_array(array) for array in arrays]


def _orders(cell: Cell) -> tuple[str, str]:
    """The gates in Keras's order and in ours, in our letters."""
    ours = "".join(cell.gate_names)
    return ("zrn" if cell.name == "gru" else ours), ours


def _has_two_biases(cell: Cell) -> bool:
    return isinstance(cell, GRUCell) and cell.reset_after
