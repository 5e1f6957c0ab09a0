"""Recurrent layers: the drop-ins for `torch.nn`, and what they are made of."""

from elman.layers.dropout import Dropout, dropout
from elman.layers.named import layer_options, read_layer_options
from elman.layers.recurrent import LayerState, RecurrentLayers
from elman.layers.rnn import CELL_NAMES, GRU, LSTM, RNN, layers_of

__all__ = [
    "CELL_NAMES",
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "LayerState",
    "RecurrentLayers",
    "dropout",
    "layer_options",
    "layers_of",
    "read_layer_options",
]
