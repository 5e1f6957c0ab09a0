"""One file a cell: equations, citation, variant, gate order, initialisers, and one `step`."""

from elman.cells.cell import Cell, State, Weights, check_size, map_state
from elman.cells.elman import ElmanCell, ElmanState
from elman.cells.gru import GRUCell, GRUState
from elman.cells.lstm import LSTMCell, LSTMState

__all__ = [
    "Cell",
    "ElmanCell",
    "ElmanState",
    "GRUCell",
    "GRUState",
    "LSTMCell",
    "LSTMState",
    "State",
    "Weights",
    "check_size",
    "map_state",
]
