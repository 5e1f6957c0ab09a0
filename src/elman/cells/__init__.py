"""One file a cell: equations, citation, variant, gate order, initialisers, and one `step`."""

from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Mask, Masks, State, Weights, map_state
from elman.cells.checks import check_size
from elman.cells.elman import ElmanCell, ElmanState
from elman.cells.gru import GRUCell, GRUState
from elman.cells.lstm import LSTMCell, LSTMState
from elman.cells.options import Option, as_text, read_options
from elman.cells.registry import CELLS, cell_kind, cell_named, cell_options, read_cell_options

__all__ = [
    "ALL_INNER_OPTIONS",
    "CELLS",
    "Cell",
    "ElmanCell",
    "ElmanState",
    "GRUCell",
    "GRUState",
    "LSTMCell",
    "LSTMState",
    "Mask",
    "Masks",
    "Option",
    "State",
    "Weights",
    "as_text",
    "cell_kind",
    "cell_named",
    "cell_options",
    "check_size",
    "map_state",
    "read_cell_options",
    "read_options",
]
