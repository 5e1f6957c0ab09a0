"""How ONNX's nodes `RNN`, `LSTM` and `GRU` hold their weights.

| ONNX (D inputs, H units, directions first)   | elman                                                       |
|----------------------------------------------|-------------------------------------------------------------|
| W (directions, G·H, D), R (directions, G·H, H) | weight_ih, weight_hh                                      |
| B (directions, 2·G·H)                        | bias_ih, then bias_hh                                       |
| gates of the LSTM i o f c                    | i f g o                                                     |
| gates of the GRU z r h                       | r z n                                                       |
| P (directions, 3·H), peepholes i o f         | weight_ph: i f o                                            |
| linear_before_reset 1, 0                     | reset_after True, False                                     |
| input_forget 1                               | coupled                                                     |

Of what `input_forget` does the standard says only its name. ONNX Runtime takes f_t = 1 - i_t, elman i_t = 1 - f_t; as
σ(-a) = 1 - σ(a), the weights of one gate are the negatives of the other's. Both are written, so that a runtime that keeps the
other one gives the same numbers.
"""

from collections.abc import Sequence

import torch

from elman.axes import Tensor
from elman.cells import Cell, LSTMCell
from elman.convert.stack import Weights, both_biases, expect_shape, reorder
from elman.errors import ConvertError

OPERATORS = {"elman": "RNN", "lstm": "LSTM", "gru": "GRU"}
# In elman's letters.
_ORDERS = {"elman": ("h", "h"), "lstm": ("iofg", "ifgo"), "gru": ("zrn", "rzn")}
_PEEPHOLES = ("iof", "ifo")
# ONNX's names for the nonlinearities of a plain layer.
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}


def tensors_of(cell: Cell, layer: Sequence[Weights]) -> dict[str, Tensor]:
    """The tensors W, R, B (if there are biases) and P (if there are peepholes) of one node."""
    theirs, ours = _ORDERS[cell.name]
    places = [_uncoupled(place) if isinstance(cell, LSTMCell) and cell.coupled else place for place in layer]

    def stacked(name: str) -> Tensor:
        return torch.stack([reorder(place[name], ours, theirs) for place in places])

    tensors = {"W": stacked("weight_ih"), "R": stacked("weight_hh")}
    if cell.bias:
        both = [[reorder(bias, ours, theirs) for bias in both_biases(place)] for place in places]
        tensors["B"] = torch.stack([torch.cat(pair) for pair in both])
    if "weight_ph" in places[0]:
        tensors["P"] = torch.stack([reorder(place["weight_ph"], _PEEPHOLES[1], _PEEPHOLES[0]) for place in places])
    return tensors


def weights_of(cell: Cell, tensors: dict[str, Tensor], node: str, directions: int) -> tuple[Weights, ...]:
    """The weights of each direction of a node. Raises `ConvertError` for tensors of other shapes than its cell has."""
    theirs, ours = _ORDERS[cell.name]
    hidden, rows = cell.hidden_size, len(ours) * cell.hidden_size
    if tensors["W"].dim() != 3:
        raise ConvertError(
            f"W of {node} has shape {tuple(tensors['W'].shape)}: it must have directions, gates and inputs."
        )
    shapes = {
        "W": (directions, rows, tensors["W"].shape[-1]),
        "R": (directions, rows, hidden),
        "B": (directions, 2 * rows),
        "P": (directions, 3 * hidden),
    }
    for name, tensor in tensors.items():
        expect_shape(f"{name} of {node}", tensor, shapes[name])
    places = []
    for direction in range(directions):
        place = {
            "weight_ih": reorder(tensors["W"][direction], theirs, ours),
            "weight_hh": reorder(tensors["R"][direction], theirs, ours),
        }
        if cell.bias:
            b_ih, b_hh = tensors["B"][direction].chunk(2)
            place |= {"bias_ih": reorder(b_ih, theirs, ours), "bias_hh": reorder(b_hh, theirs, ours)}
        if "P" in tensors:
            place["weight_ph"] = reorder(tensors["P"][direction], *_PEEPHOLES)
        places.append(_coupled(place) if isinstance(cell, LSTMCell) and cell.coupled else place)
    return tuple(places)


def _uncoupled(place: Weights) -> Weights:
    """Weights of f g o with those of an input gate before them, which is 1 - f."""
    blocks = {name: 2 if name == "weight_ph" else 3 for name in place}
    return {name: torch.cat([-weight.chunk(blocks[name])[0], weight]) for name, weight in place.items()}


def _coupled(place: Weights) -> Weights:
    """Weights of i f g o as those of f g o, with f = 1 - i."""
    coupled = {}
    for name, weight in place.items():
        i, _, *others = weight.chunk(3 if name == "weight_ph" else 4)
        coupled[name] = torch.cat([-i, *others])
    return coupled
