"""`elman.RNN`, `elman.LSTM`, `elman.GRU`: drop-ins for `torch.nn`'s of the same name.

The same arguments, call, shapes and `state_dict`. Besides, keyword-only: `engine=` and `recompute=` when a layer is made;
`lengths=`, `reset=` and `return_all_states=` when it is called.

    lengths   one whole number for each sequence, 0 to T, in any order, a list or a tensor on any device. Beyond its length
              a sequence's outputs are 0 and its final state is that after its last valid step.
    reset     a flag a step, torch.bool, in the input's own layout without the feature axis. Where it is true, the step
              starts from the zero state. In the backward direction of a bidirectional layer a reset at t separates t - 1
              from t too: what stands on one side of it never reaches the other.
    return_all_states
              a third result: for each layer and direction the states after every step, such as `h` and `c` of
              (T, B, size), in the layout of the outputs. They have gradients.
    engine    what runs the cells: see `elman.engines.choose`.
    recompute keep less for the backward pass, and compute it again there: for long sequences.

All raise `ShapeError` for shapes that don't fit, `OptionError` for arguments that don't, `EngineError` for an engine that
can't serve.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.cells import CELLS, ElmanCell, GRUCell, LSTMCell, cell_kind, cell_named, cell_options
from elman.errors import OptionError, ShapeError
from elman.layers.recurrent import RecurrentLayers


class RNN(RecurrentLayers):
    """The Elman network's recurrent layers, h_t = f(W x_t + b_ih + U h_{t-1} + b_hh): see `elman.cells.elman`.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state
    (L·directions, B, H), gives (outputs, final state). `nonlinearity` is "tanh" or "relu".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **keywords: Any,
    ) -> None:
        _refuse_projection("RNN", keywords)
        cell = ElmanCell(hidden_size, bias, nonlinearity)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, **keywords)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
    ) -> Any:
        y, (h,), states = self.run(input, _single_state(hx), lengths, reset, return_all_states)
        return (y, h, states) if return_all_states else (y, h)


class GRU(RecurrentLayers):
    """Gated recurrent units, as `torch.nn.GRU`: see `elman.cells.gru`. With `reset_after=False` the reset gate acts before the
    recurrent product, as in the later versions of the paper.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state
    (L·directions, B, H), gives (outputs, final state).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        **keywords: Any,
    ) -> None:
        _refuse_projection("GRU", keywords)
        cell = GRUCell(hidden_size, bias, reset_after)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, **keywords)
        self.reset_after = reset_after

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")

    forward = RNN.forward


class LSTM(RecurrentLayers):
    """Long short-term memory, with a recurrent projection if `proj_size`, as `torch.nn.LSTM`: see `elman.cells.lstm`.

    Called on x (T, B, D), or (B, T, D) if `batch_first`, or (T, D), or a `PackedSequence`, and an optional state (h, c)
    of (L·directions, B, proj_size or H) and (L·directions, B, H), gives (outputs, (h, c)).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **keywords: Any,
    ) -> None:
        cell = LSTMCell(hidden_size, bias, proj_size)
        super().__init__(cell, input_size, num_layers, batch_first, dropout, bidirectional, **keywords)
        self.proj_size = proj_size

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", proj_size={self.proj_size}" if self.proj_size else "")

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
    ) -> Any:
        if isinstance(hx, Tensor):
            raise ShapeError("the state of an LSTM is a pair (h, c): one tensor was given.")
        y, last, states = self.run(input, hx, lengths, reset, return_all_states)
        return (y, last, states) if return_all_states else (y, last)


def _single_state(hx: Tensor | None) -> tuple[Tensor] | None:
    if hx is not None and not isinstance(hx, Tensor):
        raise ShapeError(f"the state of this layer is one tensor h: {type(hx).__name__} was given.")
    return None if hx is None else (hx,)


def _refuse_projection(kind: str, keywords: dict[str, Any]) -> None:
    if keywords.pop("proj_size", 0):
        raise OptionError(f"proj_size is an option of the LSTM: {kind} has no projection. Leave it out.")


_BY_CELL_NAME: dict[str, Any] = {"elman": RNN, "lstm": LSTM, "gru": GRU}
CELL_NAMES = tuple(CELLS)


class _AnyCell(RecurrentLayers):
    """Recurrent layers of any cell; the state is a tensor, or a tuple of them if the cell has several."""

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_all_states: bool = False,
    ) -> Any:
        y, last, states = self.run(input, (hx,) if isinstance(hx, Tensor) else hx, lengths, reset, return_all_states)
        final = last[0] if len(last) == 1 else last
        return (y, final, states) if return_all_states else (y, final)


def layers_of(cell: str, input_size: int, hidden_size: int, **options: Any) -> RecurrentLayers:
    """The recurrent layers of the cell called `cell`; options are those of the layers and those of the cell.

    Raises `OptionError`, with the names there are, if the cell isn't known.
    """
    kind = cell_kind(cell)
    own = {name: options[name] for name in cell_options(kind) if name in options}
    if cell in _BY_CELL_NAME and own.keys() <= {"bias", "nonlinearity", "reset_after"}:
        layers: RecurrentLayers = _BY_CELL_NAME[cell](input_size, hidden_size, **options)
        return layers
    rest = {name: value for name, value in options.items() if name not in own}
    return _AnyCell(cell_named(cell, hidden_size, **own).for_input(input_size), input_size, **rest)
