"""Recurrent layers: the drop-ins for `torch.nn`, layers of any cell, and what they are made of."""

from elman.layers.conv import ConvLSTM
from elman.layers.crf import ConditionalRandomField
from elman.layers.dropout import Dropout, draw_mask, dropout
from elman.layers.frames import FrameInput, stack_frames
from elman.layers.named import layer_options, read_layer_options
from elman.layers.pooling import POOLINGS, Pooling
from elman.layers.recurrent import RecurrentLayers
from elman.layers.rnn import CELL_NAMES, GRU, LSTM, RNN, Recurrent, layers_of
from elman.layers.state import LayerState

__all__ = [
    "CELL_NAMES",
    "GRU",
    "LSTM",
    "RNN",
    "ConditionalRandomField",
    "ConvLSTM",
    "Dropout",
    "FrameInput",
    "LayerState",
    "POOLINGS",
    "Pooling",
    "Recurrent",
    "RecurrentLayers",
    "draw_mask",
    "dropout",
    "layer_options",
    "layers_of",
    "read_layer_options",
    "stack_frames",
]
