"""`elman.RNN`, `elman.LSTM`, `elman.GRU`: drop-ins for `torch.nn`'s of the same name. `elman.Recurrent`: any cell.

The same arguments, call, shapes and `state_dict` as `torch.nn`. Besides, by keyword, every option of the cell (`layer_norm=`,
`zoneout=`, …: see `elman.cells.cell.Cell` and the cell's own file), and options of the layers:

    hidden_size     the width of every layer, or a list with the width of each
    dropout         between layers, what the next one reads is dropped in training, at each step anew
    locked_dropout  the same mask at all steps of a sequence instead (Merity et al., arXiv 1708.02182)
    weight_drop     in training the recurrent matrices are used with zeros drawn anew at each call (Wan et al., ICML 2013;
                    Merity et al.). The parameters keep their names and values: the dropped matrices live for the call and
                    its backward pass, and are gone then
    connections     "plain", "residual", "highway" or "dense": see `elman.layers.connections`
    merge           how the outputs of two directions join: "concat", or "sum"
    reverse         the one direction there is runs from a sequence's last valid step to its first; parameters keep their names
    learn_initial_state
                    a sequence, also after a reset, starts from parameters instead of zeros
    init, forget_bias, chrono
                    what the weights are at first: see `elman.layers.initialise`
    engine          what runs the cells: see `elman.engines.choose`
    recompute       keep less for the backward pass, and compute it again there: for long sequences

A cell's `variational_dropout` drops what the layer reads too, by one mask for all steps of a sequence. A call's keywords:

    lengths   one whole number for each sequence, 0 to T, in any order, a list or a tensor on any device. Beyond its length
              a sequence's outputs are 0 and its final state is that after its last valid step.
    reset     a flag a step, torch.bool, in the input's own layout without the feature axis. Where it is true, the step
              starts from the zero state, or the learnt one. In the backward direction a reset at t separates t - 1 from t too:
              what stands on one side of it never reaches the other.
    return_all_states
              a third result: for each layer and direction the states after every step, such as `h` and `c` of
              (T, B, size), in the layout of the outputs. They have gradients.
    generator what masks are drawn from, on the device of the weights; None: torch's global generator. The same seed gives the
              same masks, whatever the number of threads. Evaluation mode draws nothing.

Masks are drawn layer by layer: dropout of what the layer reads, unless it is the first; then direction by direction the
variational dropout of what it reads, the cell's masks in the order of `Cell.masks`, and those of recurrent matrices.

The state, given and returned: for a cell with one state a tensor (L·directions, B, H), for one with several a tuple of such. If
`hidden_size` is a list, a tuple with a tensor (directions, B, size) for each layer stands in place of each of these tensors.

All raise `ShapeError` for shapes that don't fit, `OptionError` for arguments that don't, with those there are, and
`EngineError` for an engine that can't serve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from elman.cells import CELLS, Cell, ElmanCell, GRUCell, LSTMCell, cell_kind
from elman.errors import OptionError
from elman.layers.options import first_width, split_options
from elman.layers.recurrent import RecurrentLayers


class RNN(RecurrentLayers):
    """The Elman network's recurrent layers, h_t = f(W x_t + b_ih + U h_{t-1} + b_hh): see `elman.cells.elman`.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state
    (L·directions, B, H), gives (outputs, final state). `nonlinearity` is "tanh", "relu", or another that the cell knows.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        _refuse_projection("RNN", options)
        own, others = split_options(ElmanCell, options, RecurrentLayers)
        cell = ElmanCell(first_width(hidden_size), bias, nonlinearity, **own)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, hidden_size, **others)
        self.nonlinearity = nonlinearity


class GRU(RecurrentLayers):
    """Gated recurrent units, as `torch.nn.GRU`: see `elman.cells.gru`. With `reset_after=False` the reset gate acts before the
    recurrent product, as in the later versions of the paper.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state
    (L·directions, B, H), gives (outputs, final state).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        _refuse_projection("GRU", options)
        own, others = split_options(GRUCell, options, RecurrentLayers)
        cell = GRUCell(first_width(hidden_size), bias, reset_after, **own)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, hidden_size, **others)
        self.reset_after = reset_after


class LSTM(RecurrentLayers):
    """Long short-term memory, with a recurrent projection if `proj_size`, as `torch.nn.LSTM`: see `elman.cells.lstm`, also for
    `peepholes` and `coupled` gates.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state (h, c)
    of (L·directions, B, proj_size or H) and (L·directions, B, H), gives (outputs, (h, c)).
    """

    _shown_as: ClassVar[Mapping[str, str]] = {"projection_size": "proj_size"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        own, others = split_options(LSTMCell, options, RecurrentLayers)
        if proj_size and own.get("projection_size", proj_size) != proj_size:
            raise OptionError(
                f"proj_size={proj_size} and projection_size={own['projection_size']} are two names of one option: give one."
            )
        own.setdefault("projection_size", proj_size)
        cell = LSTMCell(first_width(hidden_size), bias, **own)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, hidden_size, **others)
        self.proj_size = cell.projection_size


class Recurrent(RecurrentLayers):
    """Recurrent layers of any cell: a `Cell`, also one of your own, or the name of one that `elman.cells` has.

    `elman.Recurrent("gru", 3, 8, layer_norm=True)` and `elman.Recurrent(GRUCell(8, layer_norm=True), 3)` are the same. A name
    needs `hidden_size`; beside a cell, `hidden_size` and options of the cell win over its own.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state, gives
    (outputs, final state).
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int | Sequence[int] | None = None,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(cell, (Cell, str)):
            raise OptionError(f"cell={cell!r} is a {type(cell).__name__}: give a Cell, or the name of one.")
        own, others = split_options(cell_kind(cell) if isinstance(cell, str) else type(cell), options, RecurrentLayers)
        if isinstance(cell, str):
            if hidden_size is None:
                raise OptionError(f"cell={cell!r} is a name, which has no size: give hidden_size too.")
            cell = cell_kind(cell)(first_width(hidden_size), **own)
        else:
            cell = replace(cell, **own)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, hidden_size, **others)

    def extra_repr(self) -> str:
        return f"{self.cell.name}, {super().extra_repr()}"


def _refuse_projection(kind: str, options: dict[str, Any]) -> None:
    if options.pop("proj_size", 0):
        raise OptionError(f"proj_size is an option of the LSTM: {kind} has no projection. Leave it out.")


_DROP_INS: dict[str, Any] = {"elman": RNN, "lstm": LSTM, "gru": GRU}
CELL_NAMES = tuple(CELLS)


def layers_of(cell: str, input_size: int, hidden_size: int | Sequence[int], **options: Any) -> RecurrentLayers:
    """The recurrent layers of the cell called `cell`: a drop-in where there is one, else `Recurrent`.

    Raises `OptionError`, with the names there are, if it isn't known.
    """
    if cell in _DROP_INS:
        layers: RecurrentLayers = _DROP_INS[cell](input_size, hidden_size, **options)
        return layers
    return Recurrent(cell, input_size, hidden_size, **options)
