"""Recurrent layers: the drop-ins for `torch.nn`, and what they are made of."""

from elman.layers.recurrent import LayerState, RecurrentLayers
from elman.layers.rnn import CELL_NAMES, GRU, LSTM, RNN, layers_of

__all__ = ["CELL_NAMES", "GRU", "LSTM", "RNN", "LayerState", "RecurrentLayers", "layers_of"]
